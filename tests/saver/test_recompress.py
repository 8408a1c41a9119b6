# SPDX-License-Identifier: GPL-2.0-or-later
"""Finished dumps as input: filtered, packed and converted once more."""

from __future__ import annotations

import struct
from pathlib import Path

import drgn
import pytest

from kdump_initrd.saver.formats import dumpfile
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf import elfcore
from kdump_initrd.saver.formats.elf.extents import Extents

from .description import parse
from .faults import FaultyWindow
from .filtering import expected
from .manyloads import many_at, many_loads
from .minireader import MiniReader
from .running import save
from .samples import FLAGS, sample
from .synthetic import KINDS_OF_PAGES, build
from .vmcore import PAGE, X86_64, Core, noise

MACHINE = f"kernel 6.12\nmemory 0-11M\n{KINDS_OF_PAGES}"


@pytest.mark.parametrize("before", list(FLAGS))
@pytest.mark.parametrize("after", list(FLAGS))
def test_from_codec_to_codec(tmp_path: Path, before: str, after: str) -> None:
    core, pages = sample()
    first = save(tmp_path, core, dump_compress=before, dump_level=0)
    done = save(tmp_path, first.dump, dump_compress=after, dump_level=1, verify="full")
    assert done.status == 0
    old, new = MiniReader(first.dump, X86_64), MiniReader(done.dump, X86_64)
    assert {pfn: new.page(pfn) for pfn in pages} == pages
    assert (new.first, new.second, new.status) == (old.first, old.second, FLAGS[after])
    assert (new.uts, new.time, new.notes, new.cpus) == (old.uts, old.time, old.notes, old.cpus)
    assert new.level == 1 and done.report["dump"]["zero_pages"] > 300


@pytest.mark.parametrize("middle", ["kdump", "elf", "flat"])
def test_levels_add_up(tmp_path: Path, middle: str) -> None:
    layout = parse(MACHINE)
    vmcore = build(layout, tmp_path / "vmcore.in")
    first = save(tmp_path, vmcore, dump_level=16, dump_format=middle)
    done = save(tmp_path, first.dump, dump_level=10)
    assert (first.status, done.status) == (0, 0)
    dump = MiniReader(done.dump, X86_64)
    assert dump.first == layout.ram
    assert set(dump.first) - set(dump.second) == expected(layout, 26)
    # An ELF dump does not tell its level.
    level = 10 if middle == "elf" else 26
    assert (dump.level, done.report["dump"]["level"]) == (level, level)
    assert done.report["dump"]["wanted_level"] == 10
    left = done.report["dump"]["left_out"]
    assert left["cache"] and left["user"] and "free" not in left
    whole = save(tmp_path, vmcore, dump_level=26)
    direct = MiniReader(whole.dump, X86_64)
    assert {pfn: dump.page(pfn) for pfn in dump.second} == {
        pfn: direct.page(pfn) for pfn in direct.second
    }


@pytest.mark.parametrize("kind", ["kdump", "flat"])
def test_what_is_lost_stays_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    core, pages = sample()
    path = core.write(tmp_path / "in")
    bad = tuple(range(11, 30))
    with monkeypatch.context() as patch:
        patch.setattr(dumpfile, "Window", lambda path: FaultyWindow(path, bad_pages=bad))
        first = save(tmp_path, path)
    assert first.report["dump"]["lost_pages"] == len(bad)
    gone = [pfn for pfn, desc in MiniReader(first.dump, X86_64).pages.items() if not desc.offset]
    done = save(tmp_path, first.dump, dump_format=kind, dump_compress="zstd", verify="full")
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.step("dump")["detail"] == f"{len(bad)} pages could not be read"
    assert done.report["dump"]["lost_pages"] == len(bad)
    dump = open_dump(str(done.dump))
    found = {pfn: dump.page(pfn) for pfn in pages}  # type: ignore[attr-defined]
    assert dump.header.status == 0x20 | 8  # type: ignore[attr-defined]
    dump.close()
    assert [pfn for pfn in found if found[pfn] is None] == gone
    assert all(found[pfn] == pages[pfn] for pfn in pages if pfn not in gone)


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_what_an_incomplete_elf_dump_has_lost_is_not_known(tmp_path: Path, kind: str) -> None:
    first = save(tmp_path, sample()[0], dump_format="elf")
    raw = bytearray(first.dump.read_bytes())
    raw[48] |= 1
    (tmp_path / "incomplete").write_bytes(raw)
    done = save(tmp_path, tmp_path / "incomplete", dump_format=kind)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert "incomplete" in done.step("dump")["detail"]


def test_a_part_of_a_split_dump_is_refused(tmp_path: Path) -> None:
    done = save(tmp_path, sample()[0])
    raw = bytearray(done.dump.read_bytes())
    struct.pack_into("<i", raw, PAGE + 12, 1)
    (tmp_path / "part").write_bytes(raw)
    done = save(tmp_path, tmp_path / "part")
    assert done.status == 3
    assert done.step("vmcore")["detail"].startswith("a part of a dump that was split")


def holes(path: Path) -> list[tuple[int, int, int]]:
    """(page frame, pages in the file, pages in memory) of the PT_LOADs."""
    core = open_dump(str(path))
    assert isinstance(core, elfcore.ElfCore)
    core.close()
    return [(p.paddr // PAGE, p.filesz // PAGE, p.memsz // PAGE) for p in core.loads]


@pytest.mark.parametrize("level", [0, 1])
def test_few_excluded_pages_stay_holes_and_many_split_a_load(tmp_path: Path, level: int) -> None:
    layout = parse(
        """
        memory 0-16M
        structures 10M
        0x100 kernel
        0x101+255 file
        0x200+0x10 kernel
        0x210+256 file
        0x310+0x10 kernel
        0x320+512 file
        0x520+0x10 kernel
        """
    )
    vmcore = build(layout, tmp_path / "vmcore.in")
    done = save(tmp_path, vmcore, dump_format="elf", dump_level=2 | level, verify="full")
    assert done.status == 0
    image, *loads = holes(done.dump)
    assert image == (0xA00, 512, 512)
    assert loads == [
        (0, 0x210, 0x310),  # 255 pages are bridged, 256 are not
        (0x310, 0x10, 0x210),
        (0x520, 0x1000 - 0x520, 0x1000 - 0x520),
    ]
    program = drgn.Program()
    program.set_core_dump(str(done.dump))
    for pfn in (0, 0x100, 0x20F, 0x310, 0x520):
        wanted = b"page frame %#x, kernel" % pfn if pfn in layout.texts else bytes(8)
        assert program.read(pfn * PAGE, len(wanted), physical=True) == wanted
    assert program.read(0x150 * PAGE, 8, physical=True) == bytes(8)
    # What is left out on either side of a split is memory, but not there.
    own = Extents(open_dump(str(done.dump)), PAGE)  # type: ignore[arg-type]
    assert own.ram == [(0, 0x1000)] and own.pages == 0x1000 - 256 - 512
    again = save(tmp_path, done.dump, dump_level=0)
    dump = MiniReader(again.dump, X86_64)
    assert dump.first == list(range(0x1000))
    left_out = {*range(0x210, 0x310), *range(0x320, 0x520)}
    assert set(dump.first) - set(dump.second) == left_out


@pytest.mark.full
@pytest.mark.timeout(300)
def test_more_loads_than_16_bits_count(tmp_path: Path) -> None:
    done = save(tmp_path, many_loads(tmp_path / "many", 66000), dump_format="elf", dump_level=1)
    assert done.status == 0, done.report
    with done.dump.open("rb") as file:
        header = file.read(64)
        assert struct.unpack_from("<H", header, 56) == (0xFFFF,)
        (shoff,) = struct.unpack_from("<Q", header, 40)
        file.seek(shoff + 44)
        assert struct.unpack("<I", file.read(4)) == (66001,)
    program = drgn.Program()
    program.set_core_dump(str(done.dump))
    for number in (0, 1, 40000, 65999):
        assert program.read(many_at(number), 6, physical=True) == b"page 0"
    again = save(tmp_path, done.dump, verify="full")
    assert (again.status, again.report["dump"]["pages"]) == (0, 66000)


def test_noise_is_not_packed_twice(tmp_path: Path) -> None:
    first = save(tmp_path, Core().load(0x1000000, noise(300)), dump_compress="lzo")
    done = save(tmp_path, first.dump, dump_compress="zstd")
    assert done.report["dump"]["raw_pages"] == 300
    assert {desc.flags for desc in MiniReader(done.dump, X86_64).pages.values()} == {0}
