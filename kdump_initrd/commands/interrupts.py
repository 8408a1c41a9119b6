# SPDX-License-Identifier: GPL-2.0-or-later
"""Ctrl-C, a kill, or the loss of the terminal: each ends a command as an exception does."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

from ..core import exits

#: They ask a command to end, and let it clean up.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds until an exception is raised again that came where it was dropped.
_SOON = 0.001


class Interrupted(KeyboardInterrupt):
    """A signal has come.

    If KeyboardInterrupt itself passes through code that was compiled from a string (dataclasses),
    CPython later ends as if killed by SIGINT, even if the exception is handled.
    """


class Interrupts:
    """While the block runs, these signals raise Interrupted, unless they are ignored.

    ``number`` is that of the last signal, 0 for none, whatever became of its exception. An
    exception that is dropped (by a destructor, by a callback from C) is soon raised again.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}
        self._unraisable = sys.unraisablehook

    @property
    def status(self) -> int:
        """The exit status that a shell would give for the signal."""
        return exits.by_signal(self.number or signal.SIGINT)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                # nohup, or "&" in a script, starts a program with some of them ignored.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._again)
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._dropped
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        raise Interrupted

    def _again(self, _number: int, frame: FrameType | None) -> None:
        raise Interrupted

    def _dropped(self, what: sys.UnraisableHookArgs) -> None:
        if issubclass(what.exc_type, Interrupted):
            signal.setitimer(signal.ITIMER_REAL, _SOON)
        else:
            self._unraisable(what)
