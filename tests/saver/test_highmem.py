# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory of a 32-bit machine: lowmem by any split of the addresses, and highmem without any."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf.elfcore import ElfCore
from kdump_initrd.saver.memory.reader import Memory

from .converting import convert
from .description import parse
from .filtering import check, expected
from .layout import Layout
from .ports import PORTS
from .ports.i386 import I386Port
from .synthetic import KINDS_OF_PAGES, build
from .vmcore import PAGE

I386 = {name: port for name, port in PORTS.items() if isinstance(port, I386Port)}
PAE = [name for name, port in I386.items() if port.pae]
#: In lowmem, about its end, and behind it; beyond 4 GiB, where only PAE reaches.
LOW = "memory 0-36M, 64M-65M"
HIGH = "memory 0-36M, 724M-726M, 890M-898M, 1022M-1026M"
FAR = "memory 0-72M, 890M-898M, 4095M-4096M, 5G-5G+2M"
CASES = [*[(name, LOW) for name in I386], *[(name, HIGH) for name in I386]]
CASES += [(name, FAR) for name in PAE]


def described(name: str, memory: str, more: str = "") -> Layout:
    """A machine that has every kind of page in lowmem, and some in the last range of memory."""
    layout = parse(f"port {name}\n{memory}")
    last = layout.memory[-1][0] // PAGE
    text = f"port {name}\nkernel 6.1\n{more}\n{memory}\n{KINDS_OF_PAGES}"
    return parse(f"{text}\n{last}+64 anon\n{last + 64}+64 free order=6\n")


@pytest.mark.parametrize(("name", "memory"), CASES)
def test_every_kind(tmp_path: Path, name: str, memory: str) -> None:
    layout = described(name, memory)
    saved = check(tmp_path, layout, 31)
    last = layout.memory[-1][0] // PAGE
    assert set(range(last, last + 128)) < saved.left_out


@pytest.mark.parametrize(("name", "memory"), [("i386", HIGH), ("i386-pae-40", FAR)])
def test_sections(tmp_path: Path, name: str, memory: str) -> None:
    check(tmp_path, described(name, memory, "model static"), 31)


def headers(memory: Memory) -> tuple[int, list[tuple[int, int, int]]]:
    """Bytes of an address in the headers; and of each PT_LOAD the addresses and bytes."""
    assert isinstance(memory, ElfCore)
    return memory.headers.word, [(x.vaddr, x.paddr, x.memsz) for x in memory.loads]


@pytest.mark.parametrize(("name", "memory"), CASES)
def test_an_elf_dump_says_which_memory_has_an_address(
    tmp_path: Path, name: str, memory: str
) -> None:
    layout = described(name, memory)
    vmcore = build(layout, tmp_path / "vmcore")
    dump = convert(vmcore, tmp_path / "dump", "--dump-level", "31")
    elf = open_dump(str(convert(dump, tmp_path / "elf", "--dump-format", "elf")))
    port = I386[name]
    limit = port.lowmem(layout)
    wide = layout.memory[-1][1] > 1 << 32
    word, loads = headers(elf)
    assert word == (8 if wide else 4)
    assert elf.abi.word == 4
    for vaddr, start, size in loads:
        if start < limit:
            assert (vaddr, start + size <= limit) == (port.split + start, True)
        else:
            assert vaddr == (1 << 8 * word) - 1
    pages = [range(start // PAGE, (start + size) // PAGE) for _, start, size in loads]
    assert sorted(pfn for each in pages for pfn in each) == layout.ram
    # And again from that one, with its own headers.
    again = open_dump(str(convert(tmp_path / "elf", tmp_path / "twice", "--dump-format", "elf")))
    assert headers(again) == (word, loads)
    kept = set(layout.ram) - expected(layout, 31)
    for pfn in sorted(kept)[:: len(kept) // 50]:
        content = elf.read_physical(pfn * PAGE, PAGE)
        assert again.read_physical(pfn * PAGE, PAGE) == content
        if pfn * PAGE < limit:
            assert elf.read_virtual(port.split + pfn * PAGE, PAGE) == content
    assert elf.read_virtual(layout.place.utsname, 6) == b"Linux\0"


def test_highmem_keeps_none_when_a_range_is_split(tmp_path: Path) -> None:
    layout = described("i386-pae", FAR)
    vmcore = build(layout, tmp_path / "vmcore")
    elf = convert(vmcore, tmp_path / "elf", "--dump-format", "elf", "--dump-level", "31")
    word, loads = headers(open_dump(str(elf)))
    assert word == 8
    limit = I386["i386-pae"].lowmem(layout)
    assert len([start for _, start, _ in loads if start >= limit]) > 1
    assert {vaddr for vaddr, start, _ in loads if start >= limit} == {(1 << 64) - 1}
