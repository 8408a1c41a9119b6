# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of a conversion: examine a vmcore or dump, extract its log, write a new dump."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import KdumpInitrdError
from ..saver.codec.opening import open_codec
from ..saver.crash.facts import Crash
from ..saver.crash.kernellog import save_log
from ..saver.crash.panic import LogFacts
from ..saver.dump.dumping import Dumping
from ..saver.formats.dumpfile import open_dump
from ..saver.low.failure import SaverError, describe
from ..saver.params import Params
from ..saver.report import FAILED, INCOMPLETE, SAVED, Report, ending
from ..saver.store import Store
from ..saver.store.namedfile import NamedFiles
from ..saver.store.naming import UNFINISHED
from ..saver.store.stream import Stream
from .options import STDOUT
from .output import Talk, progress_for

_STDOUT_FD = 1
_WANTED = "expected an ELF core or a kdump-compressed dump"


@dataclass(frozen=True)
class Wishes:
    """What to do with a vmcore.

    ``dump`` and ``log`` are the files to write, STDOUT, or None for neither; ``force`` allows to
    replace them. ``params`` are for the saver; its ``vmcore`` is the file to read.
    """

    params: Params
    dump: str | None
    log: str | None
    force: bool

    def check(self) -> None:
        """Refuse what would fail or do harm; raises KdumpInitrdError."""
        vmcore = self.params.vmcore
        try:
            kind = Path(vmcore).stat().st_mode
        except OSError as error:
            raise KdumpInitrdError(describe(error), hint=_way_out(error, vmcore)) from error
        if stat.S_ISDIR(kind):
            raise KdumpInitrdError(f"{vmcore}: is a folder", hint="name the dump in it")
        if not (stat.S_ISREG(kind) or stat.S_ISBLK(kind)):
            raise KdumpInitrdError(
                f"{vmcore}: not a file", hint="copy its output into a file first"
            )
        taken: list[Path] = []
        for name in (self.dump, self.log):
            if name is None or name == STDOUT:
                continue
            for each in (name, name + UNFINISHED):
                self._check_target(Path(each), taken)

    def _check_target(self, path: Path, taken: list[Path]) -> None:
        if not path.parent.is_dir():
            raise KdumpInitrdError(f"{path.parent}: no such folder", hint="create it first")
        if path.exists() and path.samefile(self.params.vmcore):
            raise KdumpInitrdError(f"{path}: is the input itself", hint="choose another name")
        if os.path.lexists(path):
            if path.exists() and not path.is_file():
                hint = "choose another name, or - for stdout"
                raise KdumpInitrdError(f"{path}: is not a regular file", hint=hint)
            if not self.force:
                raise KdumpInitrdError(f"{path}: exists already", hint="--force replaces it")
        place = path.parent.resolve() / path.name
        if place in taken:
            raise KdumpInitrdError(
                f"{path}: given for both the log and the dump", hint="choose two names"
            )
        taken.append(place)


class Conversion:
    """A vmcore that is being read, and what is made from it.

    result is saver.report's: SAVED (everything asked for is written), INCOMPLETE (part of the
    dump), FAILED (nothing). incomplete is the name of a dump that is not whole, "" for none. report
    has the fields of the saver's report that apply here, and "input", "output", "log" and "error".
    """

    def __init__(self, wishes: Wishes, talk: Talk) -> None:
        """Open the vmcore; raises KdumpInitrdError."""
        self._wishes = wishes
        self._talk = talk
        self._start = time.monotonic()
        vmcore = wishes.params.vmcore
        try:
            self._crash = crash = Crash(open_dump(vmcore))
        except (SaverError, OSError) as error:
            text = describe(error)
            place = "" if text.startswith(vmcore) else f"{vmcore}: "
            raise KdumpInitrdError(place + text, hint=_way_out(error, vmcore)) from error
        self._progress = progress_for(talk)
        self.result, self.incomplete = FAILED, ""
        self.report: dict[str, object] = {
            **Report().fields,
            **crash.identity(),
            **ending(FAILED, self._start, self._progress),
            "error": "",
            "input": vmcore,
            "output": wishes.dump,
            "log": wishes.log,
        }
        del self.report["capture_kernel"], self.report["image"]  # they may be any others

    def run(self) -> None:
        """Do what was asked for; raises SaverError, OSError, KeyboardInterrupt."""
        memory = self._crash.memory
        self._talk.detail(f"{self.report['input']}: {memory.abi.uname}, {memory}")
        problem = ""
        try:
            problem = self._split_log()
            if self._wishes.dump is None:
                self.result = FAILED if problem else SAVED
            else:
                problem = self._save(self._wishes.dump) or problem
        except BaseException as error:
            problem = describe(error)
            raise
        finally:
            self._progress.close()
            if problem and self.result == SAVED:
                self.result = INCOMPLETE
            self.report.update(ending(self.result, self._start, self._progress), error=problem)

    def summary(self) -> Iterator[str]:
        """Yield what the user wants to know of the dump."""
        report, dump = self.report, self.report["dump"]
        if not isinstance(dump, dict):
            return
        yield f"  dump      {dump['name']}"
        panic = f": {report['panic']}" if report["panic"] else ""
        yield f"  crash     {report['kernel_release']}, {report['crash_time']}{panic}"
        codec = " by ".join(word for word in (dump["codec"], dump["library"]) if word)
        yield f"  size      {dump['bytes'] / 1e6:.1f} MB, {dump['format']}, compression {codec}"
        kept = f"{dump['pages']} kept, {dump['zero_pages']} of them zero"
        left = "".join(f", {count} {kind}" for kind, count in dump["left_out"].items())
        yield f"  pages     {kept}; left out: {left[2:] or 'none'}"
        note = f" instead of {dump['wanted_level']}" if dump["level_note"] else ""
        yield f"  level     {dump['level']}{note}"
        if dump["verified"] != "none":
            yield f"  verified  {dump['verified']}, {dump['verified_pages']} pages"
            yield f"  sha256    {dump['sha256'] or dump['sha256_note']}"
        steps = "".join(f", {name} {seconds:.2f}" for name, seconds in dump["seconds"].items())
        workers = f"{dump['jobs']} worker{'s' * (dump['jobs'] > 1)}"
        yield f"  seconds   {report['seconds']:.2f}: {steps[2:]}; {workers}"

    def close(self) -> None:
        """Close the vmcore."""
        self._crash.memory.close()

    def _split_log(self) -> str:
        # The panic message is in the log, so the log is read in any case.
        log, facts, problem = self._wishes.log, LogFacts(), ""
        lines = None if log is None else self._store(log).lines(log, "")
        try:
            save_log(self._crash.memory, self._crash.info, facts, lines)
        except (SaverError, OSError) as error:
            problem = f"log: {describe(error)}"
        finally:
            self.report.update(panic=facts.panic, command_line=facts.command_line)
        if problem and log is None:
            self._talk.detail(problem)
            return ""
        if problem:
            self._talk.error(problem)
        return problem

    def _save(self, dump: str) -> str:
        params = self._wishes.params
        if params.dump.format != "elf":  # no other codec than the one that was asked for
            open_codec(params.dump.compress, self._crash.page_size)
        part = self._store(dump).dump(dump, "")
        dumping = Dumping(self._crash, params, part, console=self._talk, progress=self._progress)
        try:
            problem = dumping.run()
            if not problem:
                part.commit()
                self.result = SAVED
        finally:
            if dumping.exists:
                if self.result != SAVED:
                    self.result, self.incomplete = INCOMPLETE, part.name
                self.report["dump"] = {"name": part.name, **dumping.fields}
        return problem

    def _store(self, name: str) -> Store:
        if name == STDOUT:
            return Stream(_STDOUT_FD, STDOUT)
        return NamedFiles(self._wishes.params.targets[0].keep_free)


def _way_out(error: Exception, vmcore: str) -> str:
    """Return the hint for a vmcore that cannot be read."""
    if isinstance(error, PermissionError):
        return "this needs root"
    if isinstance(error, FileNotFoundError) and vmcore == "/proc/vmcore":
        return "it exists only in a capture kernel; name a saved dump"
    return _WANTED
