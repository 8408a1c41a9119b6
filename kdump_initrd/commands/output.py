# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command prints about the saver's work: lines, and a bar on a terminal."""

from __future__ import annotations

import errno
import os
import sys

from ..core.errors import KdumpInitrdError
from ..core.shown import in_a_line
from ..saver.low.console import WARNING, Console
from ..saver.low.failure import SpaceError, describe
from ..saver.low.progress import Progress

#: Narrower terminals show no bar, only numbers.
_WIDE, _BAR = 72, 24


class Talk(Console):
    """Lines on stderr; the last one may be unfinished, and is then redrawn again and again."""

    def __init__(self, program: str, *, quiet: bool = False, verbose: bool = False) -> None:
        """Begin lines with the program's name; quiet omits news, verbose adds details."""
        super().__init__("")
        self.quiet = quiet
        self._verbose = verbose
        self._program = program
        self._drawn = 0

    def say(self, priority: int, text: str) -> None:
        """See Console."""
        if priority > WARNING and self.quiet:
            return
        start = "" if text.startswith("hint: ") else f"{self._program}: "
        self._write(self._blank() + start + in_a_line(" ".join(text.splitlines())) + "\n")

    def complain(self, error: BaseException, *, hint: bool = True) -> None:
        """Print what went wrong, and with ``hint`` how to fix it, if that is known."""
        if isinstance(error, KdumpInitrdError):
            message, way_out = error.message, error.hint
        else:
            message, way_out = describe(error), _way_out(error)
        self.error(message)
        if hint and way_out:
            self.hint(way_out)

    def detail(self, text: str) -> None:
        """Print a detail, if the user asked for those."""
        if self._verbose:
            self.info(text)

    def plain(self, text: str) -> None:
        """Print a line without the program's name."""
        if not self.quiet:
            self._write(f"{self._blank()}{text}\n")

    def draw(self, text: str) -> None:
        """Replace the last line with this text."""
        self._write("\r" + text.ljust(self._drawn))
        self._drawn = len(text)

    def erase(self) -> None:
        """Remove the last line."""
        self._write(self._blank())

    def _blank(self) -> str:
        # No escape sequences: this works on every terminal.
        blank = "\r" + " " * self._drawn + "\r" if self._drawn else ""
        self._drawn = 0
        return blank

    def _write(self, text: str) -> None:
        try:
            os.write(2, text.encode(errors="replace"))
        except OSError:
            return


def _way_out(error: BaseException) -> str | None:
    if isinstance(error, SpaceError) and error.code == errno.ENOSPC:
        return "use a higher --dump-level, a lower --keep-free, or another file system"
    return None


def progress_for(talk: Talk) -> Progress:
    """Return what shows the progress: a bar on a terminal, otherwise lines."""
    return Bar(talk) if sys.stderr.isatty() and not talk.quiet else Progress(talk, "")


class Bar(Progress):
    """One line that is redrawn: what is done, a bar, per cent, speed, and the remaining time."""

    first, every = 0.2, 0.1

    def __init__(self, talk: Talk) -> None:
        super().__init__(talk, "")
        self._talk = talk

    def say(self, seconds: float) -> None:
        """See Progress."""
        part = min(1.0, self._done / self._total) if self._total else 1.0
        rate = self._done / seconds if seconds > 0 else 0.0
        left = max(0, self._total - self._done) / rate if rate else 0.0
        what = self._what.rstrip(": ") or "saving"
        text = f"{int(100 * part):3} %  {rate / 1e6:6.1f} MB/s  {_clock(left)} left"
        columns = _columns()
        if columns >= _WIDE:
            text = f"[{'#' * int(_BAR * part):.<{_BAR}}] {text}"
        self._talk.draw(f"{what:<9} {text}"[: columns - 1])

    def close(self) -> None:
        """Remove the bar."""
        self._talk.erase()
        super().close()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80
