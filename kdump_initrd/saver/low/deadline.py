# SPDX-License-Identifier: GPL-2.0-or-later
"""Work on a disk that may have stopped answering: done by a process that can be abandoned."""

from __future__ import annotations

import os
import time

from .failure import SaverError, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_KILL = 9
#: Seconds between two looks, and for a killed child to end; the most bytes of what went wrong.
_LOOK, _GRACE, _TEXT = 0.01, 1.0, 1000


def within(seconds: float, work: Callable[[], object]) -> None:
    """Have work done in a child; raises SaverError for what went wrong in it, or when it is late.

    A child that the kernel does not let go is left behind. If no child can be started, this
    process does the work.
    """
    reader, writer = os.pipe()
    parent, pid = os.getpid(), 0
    try:
        try:
            pid = os.fork()
        except OSError:
            work()
            return
        if not pid:
            try:
                work()
            except BaseException as error:
                os.write(writer, describe(error).encode("utf-8", "replace")[:_TEXT])
            return
        os.close(writer)
        writer = -1
        late = _wait(pid, seconds)
        os.set_blocking(reader, False)
        try:
            said = os.read(reader, _TEXT).decode("utf-8", "replace")
        except BlockingIOError:
            said = ""
    finally:
        if os.getpid() != parent:
            os._exit(0)
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    if late or said:
        raise SaverError(said or f"the disk has not answered for {seconds:g} s")


def _wait(pid: int, seconds: float) -> bool:
    # Whether it has not ended in time.
    if _has_ended(pid, seconds):
        return False
    os.kill(pid, _KILL)
    _has_ended(pid, _GRACE)
    return True


def _has_ended(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return True
        except ChildProcessError:  # SIGCHLD is ignored
            return True
        time.sleep(_LOOK)
    return False
