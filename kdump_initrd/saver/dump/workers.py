# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that share the ranges of pages among them; one can die without harm to the others."""

from __future__ import annotations

import os
import time

from ..low.failure import SpaceError, describe
from ..low.libc import die_with_parent
from ..low.progress import anonymous_kib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..formats.writer import Work
    from ..low.board import Board

    #: Gets a worker's slot, and returns what does one range.
    Start = Callable[[int], Work]

#: Seconds between two looks at the workers: a small dump waits for none, and a large one's time is
#: not spent on looking.
_LOOKS = (0.002, 0.005, 0.02)
_KILL = 9
#: Seconds for workers to end by themselves when all is given up.
_GRACE = 2.0
#: Workers that are replaced: bad memory kills one each time.
_DEATHS = 64


def run(board: Board, ranges: int, start: Start, tell: Callable[[], None]) -> str:
    """Have all ranges done; return what went wrong, "" for nothing.

    With one worker that happens in this process; tell is called now and then. start is called in
    each worker, and what it returns does a range by its number. An error costs its range, the
    death of a worker the range that it was in (another one takes its place, and does again what
    was on its way to the disk), and SpaceError ends all. If a worker cannot be started, the others
    do its work.
    """
    if board.workers == 1:
        return _work(board, 0, ranges, start, tell)
    children: dict[int, int] = {}
    problems: list[str] = []
    deaths = 0
    try:
        for slot in range(board.workers):
            _add(children, board, slot, ranges, start)
        if not children:
            return _work(board, 0, ranges, start, tell)
        while children:
            pid, status = _wait(children, tell)
            slot = children.pop(pid)
            problems += _why(board, slot, status)
            if os.WIFSIGNALED(status) and deaths < _DEATHS:
                deaths += 1
                board.redo(slot)
                _add(children, board, slot, ranges, start)
    except BaseException:
        board.stop()
        try:
            _let_end(children)
        finally:
            for pid in children:
                _kill(pid)
        raise
    # Workers that a full disk has stopped say the same.
    return "; ".join(dict.fromkeys(problems))


def _add(children: dict[int, int], board: Board, slot: int, ranges: int, start: Start) -> None:
    try:
        children[_fork(board, slot, ranges, start)] = slot
    except OSError:  # no memory for one more, or too many processes
        return


def _let_end(children: dict[int, int]) -> None:
    # What they hold is worth the moment that it takes them to write it.
    end = time.monotonic() + _GRACE
    while children and time.monotonic() < end:
        for pid in list(children):
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0]
            except ChildProcessError:  # SIGCHLD is ignored
                ended = pid
            if ended:
                del children[pid]
        time.sleep(_LOOKS[1])


def _kill(pid: int) -> None:
    try:
        os.kill(pid, _KILL)
        os.waitpid(pid, 0)
    except OSError:  # it is gone
        return


def _fork(board: Board, slot: int, ranges: int, start: Start) -> int:
    parent, status = os.getpid(), 1
    try:
        pid = os.fork()
        if not pid:
            die_with_parent()
            status = 1 if _work(board, slot, ranges, start, lambda: None) else 0
    finally:
        # A worker must not run the parent's clean-up, whenever Ctrl-C comes.
        if os.getpid() != parent:
            os._exit(status)
    return pid


def _work(board: Board, slot: int, ranges: int, start: Start, tell: Callable[[], None]) -> str:
    try:
        work = start(slot)
        try:
            _work_on(work, board, slot, ranges, tell)
        finally:
            work.end()
    except BaseException as error:
        if isinstance(error, SpaceError):
            board.stop(error.code)
        board.complain(slot, describe(error))
    return board.complaint(slot)


def _work_on(work: Work, board: Board, slot: int, ranges: int, tell: Callable[[], None]) -> None:
    number = board.take(slot, ranges)
    while number >= 0:
        try:
            work.copy(number)
        except Exception as error:
            if isinstance(error, SpaceError):
                raise
            board.complain(slot, describe(error))
        board.set_peak(slot, anonymous_kib())
        tell()
        number = board.take(slot, ranges)


def _wait(children: dict[int, int], tell: Callable[[], None]) -> tuple[int, int]:
    # The first child that has ended, and its status.
    looks = 0
    while True:
        for pid in children:
            try:
                found, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # SIGCHLD is ignored: it is unknown how it ended
                return pid, 0
            if found:
                return pid, status
        tell()
        time.sleep(_LOOKS[(looks >= 10) + (looks >= 500)])
        looks += 1


def _why(board: Board, slot: int, status: int) -> list[str]:
    found = []
    if board.complaint(slot):
        found.append(board.complaint(slot))
    end = f"signal {status & 127}" if status & 127 else f"status {status >> 8}"
    if status & 127 or (status and not found):
        found.append(f"worker {slot} died ({end}) in range {board.range_of(slot)}")
    return found
