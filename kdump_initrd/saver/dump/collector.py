# SPDX-License-Identifier: GPL-2.0-or-later
"""Makedumpfile instead of our own writer: started, watched, and its dump verified."""

from __future__ import annotations

import os
import time

from ..codec.rows import ROWS
from ..formats.dumpfile import open_dump, pages_of
from ..formats.kdump.kdumpformat import INCOMPLETE
from ..formats.kdump.kdumpread import KdumpDump
from ..low import child
from ..low.failure import SaverError, SpaceError
from ..low.progress import anonymous_kib
from ..low.selection import Selection
from .dumping import Dumping
from .pagechoice import took

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.reader import Memory

NAME = "makedumpfile"
#: --message-level: errors only.
_ERRORS = "4"
#: Seconds between two looks at it: the first ones, and the later ones.
_LOOKS = (0.01, 0.05)


class Collected(Dumping):
    """A dump that makedumpfile writes, with the same fields in the report as one of our own."""

    def run(self) -> str:
        """Write it, by its path. Raises SaverError, OSError; then there is none."""
        part = self._part
        try:
            if self._source.missing:
                raise SaverError(
                    f"the vmcore is truncated: {self._source.missing} pages are missing"
                )
            if not part.path:
                raise SaverError(f"{NAME}: it writes to files only")
            self._limit = self._room()
            start = time.monotonic()
            self._collect(part.path)
            took(self.fields, "copy", start)
            fd = os.open(part.path, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.fsync(fd)
                problem = self._check(fd, part.path)
            finally:
                os.close(fd)
            if problem:
                raise SaverError(problem)
        except BaseException:
            part.discard()
            raise
        self.exists = True
        return ""

    def _collect(self, path: str) -> None:
        params = self._params
        words = [params.dump.collector, "--message-level", _ERRORS, "-d", str(params.dump.level)]
        if params.dump.format == "elf":
            words.append("-E")
        elif self._codec:
            words.append(self._codec.row.option)
        reader, writer = os.pipe()
        try:
            os.set_blocking(reader, False)
            try:
                silence = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    words += [params.vmcore, path]
                    pid = child.start(words, stdin=silence, output=writer)
                finally:
                    os.close(silence)
            finally:
                os.close(writer)
            try:
                status, said = self._watch(pid, reader, path)
            except BaseException:
                child.kill(pid)
                raise
        finally:
            os.close(reader)
        if status:
            how = f"exit status {status}" if status > 0 else f"signal {-status}"
            raise SaverError(f"{NAME}: {how}{said}")

    def _watch(self, pid: int, reader: int, path: str) -> tuple[int, str]:
        # Until its end: return its exit status, below 0 for a signal, and its last words.
        progress, console = self._progress, self._console
        said, size, ticks, looks, grown = b"", 0, 0, 0, False
        fed = spoken = time.monotonic()
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            said = (said + child.last_words(reader))[-child.TAIL :]
            if ended:
                return os.waitstatus_to_exitcode(status), _last_line(said)
            now, before = time.monotonic(), (size, ticks)
            size = os.stat(path).st_size if os.path.exists(path) else 0
            ticks = _ticks(pid)  # a large machine's first scan writes nothing for minutes
            if size > self._room_for(size):
                raise SpaceError(f"{NAME}: the rest of the file system is kept free")
            grown = grown or (size, ticks) != before
            if grown and now - fed >= 1:
                fed, grown = now, False
                progress.feed()
                progress.others = max(progress.others, anonymous_kib(str(pid)))
            if now - spoken >= progress.every:
                spoken = now
                console.info(f"{NAME}: {size / 1e6:.1f} MB")
            time.sleep(_LOOKS[looks > 20])
            looks += 1

    def _check(self, fd: int, path: str) -> str:
        # The pages in it are those that are verified.
        hidden = self._part.scratch()
        try:
            selection = Selection(hidden, 0)
            dump = open_dump(path)
            try:
                codec = _codec_of(dump)
                for pfn, count in pages_of(dump, self._source.page_size).runs():
                    selection.add_run(pfn, count)
                selection.finish()
                if dump.damage:
                    raise SaverError(f"{NAME}: {dump.damage}")
                self.fields.update(
                    collector=NAME,
                    codec=codec,
                    library="",
                    level=dump.level or self._params.dump.level,
                    bytes=os.fstat(fd).st_size,
                    pages=selection.pages,
                )
            finally:
                dump.close()
            return self._verify(fd, path, selection)
        finally:
            os.close(hidden)


def _codec_of(dump: Memory) -> str:
    # makedumpfile says nothing of a codec that it was built without, and does not compress.
    if not isinstance(dump, KdumpDump):
        return "none"
    status = dump.header.status
    if status & INCOMPLETE:
        raise SaverError(f"{NAME}: the dump is not complete")
    return {row.flag: row.name for row in ROWS}.get(status, "none")


def _ticks(pid: int) -> int:
    # The processor time of a process: utime and stime of proc(5), behind its name in brackets.
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
    finally:
        os.close(fd)
    return int(fields[11]) + int(fields[12])


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").split("\n")
    lines = [" ".join(line.split()) for line in lines]
    found = [line for line in lines if line]
    return f": {found[-1][:200]}" if found else ""
