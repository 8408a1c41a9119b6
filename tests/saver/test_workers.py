# SPDX-License-Identifier: GPL-2.0-or-later
"""Several workers on one dump: the same pages as one writes, and one can die without the others."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf import source
from kdump_initrd.saver.formats.kdump import kdumpfile
from kdump_initrd.saver.low import board
from kdump_initrd.saver.store import medium

from .minireader import MiniReader
from .running import Outcome, save
from .vmcore import PAGE, X86_64, Core, noise, text, zero

Disk = Callable[[int], Path]
pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")
#: What a worker takes at once, at most; the core below has 5 times as much, and a page frame
#: in the middle of that.
RANGE, BAD = 2048, 0x1000 + 5000


@pytest.fixture(scope="module")
def pages() -> dict[int, bytes]:
    """The pages of the core by page frame."""
    data = text(2500) + zero(2500) + noise(1500) + text(2500, 2) + zero(300) + noise(200, 3)
    return {0x1000 + n: data[n * PAGE : (n + 1) * PAGE] for n in range(len(data) // PAGE)}


@pytest.fixture(scope="module")
def vmcore(pages: dict[int, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    core = Core().load(0x1000000, b"".join(pages.values()))
    return core.write(tmp_path_factory.mktemp("workers") / "vmcore")


def read(done: Outcome, pfns: list[int]) -> list[bytes]:
    memory = open_dump(str(done.dump))
    found = [memory.read_physical(pfn * PAGE, PAGE) for pfn in pfns]
    memory.close()
    return found


def once(mark: Path) -> bool:
    """Tell whether this is the first call with a file; True in one of all processes."""
    try:
        mark.open("x").close()
    except FileExistsError:
        return False
    return True


def deadly(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None], bad: int = BAD) -> None:
    """Have work done by a worker that comes to a page frame, 0 for any."""
    view, parent = source.ElfPages.view, os.getpid()

    def look(self: source.ElfPages, pfn: int, count: int) -> tuple[int, int]:
        if os.getpid() != parent and (not bad or pfn <= bad < pfn + count):
            if pfn == bad or not bad:
                work()
            count = max(1, bad - pfn)
        return view(self, pfn, count)

    monkeypatch.setattr(source.ElfPages, "view", look)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_any_number_of_workers_saves_the_same(
    tmp_path: Path, vmcore: Path, pages: dict[int, bytes], jobs: int
) -> None:
    done = save(tmp_path, vmcore, jobs=jobs, dump_level=1)
    assert (done.status, done.report["dump"]["jobs"]) == (0, jobs)
    dump = MiniReader(done.dump, X86_64)
    assert dump.first == dump.second == sorted(pages) and dump.status == 2
    assert {pfn: dump.page(pfn) for pfn in dump.second} == pages
    facts = done.report["dump"]
    assert (facts["zero_pages"], facts["raw_pages"], facts["lost_pages"]) == (2800, 1700, 0)
    end = dump.table + 24 * len(pages)
    shared = {desc for desc in dump.pages.values() if desc.offset == end}
    assert shared == {(end, PAGE, 0, 0)}
    end += PAGE
    # No byte twice, and none that nobody has.
    for offset, size, _, _ in sorted(set(dump.pages.values()) - shared):
        assert offset == end
        end += size
    assert end == done.dump.stat().st_size == facts["bytes"]


@pytest.mark.parametrize("kind", ["elf", "flat"])
def test_workers_of_other_formats(
    tmp_path: Path, vmcore: Path, pages: dict[int, bytes], kind: str
) -> None:
    done = save(tmp_path, vmcore, jobs=3, dump_level=1, dump_format=kind)
    assert done.status == 0
    assert read(done, list(pages)) == list(pages.values())


@pytest.mark.parametrize("kind", ["kdump", "elf", "flat"])
def test_a_killed_worker_costs_its_range(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    vmcore: Path,
    pages: dict[int, bytes],
    kind: str,
) -> None:
    deadly(monkeypatch, die)
    done = save(tmp_path, vmcore, jobs=2, dump_level=0, dump_format=kind)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.dump.name == "vmcore-incomplete"
    detail = done.step("dump")["detail"]
    assert detail in [f"worker {slot} died (signal 9) in range 2" for slot in (0, 1)]
    lost = done.report["dump"]["lost_pages"]
    assert 0 < lost <= RANGE
    if kind == "kdump":
        dump = MiniReader(done.dump, X86_64)
        gone = [pfn for pfn, desc in dump.pages.items() if desc == (0, 0, 0, 0)]
        assert dump.status == 2 | 8 and len(gone) == lost and BAD in gone
        assert gone == list(range(gone[0], gone[0] + lost)), "not of one range"
    else:
        gone = list(range(0x1000 + 2 * RANGE, 0x1000 + 3 * RANGE))
    there = sorted(pages.keys() - set(gone))
    assert read(done, there) == [pages[pfn] for pfn in there]
    if kind == "elf":
        assert done.dump.read_bytes()[48:52] == b"\1\0\0\0", "e_flags"


def test_a_worker_that_fails_loses_its_range_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vmcore: Path, pages: dict[int, bytes]
) -> None:
    def fail() -> None:
        raise MemoryError

    deadly(monkeypatch, fail)
    done = save(tmp_path, vmcore, jobs=2)
    assert done.step("dump")["detail"].startswith("out of memory (test_workers.py:")
    dump = MiniReader(done.dump, X86_64)
    gone = [pfn for pfn, desc in dump.pages.items() if not desc.offset]
    assert BAD in gone and 0 < len(gone) == done.report["dump"]["lost_pages"] <= RANGE
    there = [pfn for pfn in pages if pfn not in gone]
    assert [dump.page(pfn) for pfn in there] == [pages[pfn] for pfn in there]


def test_both_what_a_worker_said_and_its_death_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vmcore: Path
) -> None:
    def fail() -> None:
        if not once(tmp_path / "mark"):
            die()
        raise ValueError("odd")

    deadly(monkeypatch, fail, 0)
    detail = save(tmp_path, vmcore, jobs=2).step("dump")["detail"]
    assert "ValueError: odd" in detail and "died (signal 9)" in detail


@pytest.mark.parametrize("where", ["pages", "start"])
def test_all_workers_die(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    vmcore: Path,
    pages: dict[int, bytes],
    where: str,
) -> None:
    if where == "pages":
        deadly(monkeypatch, die, 0)
    else:
        monkeypatch.setattr(kdumpfile.KdumpWriter, "sink", lambda *_: die())
    done = save(tmp_path, vmcore, jobs=2)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.report["dump"]["lost_pages"] == len(pages)
    assert "died (signal 9)" in done.step("dump")["detail"]
    dump = MiniReader(done.dump, X86_64)
    assert dump.status & 8 and {desc.offset for desc in dump.pages.values()} == {0}
    assert dump.vmcoreinfo.startswith(b"OSRELEASE=")


def test_a_worker_dies_while_it_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vmcore: Path
) -> None:
    allocate = board.Board.allocate

    def dying(self: board.Board, length: int) -> int:
        if once(tmp_path / "mark"):
            with self._lock:
                die()
        return allocate(self, length)

    monkeypatch.setattr(board.Board, "allocate", dying)
    done = save(tmp_path, vmcore, jobs=2)
    assert 0 < done.report["dump"]["lost_pages"] <= RANGE


def test_a_worker_dies_within_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vmcore: Path, pages: dict[int, bytes]
) -> None:
    # The next record of a flattened dump must not take the place of what is missing.
    write, parent = medium.Output.write, os.getpid()

    def dying(self: medium.Output, data: memoryview, offset: int) -> None:
        if os.getpid() != parent and len(data) > 30000 and once(tmp_path / "mark"):
            write(self, data[:10000], offset)
            die()
        write(self, data, offset)

    monkeypatch.setattr(medium.Output, "write", dying)
    done = save(tmp_path, vmcore, jobs=2, dump_format="flat")
    assert done.status == 1 and 0 < done.report["dump"]["lost_pages"] <= RANGE
    dump = open_dump(str(done.dump))
    found = {pfn: dump.page(pfn) for pfn in pages}  # type: ignore[attr-defined]
    dump.close()
    assert len([pfn for pfn in pages if found[pfn] is None]) == done.report["dump"]["lost_pages"]
    assert all(found[pfn] in (None, pages[pfn]) for pfn in pages)


@pytest.mark.parametrize("options", [{"dump_compress": "none"}, {}, {"dump_format": "flat"}])
def test_two_workers_fill_a_disk(
    tmp_path: Path,
    small_disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    vmcore: Path,
    pages: dict[int, bytes],
    options: dict[str, object],
) -> None:
    monkeypatch.setattr("kdump_initrd.saver.store.folder.free_room", lambda *_: 1 << 62)
    done = save(tmp_path, vmcore, jobs=2, output=small_disk(5000) / "crash", **options)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.step("dump")["detail"] == "no room for the dump: No space left on device"
    lost = done.report["dump"]["lost_pages"]
    assert 0 < lost < len(pages)
    dump = open_dump(str(done.dump))
    assert dump.header.status & 8  # type: ignore[attr-defined]
    found = {pfn: dump.page(pfn) for pfn in pages}  # type: ignore[attr-defined]
    dump.close()
    assert len([pfn for pfn in pages if found[pfn] is None]) == lost
    assert all(found[pfn] in (None, pages[pfn]) for pfn in pages)
