# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be saved when there is no time for a dump: last words, kernel log, report."""

from __future__ import annotations

import time

from .crash.facts import Crash
from .crash.kernellog import save_log
from .crash.panic import LogFacts
from .crashplace import known_place, make_place
from .formats.dumpfile import open_dump
from .low.failure import describe
from .low.jsontext import loads
from .report import FAILED, INCOMPLETE, Report
from .store import open_store
from .store.naming import REPORT, Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .commandline import Request
    from .low.console import Console
    from .params import Params
    from .store import Store


def save_little(request: Request, console: Console) -> bool:
    """Say the crashed kernel's last words, save its log, and write the reason into the report.

    That is the report in the folder that params.talk.state names, if there is one; else in a new
    folder. If nothing is mounted for the target, only the last words are said. Returns whether a
    report was written; raises nothing, but may hang on a disk that does.
    """
    params, reason = request.params, request.emergency
    console.error(f"{reason}: only what is quick is saved")
    report = Report(request.attempts, request.hooks)
    crash = _open(params, console)
    facts = LogFacts()
    if crash:
        _attempt(console, "dmesg", lambda: save_log(crash.memory, crash.info, facts))
    # First what needs no disk.
    for line in facts.tail:
        console.error(line)
    try:
        store = open_store(request.target)
        if not store.is_there():
            return False
        names = Names(params.names, crash.time if crash else int(time.time()))
        store.resume(known_place(params.talk.state))
        if not store.where:
            make_place(store, names, params.talk.state)
        _take_over(store, report)
        report.add("emergency", FAILED, seconds=0.0, detail=reason)
        if crash:
            _attempt(console, "dmesg", lambda: _save_log(store, crash, names))
            _tell(report, crash, facts)
        _settle(store, report)
        report.fields["reason"] = reason
        report.open(store)
        report.write(last=True)
    except Exception as error:
        console.error(f"emergency: {describe(error)}")
        return False
    console.error(f"what could be saved is in {store.where}")
    return True


def _attempt(console: Console, name: str, work: Callable[[], object]) -> None:
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


def _take_over(store: Store, report: Report) -> None:
    # What the saver wrote before it ended.
    try:
        old = loads(store.read(REPORT).decode())
    except ValueError:
        return
    if isinstance(old, dict):
        steps = old.pop("steps", None)
        report.fields.update(old)
        if isinstance(steps, list):
            report.steps.extend(steps)


def _save_log(store: Store, crash: Crash, names: Names) -> None:
    name, last = names.of("dmesg")
    if not store.has(name):  # the saver's first work
        save_log(crash.memory, crash.info, LogFacts(), store.lines(name, last))


def _tell(report: Report, crash: Crash, facts: LogFacts) -> None:
    report.fields.update(crash.identity(), panic=facts.panic, command_line=facts.command_line)


def _settle(store: Store, report: Report) -> None:
    # What there is of a dump, and what that makes of the result.
    fields = report.fields
    if fields["result"] not in (INCOMPLETE, FAILED):
        return  # the dump is whole
    parts = store.parts()
    if parts and not fields["dump"]:
        name, size = parts[0]
        fields["dump"] = {"name": name, "bytes": size}
    fields["result"] = INCOMPLETE if parts else FAILED
