# SPDX-License-Identifier: GPL-2.0-or-later
"""Ctrl-C, a kill and a terminal that goes away: each ends a command as an exception does."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

from ..core import exits

#: What asks a command to end, and lets it tidy up.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Until a signal is raised once more that came where nothing can be raised, in seconds.
_SOON = 0.001


class Interrupted(KeyboardInterrupt):
    """A signal has come. Where KeyboardInterrupt itself leaves code made of text (dataclasses),
    CPython ends as by SIGINT, whatever becomes of it.
    """


class Interrupts:
    """While the block runs, these signals raise Interrupted, unless they are ignored.

    ``number`` is that of the last one, 0 for none: whatever the work makes of the exception. One
    that is raised where it is dropped (a destructor, a callback from C) is raised again soon.
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
                # nohup, and a shell's "&" in a script, have some of them ignored.
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
