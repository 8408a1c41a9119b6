# SPDX-License-Identifier: GPL-2.0-or-later
"""How far the dump is: lines on the console, and the numbers for the guard's timers."""

from __future__ import annotations

import os
import time

from .console import Console

#: Seconds between two numbers in the file.
_FEED = 1.0
#: Seconds that a part of the work may take in addition to those at the floor rate.
_SLACK = 60


class Progress:
    """Counts bytes of memory against a total, and watches the saver's own memory.

    peak is the largest anonymous memory seen, in KiB; 0 where the kernel does not tell. others
    is that of other processes. first and every are the seconds before and between lines.

    The file has a line of two numbers: one that grows with every bit of progress, and the second of
    /proc/uptime by which the present part of the work must be done (0 for none).
    """

    first, every = 1.0, 2.0

    def __init__(self, console: Console, path: str, floor: int = 0) -> None:
        """Open the progress file, "" for none; without one the work goes on, with a warning.

        floor is the rate in bytes of memory a second that each part of the work must have, 0 for
        any.
        """
        self._console = console
        self._fd = -1
        self.peak = self.others = 0
        self._what = ""
        self._number = 0
        self._floor = floor
        self._due = 0
        self._total = self._done = 0
        self._start = self._fed = time.monotonic()
        self._spoken = self._start + self.first - self.every
        if path:
            try:
                # Over the old content: that works even when there is no room for anything new.
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                self._fd = os.open(path, flags, 0o600)
            except OSError as error:
                console.warning(f"{path}: {error.strerror}")
        self.feed()

    def start(self, what: str, total: int) -> None:
        """Begin to count towards a total of bytes; what is done is said with the numbers."""
        self._what = f"{what}: " if what else ""
        self._total, self._done = total, 0
        self._start = time.monotonic()
        self._spoken = self._start + self.first - self.every
        if self._floor:
            self._due = int(self._start) + _SLACK + total // self._floor
            self.feed()

    def update(self, done: int) -> None:
        """Take the bytes done so far; cheap enough for every window.

        Only work that goes on is a sign of life.
        """
        if done == self._done:
            return
        self._done = done
        now = time.monotonic()
        if now - self._fed >= _FEED:
            self.feed()
        if now - self._spoken >= self.every:
            self._spoken = now
            self.say(now - self._start)

    def advance(self, length: int) -> None:
        """Take length more bytes done."""
        self.update(self._done + length)

    def feed(self) -> None:
        """Show a sign of life to the stall timer, and take a look at the memory."""
        self._fed = time.monotonic()
        self.peak = max(self.peak, anonymous_kib())
        if self._fd < 0:
            return
        self._number += 1
        try:
            os.pwrite(self._fd, b"%d %d\n" % (self._number, self._due), 0)
        except OSError:
            return

    def close(self) -> None:
        """Close the progress file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def say(self, seconds: float) -> None:
        """Show how far it is after so many seconds."""
        rate = self._done / seconds if seconds > 0 else 0.0
        total = max(self._total, self._done)  # more than was foretold is not more than all
        percent = 100 * self._done // total if total else 100
        left = (total - self._done) / rate if rate else 0.0
        self._console.info(f"{self._what}{percent} %, {rate / 1e6:.1f} MB/s, {left:.0f} s left")


def anonymous_kib(process: str = "self") -> int:
    """Return RssAnon of a process in KiB (Linux 4.5); 0 when it cannot be read."""
    try:
        fd = os.open(f"/proc/{process}/status", os.O_RDONLY | os.O_CLOEXEC)
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
