# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of one dump: filter, forecast, copy, verify."""

from __future__ import annotations

import os
import time

from ..low.board import Board, Lock
from ..low.failure import SaverError, describe
from ..low.selection import Selection
from ..low.writeback import Writeback
from ..store.medium import FULL, FlatOutput, Output
from .copying import Copying
from .pagechoice import Choice, took

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..codec.library import Codec
    from ..crash.facts import Crash
    from ..formats.writer import DumpWriter
    from ..low.console import Console
    from ..low.progress import Progress
    from ..params import Params
    from ..store import Part

_NO_LIMIT = 1 << 62


class Dumping:
    """A dump in the making.

    fields   what the report says about it so far
    exists   whether there is one, complete or not
    """

    def __init__(
        self,
        crash: Crash,
        params: Params,
        part: Part,
        *,
        console: Console,
        progress: Progress,
    ) -> None:
        """Nothing is written yet. If a codec cannot be used, another one is taken, or none."""
        self._crash = crash
        self._params = params
        self._part = part
        self._format = params.dump.format if part.seekable else "flat"
        self._console = console
        self._progress = progress
        self._source = crash.source()
        self._codec: Codec | None = None
        note = ""
        if self._format != "elf":
            from ..codec.opening import open_any

            self._codec, note = open_any(params.dump.compress, crash.page_size)
            if note:
                console.warning(note)
        self._scratch = -1
        self._limit = _NO_LIMIT
        self._workers: tuple[Lock, int] | None = None
        self.exists = False
        self.fields = self._first_fields(note)

    def _first_fields(self, note: str) -> dict[str, object]:
        params = self._params.dump
        return {
            "collector": "saver",
            "format": self._format,
            "codec": self._codec.row.name if self._codec else "none",
            "codec_note": note,
            "library": self._codec.library if self._codec else "",
            "level": params.level,
            "wanted_level": params.level,
            "level_note": "",
            "bytes": 0,
            "pages": 0,
            "zero_pages": 0,
            "raw_pages": 0,
            "lost_pages": self._source.missing,
            "moved_pages": 0,
            "unwritten_pages": 0,
            "left_out": {},
            "jobs": 1,
            "verified": "none",
            "verified_pages": 0,
            "sha256": "",
            "sha256_note": "",
            "seconds": {},
        }

    def run(self) -> str:
        """Write it; return what went wrong, "" for nothing.

        If it cannot even be begun, nothing is left of it; raises SpaceError, SaverError, OSError.
        """
        part = self._part
        fd = part.create()
        try:
            self._limit = self._room()
            if self._format != "kdump":
                self._scratch = part.scratch()
            problem, selection = self._write(fd)
            if problem or not part.seekable:
                return problem
            return self._verify(fd, part.path, selection)
        except BaseException:
            if not self.exists:
                part.discard()
            raise
        finally:
            part.close()
            if self._scratch >= 0:
                os.close(self._scratch)

    def _write(self, fd: int) -> tuple[str, Selection]:
        choice = Choice(
            self._crash,
            self._source,
            self._codec,
            console=self._console,
            progress=self._progress,
            fields=self.fields,
            wanted=self._params.dump.level,
        )
        while True:
            problem, selection, again = self._try(fd, choice)
            if not again:
                return problem, selection
            # What is there is worth less than the next attempt, and takes its room.
            self.exists = False
            for each in (fd, self._scratch):
                if each >= 0:
                    os.ftruncate(each, 0)
                    os.lseek(each, 0, os.SEEK_SET)
                    os.fsync(each)
            self._limit = self._room()

    def _try(self, fd: int, choice: Choice) -> tuple[str, Selection, bool]:
        # What went wrong, the pages, and whether to begin again with fewer of them.
        lock, jobs = self._choose_jobs(fd if self._scratch < 0 else self._scratch)
        writer = self._writer(fd, lock)
        selection, level = choice.choose(writer, room=self._room_for)
        copying = Copying(
            writer,
            self._source,
            selection,
            console=self._console,
            progress=self._progress,
            fields=self.fields,
            damage=self._crash.memory.damage,
        )
        board = None
        try:
            position = copying.begin(level)
            self.exists = True
            board = Board(lock, workers=jobs, position=position, limit=self._limit)
            problem = copying.copy(board)
            again = self._part.seekable and copying.stopped in FULL
            if again:
                size = board.position - position
                again = choice.choose_less(problem, pages=board.good, size=size)
            return problem, selection, again
        finally:
            copying.close()
            if board:
                board.close()

    def _room(self) -> int:
        room = self._part.room()
        return _NO_LIMIT if room is None else room

    def _room_for(self, size: int) -> int:
        # How much may be used by a dump of that size.
        if self._part.retain and self._part.retain(size, self._limit):
            self._limit = self._room()
        return self._limit

    def _choose_jobs(self, fd: int) -> tuple[Lock, int]:
        # fd is a regular file, for locks. Chosen once, so that a warning appears only once.
        if self._workers:
            return self._workers
        jobs = self._params.dump.jobs or len(os.sched_getaffinity(0))
        lock = Lock(fd)
        if jobs > 1 and not lock.works():
            self._console.warning("the file system does not support locks: only one worker is used")
            jobs = 1
        self.fields["jobs"] = jobs
        self._workers = (lock if jobs > 1 else Lock(-1)), jobs
        return self._workers

    def _writer(self, fd: int, lock: Lock) -> DumpWriter:
        crash, source, kind = self._crash, self._source, self._format
        if kind == "elf":
            from ..formats.elf.elfdump import ElfWriter
            from ..formats.elf.elfheaders import headers_of

            core = headers_of(crash, source)
            return ElfWriter(Output(fd), source, core=core, scratch=self._scratch)
        from ..formats.kdump.kdumpfile import KdumpWriter

        return KdumpWriter(
            FlatOutput(fd, lock) if kind == "flat" else Output(fd),
            source,
            crash,
            codec=self._codec,
            scratch=self._scratch,
        )

    def _verify(self, fd: int, path: str, selection: Selection) -> str:
        mode = self._params.dump.verify
        if mode == "none":
            return ""
        from .sha256 import file_sha256, too_many_holes
        from .verify import Verification

        start = time.monotonic()
        page = self._source.page_size
        check = None
        disk = Writeback(fd)
        disk.drop()
        disk.close()
        try:
            check = Verification(path, self._source, selection)
            self._progress.start("checking", check.size)
            check.structure(0, self._progress.advance)
            self._progress.start("verifying", selection.pages * page)
            if mode == "full":
                lock, jobs = self._choose_jobs(fd)
                check.compare_all(
                    lock, jobs=jobs, tell=lambda done: self._progress.update(done * page)
                )
            else:
                check.compare_sample()
            self.fields["sha256_note"] = note = too_many_holes(fd)
            if not note:
                self._progress.start("hashing", int(str(self.fields["bytes"])))
                self.fields["sha256"] = file_sha256(fd, self._progress.advance)
            self.fields["verified"] = mode
        except (SaverError, OSError) as error:
            problem = f"verification failed: {describe(error)}"
            self._console.error(f"dump: {problem}")
            return problem
        finally:
            if check:
                self.fields["verified_pages"] = check.checked
                check.close()
            took(self.fields, "verify", start)
        return ""
