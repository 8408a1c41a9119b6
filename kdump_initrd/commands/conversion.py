# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of a conversion: look at a vmcore or dump, split out its log, write it anew."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..core.errors import KdumpInitrdError
from ..saver.codec.opening import open_codec
from ..saver.crash.dmesg import log_lines
from ..saver.crash.facts import Crash
from ..saver.crash.panic import LogFacts
from ..saver.dump.dumping import Dumping
from ..saver.formats.dumpfile import open_dump
from ..saver.low.failure import SaverError, describe
from ..saver.params import Params
from ..saver.report import FAILED, INCOMPLETE, SAVED
from ..saver.store.folder import UNFINISHED, create, sync_folder, write_all
from .options import STDOUT
from .output import Talk, progress_for

_STDOUT_FD = 1
_WANTED = "expected an ELF core or a kdump-compressed dump"


@dataclass(frozen=True)
class Wishes:
    """What is to be done with a vmcore.

    ``dump`` and ``log`` are the files to write, STDOUT, or None for none; ``force`` replaces
    them. ``params`` are for the saver; its ``vmcore`` is what is read.
    """

    params: Params
    dump: str | None
    log: str | None
    force: bool

    def check(self) -> None:
        """Refuse what would fail, or would do harm; raises KdumpInitrdError."""
        vmcore = self.params.vmcore
        try:
            kind = Path(vmcore).stat().st_mode
        except OSError as error:
            raise KdumpInitrdError(describe(error), hint=_way_out(error, vmcore)) from error
        if stat.S_ISDIR(kind):
            raise KdumpInitrdError(f"{vmcore}: is a folder", hint="name the dump in it")
        if not (stat.S_ISREG(kind) or stat.S_ISBLK(kind)):
            raise KdumpInitrdError(f"{vmcore}: not a file", hint="copy what it gives into one")
        taken: list[Path] = []
        for name in (self.dump, self.log):
            if name is None or name == STDOUT:
                continue
            for each in (name, name + UNFINISHED):
                self._check_target(Path(each), taken)

    def _check_target(self, path: Path, taken: list[Path]) -> None:
        if not path.parent.is_dir():
            raise KdumpInitrdError(f"{path.parent}: no such folder", hint="make it first")
        if path.exists() and path.samefile(self.params.vmcore):
            raise KdumpInitrdError(f"{path}: that is what is read", hint="say another name")
        if os.path.lexists(path):
            if path.exists() and not path.is_file():
                hint = "say another name, or - for stdout"
                raise KdumpInitrdError(f"{path}: no regular file", hint=hint)
            if not self.force:
                raise KdumpInitrdError(f"{path}: is there already", hint="--force replaces it")
        place = path.parent.resolve() / path.name
        if place in taken:
            raise KdumpInitrdError(f"{path}: for the log and the dump", hint="say two names")
        taken.append(place)


class Conversion:
    """One vmcore being read, and what is made of it.

    result is saver.report's: SAVED (all that was wished for is there), INCOMPLETE (a part of the
    dump), FAILED (nothing). incomplete is the name of a dump that is not whole, "" for none.
    report has the fields of the saver's report that make sense here, and "input", "output",
    "log", "error".
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
            "version": __version__,
            "result": FAILED,
            "error": "",
            "input": vmcore,
            "output": wishes.dump,
            "log": wishes.log,
            "kernel_release": crash.uts["release"],
            "build_id": crash.info.build_id(),
            "panic": "",
            "command_line": "",
            "crash_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(crash.time)),
            "dump": None,
            "seconds": 0.0,
            "rss_anon_kib": 0,
        }

    def run(self) -> None:
        """Do what is wished for; raises SaverError, OSError, KeyboardInterrupt."""
        memory = self._crash.memory
        self._talk.detail(f"{self.report['input']}: {memory.abi.uname}, {memory}")
        problem = ""
        try:
            problem = self._split_log()
            if self._wishes.dump is None:
                self.result = FAILED if problem else SAVED
            else:
                problem = self._save() or problem
        except BaseException as error:
            problem = describe(error)
            raise
        finally:
            self._progress.close()
            if problem and self.result == SAVED:
                self.result = INCOMPLETE
            self.report.update(
                result=self.result,
                error=problem,
                seconds=round(time.monotonic() - self._start, 3),
                rss_anon_kib=self._progress.peak + self._progress.others,
            )

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
        # The panic message is in the log: that is read, wanted or not.
        log, facts, problem = self._wishes.log, LogFacts(), ""
        fd, size = self._open_log(), 0
        try:
            for line in log_lines(self._crash.memory, self._crash.info):
                facts.see(line)
                if fd >= 0:
                    write_all(fd, line)
                    size += len(line)
        except BrokenPipeError:
            fd = -1  # nobody listens any more, as in `| head`
        except (SaverError, OSError) as error:
            problem = f"log: {describe(error)}"
        finally:
            self.report.update(panic=facts.panic, command_line=facts.command_line)
            if fd > _STDOUT_FD:
                _end_log(fd, str(log), size=size, complete=not problem)
        if problem and log is None:
            self._talk.detail(problem)
            return ""
        if problem:
            self._talk.error(problem)
        return problem

    def _open_log(self) -> int:
        log = self._wishes.log
        if log is None:
            return -1
        return _STDOUT_FD if log == STDOUT else create(_fresh(log))

    def _save(self) -> str:
        dump = str(self._wishes.dump)
        params = self._wishes.params
        if params.dump.format != "elf":  # no other codec than the one that was asked for
            open_codec(params.dump.compress, self._crash.page_size)
        dumping = Dumping(
            self._crash,
            params,
            keep_free=params.targets[0].keep_free,
            console=self._talk,
            progress=self._progress,
        )
        name = dump if dump == STDOUT else dump + UNFINISHED
        try:
            if dump == STDOUT:
                problem = dumping.stream(_STDOUT_FD)
            else:
                problem = dumping.run(_fresh(dump))
                if not problem:
                    _publish(dump)
                    name = dump
            if not problem:
                self.result = SAVED
        finally:
            if dumping.exists:
                if self.result != SAVED:
                    self.result, self.incomplete = INCOMPLETE, name
                self.report["dump"] = {"name": name, **dumping.fields}
        return problem


def _fresh(name: str) -> str:
    # The name while it is being written; what has it goes, as Wishes.check allowed.
    path = Path(name + UNFINISHED)
    path.unlink(missing_ok=True)
    return str(path)


def _publish(name: str) -> None:
    Path(name + UNFINISHED).replace(name)
    sync_folder(str(Path(name).parent))


def _end_log(fd: int, name: str, *, size: int, complete: bool) -> None:
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
        if not size:
            Path(name + UNFINISHED).unlink()
    if complete and size:
        _publish(name)


def _way_out(error: Exception, vmcore: str) -> str:
    """Return the hint for a vmcore that cannot be read."""
    if isinstance(error, PermissionError):
        return "this needs root"
    if isinstance(error, FileNotFoundError) and vmcore == "/proc/vmcore":
        return "it is there in a capture kernel only; name a dump that was saved"
    return _WANTED
