# SPDX-License-Identifier: GPL-2.0-or-later
"""The saver on an input that nobody made, in a process of its own: what must be true whatever
that input is."""

from __future__ import annotations

import json
import os
import re
import resource
import select
import shutil
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdump_initrd.saver.__main__ import main
from kdump_initrd.saver.crash.dmesg import log_lines
from kdump_initrd.saver.formats.dumpfile import open_dump, pages_of
from kdump_initrd.saver.low import libc
from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.memory.vmcoreinfo import VmcoreInfo

from .running import arguments
from .vmcore import PAGE

#: Bytes of address space that the saver may take besides what this process has already.
MEMORY = 64 << 20
_ESCAPED = 99
#: How an exception that nobody expects is told.
_BUG = re.compile(r"\w+: [^\n]*\(\w+\.py:\d+\)|out of memory[^\n]*")


@dataclass(frozen=True)
class Attempt:
    """How a run ended.

    status is the exit status (negative for a signal, None for no end), seconds those of the
    processor, log the kernel log that a reader finds in the input, None for none.
    """

    status: int | None
    seconds: float
    said: str
    folder: Path | None
    report: dict[str, Any]
    log: bytes | None

    @property
    def dumps(self) -> list[Path]:
        return sorted(self.folder.glob("vmcore*")) if self.folder else []

    @property
    def saved_log(self) -> bytes:
        path = self.folder / "dmesg" if self.folder else None
        return path.read_bytes() if path and path.exists() else b""


def attempt(
    vmcore: Path,
    output: Path,
    options: dict[str, object],
    *,
    limit: float = 20,
    before: Callable[[], object] = lambda: None,
) -> Attempt:
    """Run the saver for so many seconds at most; before is called in its process."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    pid = os.fork()
    if not pid:
        _child(vmcore, output, before, options)
    status, seconds = _wait(pid, limit)
    folder = output / "out" / "crash"
    report = folder / "report.json"
    log = output / "log"
    return Attempt(
        status,
        seconds,
        (output / "said").read_text(errors="replace"),
        folder if folder.exists() else None,
        json.loads(report.read_text()) if report.exists() else {},
        log.read_bytes() if log.exists() else None,
    )


def _child(
    vmcore: Path, output: Path, before: Callable[[], object], options: dict[str, object]
) -> None:
    status = _ESCAPED
    try:
        fd = os.open(output / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        os.fsync = os.fdatasync = lambda fd: None  # the disk is not what is tried
        libc.sync_range = lambda *_: 0
        before()
        options = {"dmesg_name": "dmesg", **options}
        status = main(arguments(vmcore, output / "out", **options))
        _reference(vmcore, output / "log")
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _reference(vmcore: Path, log: Path) -> None:
    # What there is of a log, without the rest of the saver.
    lines: list[bytes] = []
    try:
        memory = open_dump(str(vmcore))
        for line in log_lines(memory, VmcoreInfo(memory.notes.vmcoreinfo)):
            lines.append(line)
    except Exception:
        if not lines:
            return
    log.write_bytes(b"".join(lines))


def _wait(pid: int, limit: float) -> tuple[int | None, float]:
    fd = os.pidfd_open(pid)
    try:
        if not select.select([fd], [], [], limit)[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None, limit
        _, status, usage = os.wait4(pid, 0)
        return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
    finally:
        os.close(fd)


def problems(done: Attempt, *, seconds: float = 8) -> list[str]:
    """Return what must not be: nothing, or lines that say it."""
    found = []
    if done.status is None:
        return ["it has no end"]
    if done.status not in (0, 1, 2, 3, 4):
        found.append(f"exit status {done.status}")
    if done.seconds > seconds:
        found.append(f"{done.seconds:.1f} seconds")
    if "Traceback" in done.said:
        found.append(done.said)
    found += [f"a bug: {match[0]}" for match in _BUG.finditer(done.said)]
    if done.log and not done.saved_log.startswith(done.log):
        found.append("the log is there, but was not saved")
    if (done.status in (0, 1)) != bool(done.dumps):
        found.append(f"exit status {done.status}, and {len(done.dumps)} dumps")
    result = {0: "saved", 1: "incomplete", 3: "failed", 4: "refused"}.get(done.status)
    if done.report and done.report["result"] != result:
        found.append(f"exit status {done.status}, and the report says {done.report['result']}")
    for path in done.dumps:
        found += _unreadable(path, done)
    return found


def _unreadable(path: Path, done: Attempt) -> list[str]:
    missing: list[int] = []
    try:
        memory = open_dump(str(path))
    except (SaverError, OSError) as error:
        return [f"{path.name} cannot be read: {error}"]
    if not done.report["dump"]["pages"]:
        memory.close()
        return []
    try:
        info = VmcoreInfo(memory.notes.vmcoreinfo)
        page = memory.page_size or info.page_size() or PAGE
        pages = pages_of(memory, page)
        for pfn, count in list(pages.runs())[:20]:
            for each in {pfn, pfn + count // 2, pfn + count - 1}:
                if pages.page(each) is None:
                    missing.append(each)
        if missing and not done.status:
            return [f"{path.name} lacks the page {missing[0]:#x}"]
    except (SaverError, OSError) as error:
        return [f"{path.name} cannot be read: {error}"]
    finally:
        memory.close()
    return []
