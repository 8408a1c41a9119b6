# SPDX-License-Identifier: GPL-2.0-or-later
"""What a dump of each level leaves out, on synthetic vmcores, against the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .dialects import DIALECTS
from .filtering import check, contents, filtered
from .structpages import KINDS
from .synthetic import EVERY_KIND

LEVELS = (0, 1, 2, 4, 8, 16)
ODD = EVERY_KIND + "    0x3a0+8 slab-odd\n    0x3b0 slab-odd order=4\n"
#: Two ranges of memory with a hole, the structures in the first; page frames 0x100 to 0xfff and
#: 0x1800 to 0x3eff and 0x4100 to 0x5eff are free for use.
HOLE = "structures 16M\nmemory 0-63M, 65M-95M\n"
MACHINES = (
    "paging 5", "kaslr", "paging 5\nkaslr", "sections pointer", "vmemmap small", "sme 47",
    "section-flags 5", "section-flags 6", "section-flags 12", "sections pointer\nkaslr\npaging 5",
)  # fmt: skip


@pytest.mark.parametrize(
    ("kernel", "level"),
    [(kernel, 31) for kernel in DIALECTS]
    + [("6.6", 8)]
    + [(kernel, level) for kernel in ("6.1", "7.1") for level in LEVELS],
)
def test_every_kind(tmp_path: Path, kernel: str, level: int) -> None:
    check(tmp_path, f"kernel {kernel}\n{ODD}", level)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kernel", list(DIALECTS))
def test_every_kind_at_every_level(tmp_path: Path, kernel: str) -> None:
    for level in range(32):
        check(tmp_path, f"kernel {kernel}\n{ODD}\n0x1700+200 wild seed={level}", level)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_machine(tmp_path: Path, machine: str) -> None:
    kernel = "6.1" if MACHINES.index(machine) % 2 else "6.12"
    check(tmp_path, f"kernel {kernel}\n{machine}\n{EVERY_KIND}", 31)


@pytest.mark.parametrize("codec", ["zstd", "zlib", "none"])
def test_several_workers(tmp_path: Path, codec: str) -> None:
    text = f"{EVERY_KIND}\n0x1700+200 wild seed=1"
    saved = check(tmp_path, text, 30, jobs=3, dump_compress=codec)
    assert saved.report["jobs"] == 3


def test_six_flags_without_the_symbol_of_vmemmap(tmp_path: Path) -> None:
    # makedumpfile 1.7.2 finds no struct pages here.
    text = f"kernel 6.15\nsection-flags 6\ndrop SYMBOL(vmemmap)\n{EVERY_KIND}"
    check(tmp_path, text, 31)


def test_a_compound_page_of_7_1_by_its_new_name(tmp_path: Path) -> None:
    text = "kernel 7.1\nmemory 0-32M\n0x100 kernel order=5 tail+lru\n0x140 tail"
    saved = check(tmp_path, text, 31)
    assert "OFFSET(page.compound_head)" not in saved.layout.info
    assert saved.left_out == set()


def test_a_type_is_the_top_byte_whatever_its_owner_has_below(tmp_path: Path) -> None:
    """Linux 6.12 and later; before, a number is a type as a whole or none."""
    text = """
        memory 0-32M
        0x100 slab-odd mapcount=0xf5001234
        0x200 offline mapcount=0xf1ffffff
        0x300 hugetlb-file order=3 mapcount=0xf4000001
        0x400 free order=2 mapcount=0xf0000080
    """
    saved = check(tmp_path, f"kernel 7.1\n{text}", 31)
    assert saved.left_out == {0x200, *range(0x300, 0x308), *range(0x400, 0x404)}
    old = "0x100 free order=2 mapcount=0xffffff80\n0x200 offline mapcount=0xfffffef0"
    assert check(tmp_path, f"kernel 6.10\nmemory 0-32M\n{old}", 31).left_out == set()


@pytest.mark.parametrize(
    ("level", "left"), [(31, 1024), (16, 1024), (15, 0), (0, 0)]
)  # fmt: skip
def test_unaccepted_memory(tmp_path: Path, level: int, left: int) -> None:
    # The block is as large as the largest order, whatever its own struct pages say.
    text = "kernel 7.1\nmemory 0-32M\n0x400 unaccepted order=3\n0x408+1016 reserved\n"
    assert len(check(tmp_path, text, level).left_out) == left


def test_unaccepted_memory_at_the_end_of_memory(tmp_path: Path) -> None:
    text = f"kernel 7.1\n{HOLE}0x3e00 unaccepted\n0x5e80 unaccepted"
    assert check(tmp_path, text, 16).left_out == {*range(0x3E00, 0x3F00), *range(0x4100, 0x4200),
                                                 *range(0x5E80, 0x5F00)}  # fmt: skip


@pytest.mark.parametrize("level", [0, 1, 2, 16, 31])
def test_broken_memory_is_never_read(tmp_path: Path, level: int) -> None:
    text = """
        memory 0-32M
        0x100 hwpoison
        0x200 slab order=4 +hwpoison
        0x400+8 offline
    """
    saved = check(tmp_path, text, level)
    assert saved.left_out == {0x100, *range(0x200, 0x210), *range(0x400, 0x408)}


def test_bad_memory_in_a_block_that_is_kept(tmp_path: Path) -> None:
    text = "memory 0-32M\n0x100 kernel order=4 tail+hwpoison\n0x200 tail +hwpoison"
    assert check(tmp_path, text, 31).left_out == {*range(0x101, 0x110), 0x200}


def test_offline_pages_are_left_out_without_another_reason_to_look(tmp_path: Path) -> None:
    # makedumpfile looks at no struct page then.
    text = "memory 0-32M\n0x400+8 offline\ndrop NUMBER(PG_hwpoison)"
    assert len(check(tmp_path, text, 1).left_out) == 8


def test_a_block_in_a_hole_is_no_block(tmp_path: Path) -> None:
    saved = check(tmp_path, f"{HOLE}0x3f80 free order=8\n0x4180+4 file", 31)
    assert saved.left_out == {*range(0x4180, 0x4184)}


@pytest.mark.parametrize("block", ["free order=10", "file-large order=10", "hugetlb-anon order=10"])
def test_a_block_beyond_the_end_of_memory(tmp_path: Path, block: str) -> None:
    saved = check(tmp_path, f"{HOLE}0x3c00 {block}\n0x5c00 {block}", 31)
    assert saved.left_out == {*range(0x3C00, 0x3F00), *range(0x5C00, 0x5F00)}


def test_a_block_over_a_hole(tmp_path: Path) -> None:
    # Pages within a block are not looked at.
    text = f"{HOLE}0x2000 hugetlb-file order=13 -head\n0x2000 file-large order=13\n0x4100 reserved"
    saved = check(tmp_path, text, 31)
    assert saved.left_out == {*range(0x2000, 0x3F00)}


def test_overlapping_ranges(tmp_path: Path) -> None:
    text = """
        structures 16M
        memory 0-63M, 16M-93M
        load 1M-80M
        load 2M-3M
        0x100+0x100 anon
        0x2000+4096 anon
        0x3800+1000 file
        0x4000 free order=10
    """
    assert len(check(tmp_path, text, 31).left_out) == 0x100 + 4096 + 1000 + 1024


def test_ranges_that_end_within_pages(tmp_path: Path) -> None:
    text = """
        structures 16M
        memory 0-0x1fff800, 0x2000000-0x3000123, 0x3000200-0x4000000
        0x1ffd+2 file
        0x2fff+3 file
    """
    saved = check(tmp_path, text, 4)
    assert 0x1FFF in saved.dump.second and saved.left_out == {
        0x1FFD,
        0x1FFE,
        0x2FFF,
        0x3000,
        0x3001,
    }


@pytest.mark.parametrize("private", [11, 12, 63, 64, 1 << 40, -1])
def test_a_free_block_of_no_order_is_kept(tmp_path: Path, private: int) -> None:
    text = f"memory 0-32M\n0x800 free order=4 private={private}\n0x810 file"
    saved = check(tmp_path, text, 31)
    assert saved.left_out == {0x810}


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
@pytest.mark.parametrize("stored", [64, 128, 255, 5])
def test_an_order_that_cannot_be_is_none(tmp_path: Path, kernel: str, stored: int) -> None:
    # 0x810 is not a multiple of 32.
    text = f"kernel {kernel}\nmemory 0-32M\n0x810 file-large order=4 stored={stored}\n0x820 file"
    assert check(tmp_path, text, 31).left_out == {0x810, 0x820}


@pytest.mark.parametrize("kernel", ["6.1", "6.6", "6.12"])
def test_pages_at_the_end_of_a_batch(tmp_path: Path, kernel: str) -> None:
    text = f"""
        kernel {kernel}
        memory 0-32M
        0x1fe file-large order=1
        0x3ff anon +head
        0x400 tail
        0x5ff file
        0x600 anon-thp order=9
        0x7ff anon
        0x9ff free
        0xbff hwpoison
        0xdff file +head
        0xe00 kernel
        0xffc free order=2
        0x11f0 slab order=4
    """
    check(tmp_path, text, 31)


def test_struct_pages_that_are_not_mapped(tmp_path: Path) -> None:
    text = """
        memory 0-32M
        vmemmap-hole 0x600 512
        0x500+256 file
        0x600+512 file
        0x800+16 file
        0xa00 free order=9
        0xc00 free order=8
    """
    assert len(check(tmp_path, text, 31).left_out) == 256 + 16 + 512 + 256


def test_a_small_hole_costs_its_batch_at_most(tmp_path: Path) -> None:
    text = "memory 0-32M\nvmemmap-hole 0x640 64\n0x400+2048 file"
    left = filtered(tmp_path, text, 31).left_out
    assert not left & {*range(0x640, 0x680)}
    assert left >= {*range(0x400, 0xC00)} - {*range(0x600, 0x800)}


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
@pytest.mark.parametrize("absent", [1, 2])
def test_an_absent_section_is_kept(tmp_path: Path, kernel: str, absent: int) -> None:
    text = f"""
        kernel {kernel}
        structures 16M
        memory 0-64M, 128M-136M, 256M-260M
        absent-section {absent}
    """
    files = {0: "0x100+64", 1: "0x8000+64", 2: "0x10000+64"}
    text += "\n".join(f"{where} file" for section, where in files.items() if section != absent)
    assert len(check(tmp_path, text, 31).left_out) == 128


def test_a_section_without_root(tmp_path: Path) -> None:
    # 128 sections of 128 MiB share an entry of the root array: 16 GiB.
    text = "memory 0-64M, 32G-32G+4M\n0x100+64 file\n0x800000+64 file"
    assert len(check(tmp_path, text, 31).left_out) == 128


@pytest.mark.parametrize("level", range(4))
def test_a_page_table_that_is_its_own(tmp_path: Path, level: int) -> None:
    text = f"memory 0-32M\nloop {level}\nvmemmap small\n0x100+64 file"
    saved = filtered(tmp_path, text, 31)
    assert set(saved.dump.second) <= set(saved.dump.first)
    # What cannot be looked at is kept; one page of tables may be taken for struct pages, in
    # which there may be a large block.
    assert saved.left_out <= {*range(64 + 1024)}
    contents(saved)


BLOCK = st.tuples(
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 6),
    st.integers(1, 4),
    st.lists(
        st.sampled_from(["+hwpoison", "+private", "-lru", "+swapbacked", "tail+lru"]), max_size=2
    ),
)


@st.composite
def descriptions(draw: st.DrawFn) -> str:
    """Draw machines of 32 MiB in two ranges."""
    lines = [f"kernel {draw(st.sampled_from(sorted(DIALECTS)))}"]
    lines += draw(st.lists(st.sampled_from(["paging 5", "kaslr", "vmemmap small"]), max_size=2))
    lines.append(f"structures 8M\nmemory 0-{draw(st.integers(16 << 20, 24 << 20))}, 25M-32M")
    lines.append(f"section-flags {draw(st.integers(2, 12))}")
    pfn = draw(st.sampled_from([0x40, 0x1F0, 0x1000, 0x17C0]))
    for kind, order, count, flags in draw(st.lists(BLOCK, max_size=25)):
        pfn = -(-pfn // (1 << order)) << order
        end = pfn + (count << order)
        if pfn < 0x1000 and end > 0x800:
            pfn = 0x1000
            end = pfn + (count << order)
        words = f"{kind} order={order} {' '.join(flags)}"
        lines.append(f"{pfn}+{count << order} {words}")
        pfn = end + draw(st.sampled_from([0, 0, 1, 3, 500]))
    if draw(st.booleans()):
        seed = draw(st.integers(0, 1 << 30))
        lines.append(f"{draw(st.sampled_from([0x2F0, 0x1100, 0x1800]))}+900 wild seed={seed}")
    return "\n".join(lines)


@given(descriptions(), st.integers(0, 31))
@settings(max_examples=25, derandomize=True)
def test_any_layout(tmp_path: Path, text: str, level: int) -> None:
    check(tmp_path, text, level)


@pytest.mark.full
@pytest.mark.timeout(1200)
@given(descriptions(), st.integers(0, 31))
@settings(max_examples=600)
def test_very_many_layouts(tmp_path: Path, text: str, level: int) -> None:
    check(tmp_path, text, level)
