# SPDX-License-Identifier: GPL-2.0-or-later
"""report.json: what was done and how it ended, safe at every moment."""

from __future__ import annotations

import os

from .. import __version__
from .folder import create, sync_folder, write_all
from .jsontext import dumps

NAME = "report.json"
_BESIDE = NAME + ".new"
#: Room that is kept for the last report while the dump fills the file system.
_RESERVE = 16 << 10

SAVED, INCOMPLETE, FAILED = "saved", "incomplete", "failed"


class Report:
    """The fields of the report; "result" is "incomplete" until the end."""

    def __init__(self) -> None:
        self.fields: dict[str, object] = {
            "version": __version__,
            "result": INCOMPLETE,
            "kernel_release": "",
            "build_id": "",
            "panic": "",
            "command_line": "",
            "crash_time": "",
            "capture_kernel": os.uname().release,
            "dump": None,
            "seconds": 0.0,
            "rss_anon_kib": 0,
        }
        self.steps: list[dict[str, object]] = []
        self._folder = ""

    def add(self, name: str, result: str, *, seconds: float, detail: str) -> None:
        """Add the outcome of a step; result is "done", "incomplete" or "failed"."""
        entry = {"name": name, "result": result, "seconds": round(seconds, 3), "detail": detail}
        self.steps.append(entry)

    def text(self) -> str:
        """Return the report as JSON."""
        return dumps({**self.fields, "steps": self.steps}, 2) + "\n"

    def open(self, folder: str) -> None:
        """Write the first report into the crash's folder; raises OSError."""
        self._folder = folder
        self.write()

    def write(self, *, last: bool = False) -> None:
        """Replace the report on the disk; a report before the last keeps room for the next one.

        Raises OSError; before open, nothing happens.
        """
        if not self._folder:
            return
        data = self.text().encode()
        try:
            self._replace(data)
        except OSError:
            self._overwrite(data)
        if not last:
            self._reserve()

    def _replace(self, data: bytes) -> None:
        # Beside, into blocks that are reserved already; then the new name, at once.
        beside = os.path.join(self._folder, _BESIDE)
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, data)
            os.ftruncate(fd, len(data))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(beside, os.path.join(self._folder, NAME))
        sync_folder(self._folder)

    def _overwrite(self, data: bytes) -> None:
        # A file system that wants new blocks for old places: give it the reserved ones back.
        try:
            os.unlink(os.path.join(self._folder, _BESIDE))
            sync_folder(self._folder)
        except OSError:
            pass
        try:
            self._replace(data)
        except OSError:
            fd = os.open(os.path.join(self._folder, NAME), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                write_all(fd, data)
                os.ftruncate(fd, len(data))
                os.fsync(fd)
            finally:
                os.close(fd)

    def _reserve(self) -> None:
        beside = os.path.join(self._folder, _BESIDE)
        try:
            fd = create(beside)
            try:
                write_all(fd, b" " * _RESERVE)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError:
            return  # full already: the last report takes its chances
