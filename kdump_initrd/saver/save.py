# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of saving a crash: folder, kernel log, dump, report."""

from __future__ import annotations

import errno
import os
import time

from .crash.dmesg import log_lines
from .crash.facts import Crash
from .crash.panic import LogFacts
from .formats.dumpfile import open_dump
from .low.failure import SpaceError, describe
from .low.progress import Progress
from .report import FAILED, FINISHING, INCOMPLETE, REFUSED, SAVED, Report
from .store.folder import (
    BESIDE,
    SCRATCH,
    UNFINISHED,
    create,
    expand,
    fit_name,
    make_folder,
    sync_folder,
    write_all,
    write_state,
)
from .store.medium import FULL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .dump.dumping import Dumping
    from .low.console import Console
    from .params import Params, TargetParams
    from .readme import Readme

_LOG_BUFFER = 32 << 10
#: How it is said that not all was saved; the place follows.
_VERDICTS = {
    INCOMPLETE: "the dump is incomplete: ",
    REFUSED: "there is no room for a dump in ",
    FAILED: "no dump could be saved in ",
}
#: Seconds for each of the last texts on a disk that may not answer.
_PATIENCE = 5.0


class Save:
    """One crash being saved. Every step's outcome is a line of the report; none stops the next.

    result is one of report.SAVED (the whole dump is safe under its final name), INCOMPLETE (a
    dump is there), REFUSED (none is, since there is no room for it) and FAILED (none is).
    """

    def __init__(self, params: Params, target: TargetParams, console: Console) -> None:
        self.params = params
        self.target = target
        self.console = console
        self.report = Report()
        self.result = FAILED
        self._start = time.monotonic()
        self._progress = Progress(console, params.talk.progress)
        self._log = LogFacts()
        self._crash: Crash | None = None
        self._folder = ""
        self._readme: Readme | None = None

    def run(self) -> None:
        """Do all steps, whatever happens to each."""
        self._step("vmcore", self._open)
        in_folder = self._step("folder", self._make_folder)
        if in_folder and self.params.names.readme:
            self._step("readme", self._begin_readme)
        if self._crash:
            saved_log = self._step("dmesg", self._save_log)
            if not (in_folder and saved_log):
                for line in self._log.tail:
                    self.console.info(line)
            if in_folder:
                self._step("report", self.report.write)
                self._step("dump", self._save_dump)
        fields = self.report.fields
        fields["result"] = self.result
        fields["seconds"] = round(time.monotonic() - self._start, 3)
        self._progress.feed()
        fields["rss_anon_kib"] = self._progress.peak + self._progress.others
        if self._readme:
            self._last("readme", self._readme.end)
        self._last("report", lambda: self.report.write(last=True))
        where = self._folder or self.target.path
        if self.result == SAVED:
            self.console.info(f"the dump is in {where} ({fields['seconds']} s)")
        else:
            self.console.error(_VERDICTS[self.result] + where)

    def close(self) -> None:
        """Close what is open."""
        self._progress.close()
        if self._crash:
            self._crash.memory.close()

    def _last(self, name: str, work: Callable[[], object]) -> None:
        if self.result == SAVED:
            self._step(name, work)
            return
        from .low.deadline import within

        self._step(name, lambda: within(_PATIENCE, work))

    def _step(self, name: str, work: Callable[[], object]) -> bool:
        # The steps that write about the others are in the report only if they fail.
        start = time.monotonic()
        detail, result = "", "done"
        try:
            found = work()
            if isinstance(found, str):
                detail = found
        except BaseException as error:
            detail, result = describe(error), FAILED
            self.console.error(f"{name}: {detail}")
            if name == "dump" and self.result == FAILED and _wants_room(error):
                self.result = REFUSED
        if name == "dump":
            result = "done" if self.result == SAVED else self.result
        if name not in ("report", "readme") or result == FAILED:
            self.report.add(name, result, seconds=time.monotonic() - start, detail=detail)
        self._progress.feed()
        return result != FAILED

    def _open(self) -> str:
        self._crash = crash = Crash(open_dump(self.params.vmcore))
        self.report.fields.update(crash.identity())
        if crash.info.page_size() is None:
            self.console.warning(f"no page size in VMCOREINFO: {crash.page_size} bytes are assumed")
        return f"{crash.memory.abi.uname}, {crash.memory}"

    def _time(self) -> int:
        return self._crash.time if self._crash else int(time.time())

    def _make_folder(self) -> str:
        params, target, seconds = self.params, self.target, self._time()
        name, last = expand(params.names.directory, seconds), f"crash-{seconds}"
        self._folder, note = make_folder(target.path, name, last=last, mount=target.mount)
        if params.talk.state:
            write_state(params.talk.state, self._folder)
        self.report.open(self._folder)
        return self._noted(self._folder, note)

    def _noted(self, detail: str, note: str) -> str:
        # A step's detail, and what is not as wished: that is said at once.
        if note:
            self.console.warning(note)
        return "; ".join([text for text in (detail, note) if text])

    def _fit(self, kind: str, *suffixes: str) -> tuple[str, str]:
        # The name of a file of the crash's folder, and a note on it.
        seconds = self._time()
        name = expand(getattr(self.params.names, kind), seconds)
        return fit_name(self._folder, name, last=f"{kind}-{seconds}", suffixes=("", *suffixes))

    def _begin_readme(self) -> None:
        from .readme import Readme

        name, note = self._fit("readme", BESIDE)
        self._noted("", note)
        self._readme = Readme(self.report, self._folder, name)
        self._readme.begin()

    def _save_log(self) -> str:
        try:
            return self._write_log()
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._noted("", f"dmesg: {describe(error)}: it is written a second time, elsewhere")
            self._log = LogFacts()
            return self._write_log()

    def _write_log(self) -> str:
        assert self._crash is not None
        fd = -1
        path = note = ""
        count = 0
        held: list[bytes] = []
        size = 0
        if self._folder:
            name, note = self._fit("dmesg")
            path = os.path.join(self._folder, name)
            fd = create(path)
        try:
            for line in log_lines(self._crash.memory, self._crash.info):
                self._log.see(line)
                held.append(line)
                count += 1
                size += len(line)
                if size > _LOG_BUFFER:
                    _write_lines(fd, held)
                    size = 0
        finally:
            self.report.fields.update(panic=self._log.panic, command_line=self._log.command_line)
            _end_log(fd, held, path, count)
        if self._folder:
            sync_folder(self._folder)
        if self._log.panic:
            self.console.info(f"the crashed kernel said: {self._log.panic}")
        return self._noted(f"{count} lines", note)

    def _save_dump(self) -> str:
        from .dump.dumping import Dumping

        name, note = self._fit("dump", UNFINISHED, UNFINISHED + SCRATCH)
        note = self._noted("", note)
        if self.params.dump.collector:
            from .dump.collector import Collected

            if self._step("collector", lambda: self._write_dump(Collected, name)):
                return note
            self.console.warning("the saver writes the dump itself")
        return self._write_dump(Dumping, name) or note

    def _write_dump(self, kind: type[Dumping], name: str) -> str:
        assert self._crash is not None
        path = os.path.join(self._folder, name)
        dumping = kind(
            self._crash,
            self.params,
            keep_free=self.target.keep_free,
            console=self.console,
            progress=self._progress,
        )
        try:
            problem = dumping.run(path + UNFINISHED)
        finally:
            if dumping.exists:
                self.result = INCOMPLETE
                self.report.fields["dump"] = {"name": name + UNFINISHED, **dumping.fields}
        if not problem:
            # A report that is true before the dump has its final name, and after that.
            self.report.fields.update(result=FINISHING, dump={"name": name, **dumping.fields})
            self._step("report", self.report.write)
            try:
                os.rename(path + UNFINISHED, path)
            except OSError:
                self.report.fields["dump"] = {"name": name + UNFINISHED, **dumping.fields}
                raise
            sync_folder(self._folder)
            self.result = SAVED
        return problem


def _wants_room(error: BaseException) -> bool:
    return isinstance(error, SpaceError) and error.code in FULL


def _write_lines(fd: int, held: list[bytes]) -> None:
    if fd >= 0:
        write_all(fd, b"".join(held))
    del held[:]


def _end_log(fd: int, held: list[bytes], path: str, count: int) -> None:
    if fd < 0:
        return
    safe = False
    try:
        write_all(fd, b"".join(held))
        os.fsync(fd)
        safe = True
    except OSError as error:
        safe = error.errno != errno.EIO  # what fits of it stays
        raise
    finally:
        os.close(fd)
        if not (safe and count):
            os.unlink(path)
