# SPDX-License-Identifier: GPL-2.0-or-later
"""A separate, limited process for work on files that others wrote; it returns only text."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ..core.errors import KdumpInitrdError

#: What the process may take: processor time in seconds, memory beyond its parent's in bytes.
SECONDS, MEMORY = 3, 256 << 20
#: How long its parent waits at most, in seconds: the processor may be busy with other work.
_PATIENCE = 15.0
#: The largest text that it may return, in characters, and what that takes as JSON, in bytes.
_TEXT = 8 << 20
_JSON = 6 * _TEXT + 4096
_CHUNK = 1 << 16


class Overdue(BaseException):
    """The time is over. Not an Exception, so that no handler on the way catches it."""


@dataclass(frozen=True)
class Outcome:
    """What comes back: a text and what a root was asked for it, or an error and its hint."""

    text: str = ""
    looked: tuple[str, ...] = ()
    error: str = ""
    hint: str | None = None


def confine(work: Callable[[], Outcome], *, name: str) -> Outcome:
    """Return what ``work`` does in a process of its own; ``name`` is what it is done for.

    In that process, Overdue is raised when the time is over, MemoryError when the memory is used
    up. Raises KdumpInitrdError for an outcome that is an error, and if there is no outcome because
    the process did not end, or was killed.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work(work, writer, name)
    os.close(writer)
    try:
        data = _receive(reader)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if data is None:
        raise KdumpInitrdError(f"{name}: does not finish")
    try:
        outcome = Outcome(**json.loads(data))
    except ValueError:
        raise KdumpInitrdError(
            f"{name}: takes longer than {SECONDS} s, or too much memory"
        ) from None
    if outcome.error:
        raise KdumpInitrdError(outcome.error, hint=outcome.hint)
    return outcome


def _work(work: Callable[[], Outcome], writer: int, name: str) -> NoReturn:
    # Nothing of the parent's must be cleaned up here: neither its buffers nor its files.
    try:
        _limit()
        outcome = work()
        if len(outcome.text) > _TEXT:
            outcome = Outcome(error=f"{name}: makes a text larger than {_TEXT >> 20} MB")
        data = json.dumps(asdict(outcome)).encode()
        while data:
            data = data[os.write(writer, data) :]
    finally:
        os._exit(0)


def _limit() -> None:
    signal.signal(signal.SIGXCPU, _overdue)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    page = resource.getpagesize()
    try:
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * page
    except OSError:
        taken = MEMORY
    for kind, limit in (
        (resource.RLIMIT_CPU, (SECONDS, SECONDS + 1)),
        (resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY)),
        (resource.RLIMIT_FSIZE, (0, 0)),
        (resource.RLIMIT_CORE, (0, 0)),
    ):
        hard = resource.getrlimit(kind)[1]
        wanted = (
            limit if hard == resource.RLIM_INFINITY else tuple(min(each, hard) for each in limit)
        )
        resource.setrlimit(kind, (wanted[0], wanted[1]))


def _overdue(_signal: int, _frame: FrameType | None) -> None:
    raise Overdue


def _receive(reader: int) -> bytes | None:
    """Return what comes until the end; None where that is too much or takes too long."""
    end = time.monotonic() + _PATIENCE
    data = bytearray()
    while len(data) <= _JSON:
        ready, _, _ = select.select([reader], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return None
        chunk = os.read(reader, _CHUNK)
        if not chunk:
            return bytes(data)
        data += chunk
    return None
