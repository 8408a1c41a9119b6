# SPDX-License-Identifier: GPL-2.0-or-later
"""How far the dump is: lines on the console, and the number that feeds the stall timer."""

from __future__ import annotations

import os
import time

from .console import Console

#: Seconds before the first line, between lines, and between two numbers in the file.
_FIRST, _EVERY, _FEED = 1.0, 2.0, 1.0
_MEMORY = "/proc/self/status"


class Progress:
    """Counts bytes of memory against a total, and watches the saver's own memory.

    peak is the largest anonymous memory seen, in KiB; 0 where the kernel does not tell.
    """

    def __init__(self, console: Console, path: str) -> None:
        """Open the progress file, "" for none; without one the work goes on, with a warning."""
        self._console = console
        self._fd = -1
        self.peak = 0
        self._number = 0
        self._total = self._done = 0
        self._start = self._fed = time.monotonic()
        self._spoken = self._start + _FIRST - _EVERY
        if path:
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._fd = os.open(path, flags, 0o600)
            except OSError as error:
                console.warning(f"{path}: {error.strerror}")
        self.feed()

    def start(self, total: int) -> None:
        """Begin to count towards a total of bytes."""
        self._total, self._done = total, 0
        self._start = time.monotonic()
        self._spoken = self._start + _FIRST - _EVERY

    def advance(self, length: int) -> None:
        """Count length bytes; cheap enough for every window."""
        self._done += length
        now = time.monotonic()
        if now - self._fed >= _FEED:
            self.feed()
        if now - self._spoken >= _EVERY:
            self._spoken = now
            self._say(now - self._start)

    def feed(self) -> None:
        """Show a sign of life to the stall timer, and take a look at the memory."""
        self._fed = time.monotonic()
        self.peak = max(self.peak, anonymous_kib())
        if self._fd < 0:
            return
        self._number += 1
        try:
            os.pwrite(self._fd, b"%d\n" % self._number, 0)
        except OSError:
            return

    def close(self) -> None:
        """Close the progress file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _say(self, seconds: float) -> None:
        rate = self._done / seconds if seconds > 0 else 0.0
        percent = 100 * self._done // self._total if self._total else 100
        left = (self._total - self._done) / rate if rate else 0.0
        self._console.info(f"{percent} %, {rate / 1e6:.1f} MB/s, {left:.0f} s left")


def anonymous_kib() -> int:
    """Return RssAnon of this process in KiB (Linux 4.5); 0 when it cannot be read."""
    try:
        fd = os.open(_MEMORY, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        text = os.read(fd, 4096)
    except OSError:
        return 0
    finally:
        os.close(fd)
    words = text.partition(b"RssAnon:")[2].split(None, 1)
    return int(words[0]) if words and words[0].isdigit() else 0
