# SPDX-License-Identifier: GPL-2.0-or-later
"""Struct pages of every memory model: sections with vmemmap and without, one table, one array."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.saver.crash.facts import Crash
from kdump_initrd.saver.filter.memmap import MemoryMap
from kdump_initrd.saver.filter.walk import PageFilter
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf.elfcore import ElfCore

from .description import parse
from .filtering import check, filtered
from .layout import Layout
from .ports import PORTS
from .ports.x86_64 import X86_64
from .structpages import pack
from .synthetic import KINDS_OF_PAGES, build

#: Two ranges of memory, the second one in another section; the structures are in the first.
MEMORY = "structures 0x1000P\nmemory 0-0x5000P, 0x40000P-0x40800P\n"
PAGES = f"{MEMORY}{KINDS_OF_PAGES}\n0x40000+1024 free order=10\n0x40400+0x200 wild seed=1"
MODELS = {
    "vmemmap": "",
    "sparse": "model sparse",
    "sparse, by pointer": "model sparse\nsections pointer",
    "static": "model static\nphysical-bits 36",
    "flat": "model flat",
}
#: riscv64 has so many bits that its table of sections has 2^22 entries, in 32 MiB.
LARGE = "physical-bits 56\nstructures 16M\n0x100+256 file\nmemory 0-80M"


@pytest.mark.parametrize("kernel", ["6.1", "7.1"])
@pytest.mark.parametrize("name", list(MODELS))
def test_every_kind(tmp_path: Path, name: str, kernel: str) -> None:
    check(tmp_path, f"kernel {kernel}\n{MODELS[name]}\n{PAGES}", 31)


@pytest.mark.parametrize("flags", [4, 6])
def test_flags_below_an_address_that_has_few_bits_free(
    tmp_path: Path, flags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 pages of a section, each of an odd number of words: eleven zeros end the address."""

    class Few(X86_64):
        section_bits = 20
        page_struct = 56

    monkeypatch.setitem(PORTS, "few", Few())
    text = f"port few\nmodel sparse\nsection-flags {flags}\nphysical-bits 40\nstructures 4M\n"
    check(tmp_path, f"{text}memory 0-64M\n0x100+512 file\n0x2000+512 anon\n", 31)


@pytest.mark.parametrize("start", ["0", "3P", "1023P", "0x400P", "64M", "0x123P+64M"])
def test_an_array_that_begins_where_memory_does(tmp_path: Path, start: str) -> None:
    """ARCH_PFN_OFFSET, whatever it is: arm and riscv64 have memory that begins far from 0."""
    first = parse(f"memory {start}-1G").memory[0][0] // 4096
    text = f"model flat\nstructures 96M\nmemory {start}-128M, 130M-132M\n"
    saved = check(tmp_path, f"{text}{first}+8 file\n0x4400+64 anon\n0x83f0+16 file", 31)
    assert len(saved.left_out) == 88


def test_an_absent_section_without_vmemmap(tmp_path: Path) -> None:
    text = "model sparse\nstructures 16M\nmemory 0-64M, 128M-136M, 256M-260M\nabsent-section 1\n"
    assert len(check(tmp_path, f"{text}0x100+64 file\n0x10000+64 file", 31).left_out) == 128


def bytes_read(layout: Layout, path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make a filter, and return how many bytes of the table of sections it has read."""
    memory = open_dump(str(build(layout, path)))
    assert isinstance(memory, ElfCore)
    array = range(layout.base + (2 << 20), layout.base + (2 << 20) + layout.roots * 8)
    reads = [0]
    read = memory.read_physical

    def count(address: int, length: int) -> bytes:
        reads[0] += length if address in array else 0
        return read(address, length)

    monkeypatch.setattr(memory, "read_physical", count)
    crash = Crash(memory)
    chosen = PageFilter(memory, crash.info, crash.source(), level=31)
    assert (chosen.level, chosen.note) == (31, "")
    return reads[0]


def test_a_large_table_is_read_where_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = parse(LARGE)
    assert layout.roots == 1 << 22
    assert 8 <= bytes_read(layout, tmp_path / "vmcore", monkeypatch) <= 16384
    assert len(check(tmp_path, LARGE, 31).left_out) == 256


def test_a_large_table_that_is_mostly_holes(tmp_path: Path) -> None:
    """Zero pages of it are not in an ELF dump: no section is there."""
    far = (32 << 40) // 4096
    layout = parse(f"{LARGE}, 32T-32T+4M\n{far}+512 anon")
    memory = open_dump(str(build(layout, tmp_path / "vmcore")))
    info = Crash(memory).info
    size, frames = layout.port.page_struct, [0x100, far]
    pages = MemoryMap(memory, info, size=size, page_size=4096, frames=frames)
    for pfn in (0x100, far + 511):
        page = layout.page(pfn)
        assert page and pages.read(pfn, 1) == pack(page, layout.dialect, layout.port)
    assert pages.read(far // 2, 1) == pages.read(far * 4, 1) == b""


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "model flat\ndrop SYMBOL(contig_page_data)\ndrop SYMBOL(mem_map)\n"
            "set SYMBOL(node_data)=ffffffff81002200\nset LENGTH(node_data)=8",
            "the memory model of the crashed kernel, DISCONTIGMEM, is not known",
        ),
        (
            "model flat\ndrop SYMBOL(contig_page_data)",
            "VMCOREINFO has no SYMBOL(contig_page_data)",
        ),
        (
            "model flat\ndrop OFFSET(pglist_data.node_start_pfn)",
            "VMCOREINFO has no OFFSET(pglist_data.node_start_pfn)",
        ),
        ("model flat\ndrop OFFSET(pglist_data.node_mem_map)", "no SYMBOL(mem_section)"),
        (
            "model flat\nset SYMBOL(contig_page_data)=ffffffffffff0000",
            "virtual address 0xffffffffffff0048 is not in the dump",
        ),
        ("model flat\nset OFFSET(pglist_data.node_mem_map)=0", "no struct pages are where"),
        ("model static", "no struct pages are where VMCOREINFO says"),
        (
            "set SYMBOL(mem_section)=ffff88ff00000000",
            "no struct pages are where VMCOREINFO says: virtual address 0xffff88ff00000000 is not",
        ),
        ("physical-bits 36\nset NUMBER(MAX_PHYSMEM_BITS)=29", "no struct pages are where"),
    ],
)
def test_what_is_not_known_lowers_the_level(tmp_path: Path, text: str, note: str) -> None:
    if text == "model static":  # whose table would be of another size
        text += "\nphysical-bits 36\nset NUMBER(MAX_PHYSMEM_BITS)=46"
    saved = filtered(tmp_path, f"{text}\n{MEMORY}\n0x100+64 file", 31)
    assert saved.left_out == set()
    assert saved.report["level"] == 1
    assert note in saved.report["level_note"]
    assert len(saved.warnings) == 1
