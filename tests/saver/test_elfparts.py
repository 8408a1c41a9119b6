# SPDX-License-Identifier: GPL-2.0-or-later
"""How an ELF dump splits PT_LOADs: in one walk, and never into more than a reader takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf import elfcore, elfdump
from kdump_initrd.saver.formats.elf.elfcore import PT_LOAD, Segment
from kdump_initrd.saver.formats.elf.elfparts import ElfParts
from kdump_initrd.saver.low.selection import Selection

from .description import parse
from .filtering import expected
from .manyloads import many_at, many_loads
from .running import save
from .synthetic import build
from .vmcore import PAGE, Core, text

GAPPED = """
    kernel 6.12
    memory 0-32M
    structures 26M
    0x100 kernel
    0x101+255 file
    0x200+0x10 kernel
    0x210+256 file
    0x310+0x10 kernel
    0x320+512 file
    0x520+0x10 kernel
    0x530+2000 file
    0xd00+0x10 kernel
"""


@pytest.fixture
def selection() -> Iterator[Selection]:
    fd = os.memfd_create("bitmap")
    yield Selection(fd, 0)
    os.close(fd)


def load(start: int, pages: int) -> Segment:
    return Segment((PT_LOAD, 7, 0, 0, start * PAGE, pages * PAGE, pages * PAGE, 0), 8)


def shown(parts: ElfParts, loads: list[Segment]) -> dict[int, int]:
    """Return the place of each page of the PT_LOADs' parts, checking what each part says."""
    found: dict[int, int] = {}
    for part in loads:
        for start, stop, end in parts.of(part):
            assert part.paddr <= start <= stop <= end <= part.paddr + part.memsz
            if stop > start:
                at = parts.find(start // PAGE)
                for address in range(start, stop, PAGE):
                    place = at + address - start
                    assert found.setdefault(address // PAGE, place) == place
    return found


def pages(selection: Selection) -> list[int]:
    runs = selection.runs(0, 1 << 30)
    return [pfn for first, count in runs for pfn in range(first, first + count)]


@pytest.mark.parametrize("most", [1000, 150, 100, 20, 2])
def test_no_more_parts_than_a_reader_takes(selection: Selection, most: int) -> None:
    for number in range(100):  # gaps from 256 pages to more than 1000
        selection.add_run(0x1000 + number * 1300 + 10 * (number % 90), 10 + number)
    selection.finish()
    loads = [load(0x1000, 60000), load(0x1000 + 60000, 200000)]
    parts = ElfParts(selection, loads, page_size=PAGE, most=most)
    size = parts.place()
    assert sum(parts.counts) <= most
    assert parts.counts == [len(list(parts.of(part))) for part in loads]
    assert (parts.bridge == 256) == (most >= 150)
    places = shown(parts, loads)
    wanted = pages(selection)
    assert {*wanted} <= {*places}
    data = {pfn: places[pfn] for pfn in wanted}
    assert max(data.values()) + PAGE == size
    # No two pages in one place, and what stays a hole is in none of a page's.
    assert len({*data.values()}) == len(data)
    assert not {places[pfn] for pfn in places if pfn not in data} & {*data.values()}


def test_memory_without_data_gives_way_last(selection: Selection) -> None:
    # The first page of each is left out: that is a part of its own, where there is room for it.
    loads = [load(0x1000 + 16 * number, 16) for number in range(50)]
    for number in range(50):
        selection.add_run(0x1000 + 16 * number + 1, 14)
    selection.finish()
    parts = ElfParts(selection, loads, page_size=PAGE, most=100)
    assert parts.counts == [2] * 50
    parts = ElfParts(selection, loads, page_size=PAGE, most=99)
    assert parts.counts == [1] * 50
    parts.place()
    assert [*shown(parts, loads)] == pages(selection)


@pytest.mark.parametrize("most", [6, 8, 100])
def test_a_dump_of_few_headers_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    layout = parse(GAPPED)
    vmcore = build(layout, tmp_path / "vmcore.in")
    monkeypatch.setattr(elfdump, "MAX_HEADERS", most)
    monkeypatch.setattr(elfcore, "MAX_HEADERS", most)
    done = save(tmp_path, vmcore, dump_format="elf", dump_level=3, verify="full")
    assert done.status == 0, done.report
    core = open_dump(str(done.dump))
    assert isinstance(core, elfcore.ElfCore)
    assert len(core.loads) < most
    again = save(tmp_path, done.dump, dump_level=0, verify="full")
    assert again.status == 0
    kept = again.report["dump"]["pages"]
    left_out = len(expected(layout, 2))
    assert 0x2000 - left_out <= kept < 0x2000
    core.close()


def test_many_parts_are_found_in_one_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 8000
    seen = 0
    runs = Selection.runs

    def counting(self: Selection, pfn: int, end: int) -> Iterator[tuple[int, int]]:
        nonlocal seen
        for run in runs(self, pfn, end):
            seen += 1
            yield run

    path = many_loads(tmp_path / "many", count)
    monkeypatch.setattr(Selection, "runs", counting)
    done = save(tmp_path, path, dump_format="elf", dump_level=1, verify="none")
    assert done.status == 0
    # Parts are counted, written and placed; pages are placed, sampled and copied.
    assert seen <= 6 * count + 10


def test_headers_keep_their_order(tmp_path: Path) -> None:
    core = Core()
    for number in range(300):
        core.load(many_at(299 - number), text(1, number))
    done = save(tmp_path, core, dump_format="elf", dump_level=1, verify="full")
    assert done.status == 0
    dump = open_dump(str(done.dump))
    assert isinstance(dump, elfcore.ElfCore)
    assert [part.paddr for part in dump.loads] == [many_at(299 - n) for n in range(300)]
    for number in range(300):
        assert dump.read_physical(many_at(299 - number), PAGE) == text(1, number)
    dump.close()
