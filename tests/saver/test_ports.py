# SPDX-License-Identifier: GPL-2.0-or-later
"""Synthetic vmcores of every architecture: what is left out, ELF dumps, keys that are missing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import drgn
import pytest

from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf.elfcore import ElfCore
from kdump_initrd.saver.memory.reader import Memory

from .converting import convert
from .damage import WILD
from .description import parse
from .filtering import check, contents, expected, filtered, judge
from .layout import Layout
from .minireader import MiniReader
from .ports import PORTS
from .structpages import pack
from .synthetic import KINDS_OF_PAGES, build

#: 0x2000 pages, the structures at the end of them, and some more.
MEMORY = "memory 0-0x2000P, 0x4000P-0x4800P\n"
PAGES = f"{MEMORY}{KINDS_OF_PAGES}\n0x4000+1024 free order=10\n0x4400+0x100 wild seed=1\n"
#: The last one of each architecture, page size and byte order: of these, dumps are made.
SOME = [*{(type(port), port.page, port.machine): name for name, port in PORTS.items()}.values()]
#: Those that have vmemmap, and those of them that drgn 0.3.0 cannot follow there.
VMEMMAP = [name for name in SOME if PORTS[name].model == "vmemmap"]
NO_DRGN = {name for name in PORTS if "hash" in name or "riscv" in name}
#: Whose pages are too small for libkdumpfile, by which drgn reads dumps.
REFUSED = {name for name in PORTS if name.startswith("ppc64") and name.endswith("-4k")}
#: Those that have no other tests of what they lack.
OTHERS = [name for name in PORTS if name != "x86_64"]
KERNELS = ["6.1", "6.6", "7.1"]
#: Keys of an architecture that the filter does without.
HARMLESS = {
    "SYMBOL(lowcore_ptr)", "SYMBOL(high_memory)", "LENGTH(lowcore_ptr)", "SAMODE31", "EAMODE31",
    "OFFSET(cpu_spec.cpu_features)", "SYMBOL(cur_cpu_spec)", "OFFSET(cpu_spec.mmu_features)",
    "NUMBER(RADIX_MMU)",
}  # fmt: skip


@contextmanager
def built(tmp_path: Path, name: str, kernel: str) -> Iterator[tuple[Layout, Memory]]:
    """The vmcore of a port, opened."""
    layout = parse(f"port {name}\nkernel {kernel}\n{PAGES}")
    memory = open_dump(str(build(layout, tmp_path / "vmcore")))
    yield layout, memory
    memory.close()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", list(PORTS))
def test_every_kind(tmp_path: Path, name: str, kernel: str) -> None:
    with built(tmp_path, name, kernel) as (layout, memory):
        for level in (31, 0, 1, 2, 4, 8, 16) if kernel == KERNELS[-1] else (31,):
            found = judge(memory, layout.info, level)
            assert (found.level, found.note) == (level, "")
            assert found.left_out == expected(layout, level)


@pytest.mark.parametrize("name", SOME)
def test_a_dump_of_it(tmp_path: Path, name: str) -> None:
    kernel = KERNELS[list(PORTS).index(name) % len(KERNELS)]
    check(tmp_path, f"port {name}\nkernel {kernel}\n{PAGES}", 31)


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SOME)
def test_every_level_in_dumps(tmp_path: Path, name: str) -> None:
    for level in range(32):
        check(tmp_path, f"port {name}\nkernel 6.12\n{PAGES}\n0x4500+200 wild seed={level}", level)


@pytest.mark.parametrize("name", VMEMMAP)
def test_small_pages_of_vmemmap(tmp_path: Path, name: str) -> None:
    layout = parse(f"port {name}\n{MEMORY}")
    # What is beside a struct page that is not there, in 2 MiB of memory, is kept, too.
    size = max(layout.per_page, (2 << 20) // layout.port.page)
    hole = f"vmemmap-hole 1024 {size}\n{1024 + size}+64 file"
    saved = filtered(tmp_path, f"port {name}\nvmemmap small\n{PAGES}{hole}", 31)
    assert saved.left_out == saved.wanted(31)


@pytest.mark.parametrize("model", ["sparse", "flat"])
@pytest.mark.parametrize("name", SOME)
def test_without_vmemmap(tmp_path: Path, name: str, model: str) -> None:
    check(tmp_path, f"port {name}\nmodel {model}\n{PAGES}", 31)


@pytest.mark.parametrize("name", SOME)
def test_kdump_to_elf_and_back(tmp_path: Path, name: str) -> None:
    layout = parse(f"port {name}\n{PAGES}")
    port, page = layout.port, layout.port.page
    vmcore = build(layout, tmp_path / "vmcore")
    dump = convert(vmcore, tmp_path / "dump", "--dump-level", "31")
    elf = convert(dump, tmp_path / "elf", "--dump-format", "elf")
    kept, own = MiniReader(dump, port.machine), open_dump(str(elf))
    assert set(kept.first) - set(kept.second) == expected(layout, 31)
    assert isinstance(own, ElfCore)
    program = drgn.Program()
    program.set_core_dump(str(elf))
    for pfn in kept.second[:: len(kept.second) // 50]:
        content = kept.page(pfn)
        assert own.read_physical(pfn * page, page) == content
        for read in (own.read_virtual, program.read):
            assert read(layout.page_offset + pfn * page, page) == content
    wanted = b"kernel text of a synthetic kernel"
    assert own.read_virtual(layout.place.text, len(wanted)) == wanted
    assert program.read(layout.place.text, len(wanted)) == wanted
    again = convert(elf, tmp_path / "again", "--dump-level", "31")
    assert again.read_bytes() == dump.read_bytes()


@pytest.mark.parametrize("name", VMEMMAP)
def test_drgn_reads_the_struct_pages(tmp_path: Path, name: str) -> None:
    layout = parse(f"port {name}\nkernel 6.12\n{PAGES}")
    core = drgn.Program()
    core.set_core_dump(str(build(layout, tmp_path / "vmcore")))
    for pfn in (*range(0x100, 0x3A0), 0x4000, 0x44FF):
        address = layout.vmemmap + pfn * layout.port.page_struct
        page = layout.page(pfn)
        assert page is not None
        if name not in NO_DRGN:
            wanted = pack(page, layout.dialect, layout.port)
            assert core.read(address, layout.port.page_struct) == wanted
        else:
            with pytest.raises(drgn.FaultError):
                core.read(address, layout.port.page_struct)
    assert core.read(0x100 * layout.port.page, 18, physical=True) == b"page frame 0x100, "


@pytest.mark.parametrize("name", SOME)
def test_drgn_reads_the_dump(tmp_path: Path, name: str) -> None:
    layout = parse(f"port {name}\n{PAGES}")
    vmcore = build(layout, tmp_path / "vmcore")
    dump = convert(vmcore, tmp_path / "dump", "--dump-level", "31")
    program, kept = drgn.Program(), MiniReader(dump, layout.port.machine)
    program.set_core_dump(str(dump))
    for pfn in kept.second[:: len(kept.second) // 50]:
        page = layout.port.page
        if name in REFUSED:
            with pytest.raises(drgn.FaultError):
                program.read(pfn * page, page, physical=True)
        else:
            assert program.read(pfn * page, page, physical=True) == kept.page(pfn)


def own_keys(layout: Layout) -> list[str]:
    """The keys that one architecture has and others have not, and where its page tables are."""
    return [*layout.port.info(layout), "SYMBOL(swapper_pg_dir)"]


@pytest.mark.parametrize("name", OTHERS)
def test_without_a_key_no_wrong_page_is_left_out(tmp_path: Path, name: str) -> None:
    with built(tmp_path, name, "7.1") as (layout, memory):
        for key in own_keys(layout):
            info = {other: value for other, value in layout.info.items() if other != key}
            found = judge(memory, info, 31)
            if found.level == 31:
                assert (found.left_out, found.note) == (expected(layout, 31), "")
            else:
                assert key not in HARMLESS and (found.level, found.left_out) == (1, set())
                assert found.note and "failed" not in found.note


@pytest.mark.parametrize("name", OTHERS)
def test_a_wild_value_leaves_no_wrong_page_out(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    with built(tmp_path, name, "7.1") as (layout, memory):
        right = expected(layout, 31)
        for key in own_keys(layout):
            for value in rng.sample(WILD, 12):
                found = judge(memory, {**layout.info, key: value}, 31)
                assert found.left_out <= right, (key, value, sorted(found.left_out - right)[:5])
                assert "failed" not in found.note


@pytest.mark.parametrize("name", SOME)
def test_a_level_that_is_lowered_is_said(tmp_path: Path, name: str) -> None:
    text = f"port {name}\nkernel 7.1\n{PAGES}drop SYMBOL(swapper_pg_dir)\nset SIZE(page)=0"
    saved = filtered(tmp_path, text, 31)
    assert (saved.report["level"], saved.left_out) == (1, set())
    (line,) = saved.warnings
    assert f"dump level 31 is lowered to 1: {saved.report['level_note']}" in line
    contents(saved)
