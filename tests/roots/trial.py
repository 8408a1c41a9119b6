# SPDX-License-Identifier: GPL-2.0-or-later
"""One run of the command in a process of its own: what it said, took, opened and left alone."""

from __future__ import annotations

import importlib
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import kdump_initrd

#: What a run may take: seconds on the clock, bytes in memory.
SECONDS, MEMORY = 20.0, 500 << 20
#: Events that change files, and how many of their arguments are paths.
_CHANGES = {
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.chown"), 1),
    **dict.fromkeys(("os.truncate", "os.utime"), 1),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink"), 2),
}


def _load() -> None:
    """Import all modules once; else each run's process would do that again."""
    for module in pkgutil.walk_packages(kdump_initrd.__path__, "kdump_initrd."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


_load()
#: What this process had when no test had been run in it, in bytes.
_BARE = _resident()


@dataclass(frozen=True)
class Trial:
    """What came of a run.

    ``status`` is below zero for a signal, None where the time was over; ``memory`` is the largest
    resident set of it and its children, in bytes, without what other tests have left in this
    process; ``opened`` are the absolute paths that were read or written, and ``changed`` those
    that were made, changed or removed.
    """

    status: int | None
    said: str
    seconds: float
    memory: int
    opened: tuple[str, ...]
    changed: tuple[str, ...]


def run(argv: Sequence[str]) -> Trial:
    """Run ``mkinitrd-kdump`` with the words ``argv`` in a fork of this process."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as heard:
        start = time.monotonic()
        grown = max(0, _resident() - _BARE)  # a fork begins with it
        child = os.fork()
        if child == 0:
            _work(argv, said.fileno(), heard.fileno())
        status, usage = _wait(child, start + SECONDS)
        seconds = time.monotonic() - start
        said.seek(0)
        heard.seek(0)
        events = [line.partition(b" ") for line in heard.read().split(b"\0") if line]
        return Trial(
            status,
            said.read().decode(errors="replace"),
            seconds,
            (usage.ru_maxrss << 10) - grown,
            tuple(os.fsdecode(path) for kind, _, path in events if kind == b"opened"),
            tuple(os.fsdecode(path) for kind, _, path in events if kind == b"changed"),
        )


def _wait(child: int, end: float) -> tuple[int | None, resource.struct_rusage]:
    late = False
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return None if late else os.waitstatus_to_exitcode(status), usage
        if time.monotonic() > end:
            late = True
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        time.sleep(0.005)


def _work(argv: Sequence[str], said: int, heard: int) -> NoReturn:
    status = 70
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for number, descriptor in ((0, null), (1, said), (2, said)):
            os.dup2(descriptor, number)
        sys.stdout = os.fdopen(1, "w", errors="backslashreplace", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        resource.setrlimit(resource.RLIMIT_AS, (4 * MEMORY, 4 * MEMORY))
        sys.addaudithook(_Ear(heard).hear)
        from kdump_initrd.commands import mkinitrd

        status = mkinitrd.main(argv)
        sys.stdout.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


class _Ear:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._known: set[tuple[str, str]] = set()
        self._pid = os.getpid()

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if os.getpid() != self._pid:
            return  # a process of its own may not write
        if event == "open":
            writing = arguments[2] & (os.O_ACCMODE | os.O_CREAT | os.O_TRUNC)
            self._note("changed" if writing else "opened", arguments[:1])
        elif event in ("os.listdir", "os.scandir"):
            self._note("opened", arguments[:1])
        elif event in _CHANGES:
            self._note("changed", arguments[: _CHANGES[event]])

    def _note(self, kind: str, paths: Sequence[Any]) -> None:
        for path in paths:
            if isinstance(path, (str, bytes, os.PathLike)):
                name = os.fsdecode(path)
                if name.startswith("/") and (kind, name) not in self._known:
                    self._known.add((kind, name))
                    os.write(self._descriptor, kind.encode() + b" " + os.fsencode(name) + b"\0")
