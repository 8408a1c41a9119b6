# SPDX-License-Identifier: GPL-2.0-or-later
"""Headers with numbers beyond all sense: neither time nor memory is spent on them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf.extents import Extents

from . import damage
from .attempt import attempt, problems
from .minireader import MiniReader
from .pagetables import Image, Range, write_core
from .running import save
from .vmcore import DIRECT, PAGE, X86_64, Core, text, zero

#: Offset in the file, layout, value: e_phoff, e_shoff, e_phnum; then p_offset, p_vaddr, p_paddr,
#: p_filesz, p_memsz of the second PT_LOAD, and p_offset, p_filesz of the PT_NOTE.
LOAD = 64 + 2 * 56
ELF: list[Any] = [
    (32, "<Q", (1 << 64) - 1), (32, "<Q", 1 << 63), (56, "<H", 0xFFFE), (56, "<H", 0xFFFF),
    (56, "<H", 0), (LOAD + 8, "<Q", (1 << 64) - 1), (LOAD + 16, "<Q", (1 << 64) - 1),
    (LOAD + 24, "<Q", (1 << 64) - PAGE), (LOAD + 24, "<Q", 1 << 51), (LOAD + 24, "<Q", 1 << 47),
    (LOAD + 32, "<Q", (1 << 64) - 1), (LOAD + 32, "<Q", 1 << 51),
    (LOAD + 32, "<Q", 1 << 40), (LOAD + 40, "<Q", (1 << 64) - 1), (LOAD + 40, "<Q", 1 << 51),
    (64 + 8, "<Q", (1 << 64) - 1), (64 + 32, "<Q", (1 << 64) - 1),
]  # fmt: skip
#: What may be true: bitmaps of so much memory take some seconds.
ELF += [
    pytest.param(LOAD + at, "<Q", value, marks=pytest.mark.full)
    for at, value in ((24, 1 << 43), (40, 1 << 42))
]
#: block_size, sub_hdr_size, bitmap_blocks, max_mapnr, nr_cpus; then the sub header's dump_level,
#: split, offset and size of VMCOREINFO, of the notes, and max_mapnr_64.
KDUMP = [
    (428, "<i", 1 << 18), (428, "<i", -4096), (432, "<i", (1 << 31) - 1), (432, "<i", -1),
    (436, "<I", (1 << 32) - 1), (436, "<I", 0), (436, "<I", 1), (440, "<I", (1 << 32) - 1),
    (460, "<i", -1), (PAGE + 8, "<i", -1), (PAGE + 32, "<q", -1), (PAGE + 40, "<Q", 1 << 63),
    (PAGE + 48, "<q", -1), (PAGE + 48, "<q", (1 << 63) - 1), (PAGE + 56, "<Q", (1 << 64) - 1),
    (PAGE + 96, "<Q", (1 << 64) - 1), (PAGE + 96, "<Q", 1 << 40), (PAGE + 96, "<Q", 0),
]  # fmt: skip


@pytest.mark.parametrize(("at", "layout", "value"), ELF)
@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_headers_of_a_core(tmp_path: Path, at: int, layout: str, value: int, kind: str) -> None:
    raw = bytearray(damage.core().raw)
    struct.pack_into(layout, raw, at, value)
    (tmp_path / "in").write_bytes(raw)
    done = attempt(tmp_path / "in", tmp_path / "out", {"dump_format": kind})
    assert problems(done, seconds=8) == []


@pytest.mark.parametrize(("at", "layout", "value"), KDUMP)
def test_headers_of_a_dump(tmp_path: Path, at: int, layout: str, value: int) -> None:
    raw = bytearray(damage.dump(tmp_path, damage.core(), "lzo").raw)
    struct.pack_into(layout, raw, at, value)
    (tmp_path / "damaged").write_bytes(raw)
    assert problems(attempt(tmp_path / "damaged", tmp_path / "out", {}), seconds=3) == []


@pytest.mark.parametrize("address", [1 << 51, 1 << 47, 1 << 45])
def test_a_piece_where_no_memory_can_be(tmp_path: Path, address: int) -> None:
    core = Core().load(0x100000, text(5)).load(address, text(2, 2), DIRECT)
    done = save(tmp_path, core)
    assert (done.status, done.report["dump"]["lost_pages"]) == (1, 2)
    assert done.step("dump")["detail"] == "the vmcore is truncated: 2 pages are missing"
    dump = MiniReader(done.dump, X86_64)
    assert dump.frames[2] == 0x105 and dump.first == list(range(0x100, 0x105))


def test_memory_of_another_node_is_believed(tmp_path: Path) -> None:
    far = 1 << 46
    ranges = [
        Range(0x100000, 0x110000, DIRECT + 0x100000),
        Range(far, far + (128 << 20), DIRECT + far),
    ]
    path = write_core(tmp_path / "in", ranges, Core(), Image())
    core = open_dump(str(path))
    extents = Extents(core, PAGE)  # type: ignore[arg-type]
    core.close()
    assert (extents.missing, extents.pages) == (0, 16 + 32768)
    assert extents.end == (far >> 12) + 32768


def test_notes_that_reach_over_all_memory(tmp_path: Path) -> None:
    core = Core(cpus=3).load(0x1000000, text(2) + zero(8000) + text(1))
    raw = bytearray(core.build())
    struct.pack_into("<QQ", raw, 64 + 32, len(raw), len(raw))
    (tmp_path / "in").write_bytes(raw)
    done = save(tmp_path, tmp_path / "in")
    assert done.status == 0
    dump = MiniReader(done.dump, X86_64)
    assert dump.notes.rstrip(b"\0") == core.notes().rstrip(b"\0") and dump.cpus == 3


def test_more_notes_than_there_are_processors(tmp_path: Path) -> None:
    # Each PT_NOTE is the same again.
    core = Core(cpus=40).load(0x1000000, text(2))
    raw = bytearray(core.build())
    note, load = raw[64 : 64 + 56], raw[64 + 56 : 64 + 112]
    at = len(raw)
    raw += load + note * 60000
    struct.pack_into("<Q", raw, 32, at)
    struct.pack_into("<H", raw, 56, 60001)
    (tmp_path / "in").write_bytes(raw)
    done = attempt(tmp_path / "in", tmp_path / "out", {})
    assert problems(done, seconds=4) == [] and done.status == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SIZE(prb_desc)", "1"),
        ("SIZE(printk_info)", "1"),
        ("SIZE(prb_desc)", "5000"),
        ("OFFSET(prb_desc.state_var)", "-8"),
        ("OFFSET(prb_desc.text_blk_lpos)", "24"),
        ("OFFSET(printk_info.text_len)", "88"),
    ],
)
def test_records_of_the_log_without_sense(tmp_path: Path, key: str, value: str) -> None:
    (tmp_path / "in").write_bytes(damage.core().with_info({key: value}))
    done = attempt(tmp_path / "in", tmp_path / "out", {})
    assert problems(done, seconds=3) == [] and done.status == 0
    assert "VMCOREINFO: a record of the kernel log of" in done.said
