# SPDX-License-Identifier: GPL-2.0-or-later
"""Ctrl-C, a kill and a terminal that goes away: each ends a command as an exception does."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

#: What asks a command to end, and lets it tidy up.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While the block runs, these signals raise KeyboardInterrupt, unless they are ignored.

    ``number`` is that of the last one, 0 for none: whatever the work makes of the exception.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    @property
    def status(self) -> int:
        """The exit status that a shell would give for the signal."""
        return 128 + (self.number or signal.SIGINT)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                # nohup, and a shell's "&" in a script, have some of them ignored.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        raise KeyboardInterrupt
