# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of saving a crash: folder, kernel log, dump, report."""

from __future__ import annotations

import errno
import time

from .crash.facts import Crash
from .crash.kernellog import save_log
from .crash.panic import LogFacts
from .crashplace import make_place, tell
from .formats.dumpfile import open_dump
from .low.failure import SpaceError, describe
from .low.progress import Progress
from .report import FAILED, FINISHING, INCOMPLETE, LOGGED, REFUSED, SAVED, Report, ending
from .store import open_store
from .store.medium import FULL
from .store.naming import Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .commandline import Request
    from .dump.dumping import Dumping
    from .low.console import Console
    from .oldcrashes import Older
    from .readme import Readme
    from .store import Part

#: How it is said that not all was saved; the place follows.
_VERDICTS = {
    INCOMPLETE: "the dump is incomplete: ",
    REFUSED: "there is no room for a dump in ",
    FAILED: "no dump could be saved in ",
}
#: The module with Older. No import statement names it: most images do not have it.
OLDER = "kdump_initrd.saver.oldcrashes"
#: Seconds for each of the last texts on a disk that may not answer.
_PATIENCE = 5.0


class Save:
    """One crash being saved. Every step's outcome is a line of the report; none stops the next.

    result is one of report.SAVED (the whole dump is safe under its final name), LOGGED (only the
    log was asked for), INCOMPLETE (a dump is there), REFUSED (none is, since there is no room for
    it) and FAILED (none is).
    """

    def __init__(self, request: Request, console: Console) -> None:
        self.params = params = request.params
        self.target = target = request.target
        self.console = console
        self.report = Report(request.attempts, request.hooks)
        self.result = FAILED
        self._why = ""
        self._start = time.monotonic()
        self._progress = Progress(console, params.talk.progress, params.limits.floor_rate << 20)
        self._log = LogFacts()
        self._crash: Crash | None = None
        self._store = open_store(target)
        self._names = Names(params.names, 0)
        self._readme: Readme | None = None
        self._older: Older | None = None
        self._loop = ""

    def run(self) -> None:
        """Do all steps, whatever happens to each."""
        self._step("vmcore", self._open)
        in_folder = self._step("folder", self._make_place)
        if in_folder and self.params.names.readme:
            self._step("readme", self._begin_readme)
        if self._crash:
            saved_log = self._step("dmesg", self._save_log)
            if not (in_folder and saved_log):
                for line in self._log.tail:
                    self.console.info(line)
            if in_folder:
                self._step("report", self.report.write)
                if self._wants_dump():
                    self._step("dump", self._save_dump)
                elif saved_log:
                    self.result = LOGGED
        fields = self.report.fields
        self._progress.feed()
        fields.update(ending(self.result, self._start, self._progress))
        if self._readme:
            self._last("readme", self._readme.end)
        self._last("report", lambda: self.report.write(last=True))
        where = self._store.where or self.target.path
        if self.result == SAVED:
            self.console.info(f"the dump is in {where} ({fields['seconds']} s)")
        elif self.result == LOGGED:
            self.console.info(f"the kernel log is in {where}, and no dump was to be saved")
        else:
            self.console.error(_VERDICTS[self.result] + where)
            tell(self.params.talk.why, self._why.replace("\n", " ").encode("utf-8", "replace"))

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
        if name in ("vmcore", "folder", "dmesg", "dump") and result != "done":
            self._why = f"{name}: {detail}"
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

    def _make_place(self) -> str:
        self._names = Names(self.params.names, self._time())
        note = make_place(self._store, self._names, self.params.talk.state)
        self.report.open(self._store)
        return self._noted(self._store.where, note)

    def _noted(self, detail: str, note: str) -> str:
        # A step's detail, and what is not as intended: that is said at once.
        if note:
            self.console.warning(note)
        return "; ".join([text for text in (detail, note) if text])

    def _begin_readme(self) -> None:
        from .readme import Readme

        text = self._store.text(*self._names.of("readme"))
        self._noted("", text.note)
        self._readme = Readme(self.report, text)
        self._readme.begin()

    def _save_log(self) -> str:
        try:
            return self._write_log()
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._noted("", f"dmesg: {describe(error)}: it is written again, elsewhere")
            self._log = LogFacts()
            return self._write_log()

    def _write_log(self) -> str:
        assert self._crash is not None
        lines = self._store.lines(*self._names.of("dmesg")) if self._store.where else None
        try:
            count = save_log(self._crash.memory, self._crash.info, self._log, lines)
        finally:
            self.report.fields.update(panic=self._log.panic, command_line=self._log.command_line)
        if self._log.panic:
            self.console.info(f"the crashed kernel said: {self._log.panic}")
        return self._noted(f"{count} lines", lines.note if lines else "")

    def _wants_dump(self) -> bool:
        # Whether more than the log is to be saved. What looks at older crashes is only in images
        # that have a rule for it.
        limits, target = self.params.limits, self.target
        if self.params.dump.format == "none":
            return False
        if limits.loop_crashes or target.keep or target.max_age or target.max_use:
            self._step("older crashes", self._look_back)
        return not self._loop

    def _look_back(self) -> str:
        module = __import__(OLDER, fromlist=["Older"])
        self._older = module.Older(self.params, self.target, self._store.where, self._time())
        self._loop = self._older.loop()
        return self._noted("", self._loop and f"{self._loop}: only the kernel log is saved")

    def _make_room(self, size: int, room: int) -> bool:
        assert self._older is not None
        return self._older.make_room(size, room, self.console)

    def _save_dump(self) -> str:
        from .dump.dumping import Dumping

        part = self._store.dump(*self._names.of("dump"))
        part.retain = self._make_room if self._older else None
        note = self._noted("", part.note)
        if self.params.dump.collector:
            from .dump.collector import Collected

            if self._step("collector", lambda: self._write_dump(Collected, part)):
                return note
            self.console.warning("the saver writes the dump itself")
        return self._write_dump(Dumping, part) or note

    def _write_dump(self, kind: type[Dumping], part: Part) -> str:
        assert self._crash is not None
        fields = self.report.fields
        dumping = kind(
            self._crash, self.params, part, console=self.console, progress=self._progress
        )
        try:
            problem = dumping.run()
        finally:
            if dumping.exists:
                self.result = INCOMPLETE
                fields["dump"] = {"name": part.name, **dumping.fields}
        if not problem:
            # A report that is true before the dump has its final name, and after that.
            fields.update(result=FINISHING, dump={"name": part.final, **dumping.fields})
            self._step("report", self.report.write)
            try:
                part.commit()
            finally:
                fields["dump"] = {"name": part.name, **dumping.fields}
            self.result = SAVED
        return problem


def _wants_room(error: BaseException) -> bool:
    return isinstance(error, SpaceError) and error.code in FULL
