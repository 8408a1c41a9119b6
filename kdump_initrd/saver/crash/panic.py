# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel log tells of the crash: the panic message and the kernel's command line."""

from __future__ import annotations

_PANIC = b"Kernel panic - not syncing: "
#: Second best, where the kernel crashed before (or without) its panic message.
_OTHERS = (b"BUG: ", b"Oops: ", b"Unable to handle kernel ", b"sysrq: Trigger a crash")
_COMMAND_LINES = (b"] Kernel command line: ", b"] Command line: ")
_TAIL = 12
_MAX = 2048


class LogFacts:
    """Looks at each line of the log as it passes; keeps the last lines, for the console."""

    def __init__(self) -> None:
        self._panic = ""
        self._other = ""
        self.command_line = ""
        self._tail: list[bytes] = []

    def see(self, line: bytes) -> None:
        """Take one line of the log."""
        place = line.find(_PANIC)
        if place >= 0:
            self._panic = _text(line[place + len(_PANIC) :])
            self._tail = [line]
            return
        self._see_other(line)
        if not self._panic:
            self._tail = [*self._tail[1 - _TAIL :], line]
        elif len(self._tail) < _TAIL:
            self._tail.append(line)

    def _see_other(self, line: bytes) -> None:
        for sign in _OTHERS:
            place = line.find(sign)
            if place >= 0:
                self._other = _text(line[place:])
        if not self.command_line:
            for sign in _COMMAND_LINES:
                place = line.find(sign)
                if place >= 0:
                    self.command_line = _text(line[place + len(sign) :])

    @property
    def panic(self) -> str:
        """The last panic message, else the last sign of a crash, else ""."""
        return self._panic or self._other

    @property
    def tail(self) -> list[str]:
        """The first lines from the panic message on; without one, the last lines of all."""
        return [_text(line) for line in self._tail]


def _text(line: bytes) -> str:
    return line[:_MAX].decode("ascii", "replace").strip()
