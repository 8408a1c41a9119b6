# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF headers, notes and VMCOREINFO, sound and damaged, and the union of ranges."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from kdump_initrd.saver.formats.elf.elfcore import ElfCore
from kdump_initrd.saver.formats.elf.extents import PIECES, Extents, assemble
from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.memory.vmcoreinfo import VmcoreInfo, utsname
from kdump_initrd.saver.memory.window import Window

from .vmcore import DIRECT, I386, PAGE, PPC32, PPC64, TEXT, X86_64, Core, Machine, noise, text


def opened(tmp_path: Path, core: Core | bytes) -> ElfCore:
    path = tmp_path / "core"
    path.write_bytes(core if isinstance(core, bytes) else core.build())
    return ElfCore(Window(str(path)))


@pytest.mark.parametrize("machine", [X86_64, I386, PPC64, PPC32])
def test_memory_by_address(tmp_path: Path, machine: Machine) -> None:
    data = noise(4)
    core = Core(machine, cpus=3).load(0x100000, data, 0xC0000000)
    core.load(0x200000, data[:PAGE], 0xC0100000)
    elf = opened(tmp_path, core)
    assert (elf.abi.word, elf.abi.big, elf.abi.machine) == (
        machine.word,
        machine.big,
        machine.number,
    )
    assert elf.read_physical(0x100010, 5000) == data[0x10 : 0x10 + 5000]
    assert elf.read_virtual(0xC0001000, PAGE) == data[PAGE : 2 * PAGE]
    assert elf.read_long(0xC0000000) == int.from_bytes(
        data[: machine.word], "big" if machine.big else "little"
    )
    with pytest.raises(SaverError, match="physical address 0x104000 is not in the dump"):
        elf.read_physical(0x103F00, 0x200)
    with pytest.raises(SaverError, match="virtual address 0x10 is not in the dump"):
        elf.read_virtual(0x10, 1)
    assert elf.notes.cpus == 3
    info = VmcoreInfo(elf.notes.vmcoreinfo)
    assert info.page_size() == PAGE
    joined = b"".join(elf.notes.chunks())
    assert joined == core.notes()
    at = elf.notes.vmcoreinfo_at
    assert joined[at:].startswith(b"OSRELEASE=6.1.0-test\n")


def test_values_of_vmcoreinfo() -> None:
    info = VmcoreInfo(
        b"SYMBOL(a)=ffff8000\nSIZE(b)=64\nOFFSET(c.d)=8\nLENGTH(e)=11\nNUMBER(f)=-129\n"
        b"NUMBER(g)=0x1f\nPAGESIZE=65536\nCRASHTIME=1700000000\nno equals sign\n"
        b"BUILD-ID=0123456789abcdef0123456789abcdef01234567\nX=a=b"
    )
    assert info.symbol("a") == 0xFFFF8000
    assert (info.size("b"), info.offset("c.d"), info.length("e")) == (64, 8, 11)
    assert (info.number("f"), info.number("g")) == (-129, 31)
    assert (info.page_size(), info.crash_time()) == (65536, 1700000000)
    assert info.build_id().startswith("0123")
    assert info.text("X") == "a=b"
    assert info.symbol("missing") is None
    with pytest.raises(SaverError, match=r"^VMCOREINFO has no SYMBOL\(missing\)$"):
        info.need("symbol", "missing")


@pytest.mark.parametrize(
    "text",
    [b"PAGESIZE=12345", b"PAGESIZE=-1", b"PAGESIZE=", b"\xff\xfe=\x00", b"PAGESIZE=" + b"9" * 999],
)
def test_wild_values_are_no_values(text: bytes) -> None:
    info = VmcoreInfo(text + b"\nCRASHTIME=99999999999999999\nNUMBER(x)=zz\nBUILD-ID=\x01\x02")
    assert info.page_size() is None
    assert info.crash_time() is None
    assert info.number("x") is None
    assert info.build_id() == ""


def test_utsname_of_memory_and_without(tmp_path: Path) -> None:
    names = ["Linux", "crashed", "6.1.0-test", "#1 SMP", "x86_64", "(none)"]
    raw = b"".join([name.encode().ljust(65, b"\0") for name in names])
    core = Core().load(0, raw + bytes(PAGE - len(raw)), TEXT)
    plain = opened(tmp_path, core)
    fields = utsname(plain, VmcoreInfo(plain.notes.vmcoreinfo))
    assert fields["release"] == "6.1.0-test"
    assert (fields["machine"], fields["nodename"]) == ("x86_64", "(none)")
    assert core.info is not None
    core.info += [f"SYMBOL(init_uts_ns)={TEXT:x}", "OFFSET(uts_namespace.name)=0"]
    full = opened(tmp_path, core)
    assert list(utsname(full, VmcoreInfo(full.notes.vmcoreinfo)).values()) == names


def test_union_of_overlapping_ranges(tmp_path: Path) -> None:
    ram = text(16)
    core = Core().load(0x104000, ram[4 * PAGE : 8 * PAGE], TEXT).load(0x100000, ram)
    core.load(0x200000, text(2))
    elf = opened(tmp_path, core)
    extents = Extents(elf, PAGE)
    assert [(pfn, count) for pfn, count, _ in extents.runs] == [(0x100, 16), (0x200, 2)]
    assert (extents.pages, extents.end, extents.missing) == (18, 0x202, 0)


def test_ranges_that_end_within_pages(tmp_path: Path) -> None:
    data = noise(3)
    core = Core().load(0x100800, data[: PAGE + 0x100], DIRECT).load(0x101A00, data[:0x600], DIRECT)
    elf = opened(tmp_path, core)
    extents = Extents(elf, PAGE)
    assert extents.runs == [(0x100, 1, PIECES), (0x101, 1, PIECES)]
    assert assemble(elf, extents, pfn=0x100, page_size=PAGE) == bytes(0x800) + data[:0x800]
    wanted = bytearray(PAGE)
    wanted[:0x900] = data[0x800:0x1100]
    wanted[0xA00:] = data[:0x600]
    assert assemble(elf, extents, pfn=0x101, page_size=PAGE) == bytes(wanted)


def test_union_against_a_set_of_pages(tmp_path: Path) -> None:
    rng = random.Random(7)
    for _ in range(20):
        core = Core()
        wanted: set[int] = set()
        for _ in range(rng.randrange(1, 8)):
            first, count = rng.randrange(64), rng.randrange(1, 16)
            core.load(first * PAGE, bytes(count * PAGE))
            wanted |= set(range(first, first + count))
        runs = Extents(opened(tmp_path, core), PAGE).runs
        found = [pfn + step for pfn, count, _ in runs for step in range(count)]
        assert found == sorted(wanted)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: b"", "not an ELF core"),
        (lambda raw: b"KDUMP   " + bytes(4096), "not an ELF core"),
        (lambda raw: raw[:5], "not an ELF core"),
        (lambda raw: raw[:40], "truncated: the ELF header is not complete"),
        (lambda raw: raw[:100], "truncated: the 2 program headers are not complete"),
        (lambda raw: raw[:16] + b"\2" + raw[17:], "not an ELF core, but ELF type 2"),
        (lambda raw: raw[:4] + b"\7" + raw[5:], "not an ELF core"),
        (lambda raw: raw[:54] + b"\1\0" + raw[56:], "corrupt: 2 program headers of 1 bytes"),
        (lambda raw: raw[:56] + b"\0\0" + raw[58:], "no memory in it"),
        (
            lambda raw: raw[:40] + struct.pack("<Q", 1 << 60) + raw[48:56] + b"\xff\xff" + raw[58:],
            "no memory in it",
        ),
        (lambda raw: raw[:32] + b"\xff" * 8 + raw[40:], "truncated: the 2 program headers"),
    ],
)
def test_damage_is_one_clear_error(tmp_path: Path, damage: object, message: str) -> None:
    assert callable(damage)
    raw = Core().load(0x100000, text()).build()
    with pytest.raises(SaverError) as caught:
        opened(tmp_path, damage(raw))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_random_damage_never_gets_out(tmp_path: Path) -> None:
    rng = random.Random(3)
    raw = Core(cpus=2).load(0x100000, text(2)).load(0x101000, text()).build()
    for _ in range(300):
        broken = bytearray(raw)
        for _ in range(rng.randrange(1, 6)):
            broken[rng.randrange(64 + 3 * 56 if rng.random() < 0.7 else 6000)] = rng.randrange(256)
        try:
            elf = opened(tmp_path, bytes(broken))
            extents = Extents(elf, PAGE)
            assert extents.pages <= len(raw) // PAGE * len(elf.loads)
        except SaverError:
            continue
