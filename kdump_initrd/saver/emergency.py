# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be saved when there is no time for a dump: last words, kernel log, report."""

from __future__ import annotations

import os
import time

from .crash.dmesg import log_lines
from .crash.facts import Crash
from .crash.panic import LogFacts
from .formats.dumpfile import open_dump
from .low.failure import describe
from .low.jsontext import loads
from .report import FAILED, INCOMPLETE, Report
from .store.beneath import is_mounted
from .store.folder import (
    REPORT,
    UNFINISHED,
    create,
    expand,
    fit_name,
    make_folder,
    sync_folder,
    write_all,
    write_state,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .low.console import Console
    from .params import Params, TargetParams

#: Bytes of an older report that are read.
_MAX_REPORT = 1 << 20


def save_little(params: Params, target: TargetParams, console: Console, *, reason: str) -> bool:
    """Say the crashed kernel's last words, save its log, and write the reason into the report.

    That is the report of the folder that params.talk.state names, if there is one; else of a new
    folder. Where nothing is mounted for the target, the last words are all. Returns whether a
    report was written; raises nothing, but may hang on a disk that does.
    """
    console.error(f"{reason}: only what takes no time is saved")
    report = Report()
    crash = _open(params, console)
    facts = LogFacts()
    if crash:
        _attempt(console, "dmesg", lambda: _see(crash, facts))
    # First: for this no disk is needed.
    for line in facts.tail:
        console.error(line)
    try:
        if target.mount and not is_mounted(target.mount):
            return False
        folder = _find_folder(params, target, crash)
        _take_over(folder, report)
        report.add("emergency", FAILED, seconds=0.0, detail=reason)
        if crash:
            _attempt(console, "dmesg", lambda: _save_log(params, crash, folder))
            _tell(report, crash, facts)
        _settle(folder, report)
        report.fields["reason"] = reason
        report.open(folder)
        report.write(last=True)
    except Exception as error:
        console.error(f"emergency: {describe(error)}")
        return False
    console.error(f"what could be saved is in {folder}")
    return True


def _attempt(console: Console, name: str, work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:
        console.error(f"{name}: {describe(error)}")


def _open(params: Params, console: Console) -> Crash | None:
    try:
        return Crash(open_dump(params.vmcore))
    except Exception as error:
        console.error(f"vmcore: {describe(error)}")
        return None


def _see(crash: Crash, facts: LogFacts) -> None:
    for line in log_lines(crash.memory, crash.info):
        facts.see(line)


def _find_folder(params: Params, target: TargetParams, crash: Crash | None) -> str:
    state = params.talk.state
    known = _read(state, 1 << 12).rstrip(b"\n") if state else b""
    if known:
        return os.fsdecode(known)
    seconds = crash.time if crash else int(time.time())
    name, last = expand(params.names.directory, seconds), f"crash-{seconds}"
    folder, _ = make_folder(target.path, name, last=last, mount=target.mount)
    if state:
        write_state(state, folder)
    return folder


def _read(path: str, size: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, size)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _take_over(folder: str, report: Report) -> None:
    # What the saver has written before it ended.
    try:
        old = loads(_read(os.path.join(folder, REPORT), _MAX_REPORT).decode())
    except ValueError:
        return
    if isinstance(old, dict):
        steps = old.pop("steps", None)
        report.fields.update(old)
        if isinstance(steps, list):
            report.steps.extend(steps)


def _save_log(params: Params, crash: Crash, folder: str) -> None:
    pattern, last = params.names.dmesg, f"dmesg-{crash.time}"
    name = expand(pattern, crash.time)
    if os.path.exists(os.path.join(folder, name)):
        return  # the saver's first work
    name, _ = fit_name(folder, name, last=last, suffixes=("",))
    fd = create(os.path.join(folder, name))
    try:
        for line in log_lines(crash.memory, crash.info):
            write_all(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_folder(folder)


def _tell(report: Report, crash: Crash, facts: LogFacts) -> None:
    report.fields.update(crash.identity(), panic=facts.panic, command_line=facts.command_line)


def _settle(folder: str, report: Report) -> None:
    # What there is of a dump, and what that makes of the result.
    fields = report.fields
    if fields["result"] not in (INCOMPLETE, FAILED):
        return  # the dump is whole
    parts = [name for name in sorted(os.listdir(folder)) if name.endswith(UNFINISHED)]
    if parts and not fields["dump"]:
        size = os.stat(os.path.join(folder, parts[0])).st_size
        fields["dump"] = {"name": parts[0], "bytes": size}
    fields["result"] = INCOMPLETE if parts else FAILED
