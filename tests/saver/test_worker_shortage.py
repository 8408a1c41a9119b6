# SPDX-License-Identifier: GPL-2.0-or-later
"""Workers that cannot be had, or do not come on: the dump is written all the same."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

import pytest

from kdump_initrd.saver.dump import workers
from kdump_initrd.saver.formats.kdump import kdumpfile
from kdump_initrd.saver.formats.writer import Work
from kdump_initrd.saver.low import board, progress
from kdump_initrd.saver.low.console import Console

from .minireader import MiniReader
from .running import save
from .vmcore import PAGE, X86_64, Core, noise, text, zero

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")


@pytest.fixture(scope="module")
def pages() -> dict[int, bytes]:
    """The pages of the core by page frame: some ranges of them."""
    data = text(1000) + zero(6000) + noise(500)
    return {0x1000 + n: data[n * PAGE : (n + 1) * PAGE] for n in range(len(data) // PAGE)}


@pytest.fixture(scope="module")
def vmcore(pages: dict[int, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    core = Core().load(0x1000000, b"".join(pages.values()))
    return core.write(tmp_path_factory.mktemp("workers") / "vmcore")


def test_a_file_system_without_locks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    vmcore: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(os, "lockf", no_lock)
    done = save(tmp_path, vmcore, jobs=4)
    assert (done.status, done.report["dump"]["jobs"]) == (0, 1)
    assert (
        "warning: the file system does not support locks: only one worker is used\n"
        in capfd.readouterr().err
    )


@pytest.mark.parametrize("allowed", [0, 1])
def test_no_more_processes_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vmcore: Path, allowed: int
) -> None:
    fork, forks = os.fork, list(range(allowed))

    def limited() -> int:
        if not forks:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        forks.pop()
        return fork()

    monkeypatch.setattr(os, "fork", limited)
    done = save(tmp_path, vmcore, jobs=3)
    assert (done.status, done.report["dump"]["lost_pages"]) == (0, 0)


def test_a_worker_that_cannot_start_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vmcore: Path, pages: dict[int, bytes]
) -> None:
    sink = kdumpfile.KdumpWriter.sink

    def failing(self: kdumpfile.KdumpWriter, board: board.Board, slot: int) -> object:
        if slot == 1:
            raise MemoryError
        return sink(self, board, slot)

    monkeypatch.setattr(kdumpfile.KdumpWriter, "sink", failing)
    done = save(tmp_path, vmcore, jobs=2)
    assert done.report["dump"]["lost_pages"] == 0
    dump = MiniReader(done.dump, X86_64)
    assert all(dump.page(pfn) == pages[pfn] for pfn in pages)


def test_children_that_nobody_may_wait_for(tmp_path: Path, vmcore: Path) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        done = save(tmp_path, vmcore, jobs=2)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (done.status, done.report["dump"]["lost_pages"]) == (0, 0)


def test_workers_that_hang_feed_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_FEED", 0)
    feed = tmp_path / "progress"
    shown = progress.Progress(Console(""), str(feed))
    lock = board.Lock(-1)
    shared = board.Board(lock, workers=2, position=0, limit=0)
    numbers: list[str] = []

    class Hang(Work):
        def copy(self, number: int) -> None:
            shared.add(0, done=1)
            time.sleep(0.3)

    def tell() -> None:
        shown.update(shared.done)
        numbers.append(feed.read_text())

    assert workers.run(shared, 1, lambda _: Hang(), tell) == ""
    shared.close()
    shown.close()
    # One for the page that was done, and one at the start; looked at for 0.3 s.
    assert len(numbers) > 10 and set(numbers) <= {"1 0\n", "2 0\n"}
