# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter with a VMCOREINFO that lacks keys or has wild values: no wrong page is left out."""

from __future__ import annotations

import functools
import struct
from pathlib import Path

import pytest

from kdump_initrd.saver.filter import walk

from .description import parse
from .filtering import Saved, contents, expected, filtered
from .synthetic import KINDS_OF_PAGES

ODD = f"memory 0-11M\n{KINDS_OF_PAGES}\n0x3a0+8 slab-odd\n0x3b0 slab-odd order=4"
#: Key that a level needs: what is left of level 31 without it.
LOWERED = {
    "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)": 15,
    "OFFSET(page.private)": 15,
    "LENGTH(zone.free_area)": 15,
    "OFFSET(page.mapping)": 17,
    "SIZE(page)": 1,
    "OFFSET(page.flags)": 1,
    "OFFSET(page.compound_head)": 1,
    "SYMBOL(mem_section)": 1,
    "SIZE(mem_section)": 1,
    "OFFSET(mem_section.section_mem_map)": 1,
    "NUMBER(SECTION_SIZE_BITS)": 1,
    "NUMBER(phys_base)": 1,
    "NUMBER(PG_lru)": 25,
    "NUMBER(PG_private)": 29,
}
#: Keys that stand for the same in different kernels.
OTHERS = {
    "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)": "NUMBER(PG_slab)",
    "OFFSET(page.compound_info)": "OFFSET(page.compound_head)",
}
#: Keys that a kernel may well not have, or that nothing needs.
HARMLESS = (
    "OSRELEASE", "BUILD-ID", "KERNELOFFSET", "CRASHTIME", "SIZE(list_head)", "OFFSET(page.lru)",
    "OFFSET(page._refcount)", "SYMBOL(_stext)", "SYMBOL(swapper_pg_dir)", "SYMBOL(init_top_pgt)",
    "SYMBOL(vmemmap)", "NUMBER(KERNEL_IMAGE_SIZE)", "NUMBER(sme_mask)",
    "NUMBER(pgtable_l5_enabled)", "LENGTH(free_area.free_list)", "SYMBOL(init_uts_ns)",
)  # fmt: skip
#: Features that a kernel may be built without: their pages are not known then.
FEATURES = {
    "NUMBER(PG_hwpoison)": "6.12",
    "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)": "6.12",
    "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)": "6.12",
    "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)": "7.1",
    "NUMBER(PG_hugetlb)": "6.6",
    "NUMBER(HUGETLB_PAGE_DTOR)": "6.1",
    "OFFSET(page.compound_dtor)": "6.1",
}
#: A flag that another one needs to mean what it says.
BY_THE_RULES = ("NUMBER(PG_swapbacked)",)
#: Values that cannot be.
WILD = (
    ("SIZE(page)", "0"), ("SIZE(page)", "63"), ("SIZE(page)", "8"), ("SIZE(page)", "-64"),
    ("SIZE(page)", "1073741824"), ("SIZE(page)", "sixty-four"),
    ("OFFSET(page.flags)", "64"), ("OFFSET(page.flags)", "60"), ("OFFSET(page.flags)", "-8"),
    ("OFFSET(page.mapping)", "100000"), ("OFFSET(page._mapcount)", "62"),
    ("OFFSET(page.private)", "18446744073709551615"), ("OFFSET(page.compound_head)", "57"),
    ("NUMBER(PG_lru)", "200"), ("NUMBER(PG_lru)", "-1"), ("NUMBER(PG_private)", "64"),
    ("NUMBER(PG_hwpoison)", "200"), ("NUMBER(PG_head_mask)", "0"),
    ("NUMBER(SECTION_SIZE_BITS)", "5"), ("NUMBER(SECTION_SIZE_BITS)", "0"),
    ("NUMBER(SECTION_SIZE_BITS)", "-27"), ("NUMBER(SECTION_SIZE_BITS)", "300"),
    ("NUMBER(MAX_PHYSMEM_BITS)", "0"), ("NUMBER(MAX_PHYSMEM_BITS)", "9999999"),
    ("LENGTH(mem_section)", "0"), ("LENGTH(mem_section)", "-1"),
    ("LENGTH(mem_section)", "18446744073709551615"),
    ("SIZE(mem_section)", "0"), ("SIZE(mem_section)", "1"), ("SIZE(mem_section)", "5000"),
    ("OFFSET(mem_section.section_mem_map)", "32"), ("SYMBOL(mem_section)", "0"),
    ("SYMBOL(mem_section)", "ffffffffffffffff"), ("SYMBOL(mem_section)", "ffff888000000000"),
    ("SYMBOL(swapper_pg_dir)", "ffffffff81000000"), ("SYMBOL(init_top_pgt)", "dead"),
    ("LENGTH(zone.free_area)", "0"), ("LENGTH(zone.free_area)", "-11"),
    ("LENGTH(zone.free_area)", "10000"),
    ("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", "99999999999"), ("NUMBER(phys_base)", "1"),
    ("NUMBER(phys_base)", "-4611686018427387904"), ("NUMBER(sme_mask)", "-1"),
    ("NUMBER(sme_mask)", "99999999999999999999999"), ("NUMBER(KERNEL_IMAGE_SIZE)", "0"),
    ("PAGESIZE", "0"), ("PAGESIZE", "4095"),
)  # fmt: skip


def keys(kernel: str) -> list[str]:
    return list(parse(f"kernel {kernel}\nmemory 0-32M").info)


#: Every key of a new kernel, and those that older ones have instead.
DROPS = [("6.12", key) for key in keys("6.12") if key not in HARMLESS + BY_THE_RULES]
DROPS += [
    (kernel, key)
    for kernel in ("6.1", "6.6", "7.1")
    for key in keys(kernel)
    if key not in keys("6.12") or "slab" in key.lower()
]


def without(tmp_path: Path, kernel: str, key: str, level: int = 31) -> Saved:
    """Save without one key."""
    saved = filtered(tmp_path, f"kernel {kernel}\ndrop {key}\n{ODD}", level)
    contents(saved)
    return saved


@functools.lru_cache(maxsize=100)
def whole(kernel: str, level: int) -> set[int]:
    """Return what is left out with all keys."""
    return expected(parse(f"kernel {kernel}\n{ODD}"), level)


@pytest.mark.parametrize(("kernel", "key"), DROPS)
def test_without_a_key_no_wrong_page_is_left_out(tmp_path: Path, kernel: str, key: str) -> None:
    saved = without(tmp_path, kernel, key)
    wrong = sorted(saved.left_out - whole(kernel, 31))
    assert not wrong, [f"{pfn:#x} {saved.layout.texts.get(pfn, '')}" for pfn in wrong[:5]]
    report = saved.report
    assert report["wanted_level"] == 31 and report["level"] | 31 == 31
    assert report["level"] & 1
    if saved.report["level"] == 31:
        assert report["level_note"] == ""
        return
    # The saver cannot know which of two keys the kernel should have had.
    named = [name for name in (key, OTHERS.get(key, key)) if name in report["level_note"]]
    assert named, report["level_note"]
    (line,) = [line for line in saved.warnings if named[0] in line]
    assert str(report["level"]) in line


@pytest.mark.parametrize("key", list(LOWERED))
def test_what_is_left_of_the_level(tmp_path: Path, key: str) -> None:
    saved, level = without(tmp_path, "6.12", key), LOWERED[key]
    assert saved.report["level"] == level
    # Without struct pages, even broken memory cannot be told.
    assert saved.left_out == (whole("6.12", level) if level > 1 else set())


@pytest.mark.parametrize("key", HARMLESS)
def test_a_key_that_is_not_needed(tmp_path: Path, key: str) -> None:
    saved = without(tmp_path, "6.12", key)
    assert saved.report["level"] == 31 and saved.left_out == whole("6.12", 31)
    assert not [line for line in saved.warnings if "level" in line]


@pytest.mark.parametrize("key", list(FEATURES))
def test_a_kernel_without_a_feature(tmp_path: Path, key: str) -> None:
    saved = without(tmp_path, FEATURES[key], key)
    assert saved.report["level"] == 31
    assert saved.left_out == saved.wanted(31) <= whole(FEATURES[key], 31)


def test_swap_cache_of_a_kernel_that_does_not_tell(tmp_path: Path) -> None:
    # Without the second flag the first may mean something else: those pages stay.
    saved = without(tmp_path, "6.12", "NUMBER(PG_swapbacked)")
    assert saved.left_out == saved.wanted(31) <= whole("6.12", 31)


@pytest.mark.parametrize("level", [2, 4, 8, 16])
def test_one_level_without_its_keys(tmp_path: Path, level: int) -> None:
    key = {
        2: "NUMBER(PG_private)",
        4: "NUMBER(PG_lru)",
        8: "OFFSET(page.mapping)",
        16: "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)",
    }[level]
    saved = without(tmp_path, "6.12", key, level)
    assert saved.report["level"] == 0 and saved.report["wanted_level"] == level
    assert saved.left_out == whole("6.12", 0)


def test_no_vmcoreinfo_but_the_basics(tmp_path: Path) -> None:
    wanted = {"OSRELEASE", "PAGESIZE", "CRASHTIME"}
    drops = "\n".join(f"drop {key}" for key in keys("6.12") if key not in wanted)
    saved = filtered(tmp_path, f"{drops}\n{ODD}", 31)
    assert saved.left_out == set() and saved.report["level"] == 1
    assert len(saved.warnings) == 1


@pytest.mark.parametrize(("key", "value"), WILD)
def test_a_wild_value_leaves_no_wrong_page_out(tmp_path: Path, key: str, value: str) -> None:
    # Without SYMBOL(vmemmap), nothing can stand in for the value.
    drop = "drop SYMBOL(vmemmap)\n"
    saved = filtered(tmp_path, f"{drop}set {key}={value}\n{ODD}", 31)
    wrong = saved.left_out - whole("6.12", 31)
    assert not wrong, sorted(wrong)[:5]
    contents(saved)


#: A key, and what all pages of a machine have in its place: a bit of the section, or no type.
COMMON = [
    ("NUMBER(PG_hwpoison)", "30"),
    ("NUMBER(PG_lru)", "30"),
    ("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", "-1"),
    ("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", "-1"),
]


@pytest.mark.parametrize(("key", "value"), COMMON)
def test_a_flag_that_all_pages_have_is_not_believed(tmp_path: Path, key: str, value: str) -> None:
    saved = filtered(tmp_path, f"set {key}={value}\n{ODD}", 31)
    assert saved.left_out == set()
    assert saved.report["level"] == 1
    note = "VMCOREINFO is wrong about pages: the kernel's own would be left out"
    assert saved.report["level_note"] == note
    assert [line for line in saved.warnings if line.endswith(f"lowered to 1: {note}")]


@pytest.mark.parametrize("level", [1, 31])
def test_nor_is_it_if_the_kernels_own_pages_are_not_found(tmp_path: Path, level: int) -> None:
    text = "drop SYMBOL(_stext)\ndrop SYMBOL(init_uts_ns)\nset NUMBER(PG_hwpoison)=30"
    saved = filtered(tmp_path, f"{text}\n{ODD}", level)
    assert saved.left_out == set()
    (line,) = [line for line in saved.warnings if "filter failed" in line]
    assert line.endswith(
        "by NUMBER(PG_hwpoison), more than half of memory is broken: dump level 1 is used"
    )


def test_of_two_flags_with_the_same_bit_none_is_believed(tmp_path: Path) -> None:
    text = f"set NUMBER(PG_hwpoison)={parse('memory 0-32M').info['NUMBER(PG_lru)']}"
    saved = filtered(tmp_path, f"{text}\n{ODD}", 1)
    assert saved.left_out < whole("6.12", 1)
    saved = filtered(tmp_path, f"{text}\n{ODD}", 31)
    assert saved.left_out < whole("6.12", 31)
    assert saved.report["level"] == LOWERED["NUMBER(PG_lru)"]
    assert "NUMBER(PG_lru)" in saved.report["level_note"]


@pytest.mark.parametrize("where", ["StructPage", "MemoryMap", "Rules"])
@pytest.mark.parametrize("error", [OverflowError("too large"), struct.error("bad"), KeyError(7)])
@pytest.mark.parametrize("level", [30, 31])
def test_values_that_nobody_has_thought_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception, level: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(walk, where, fail)
    saved = filtered(tmp_path, f"kernel 6.12\n{ODD}", level)
    contents(saved)
    assert saved.left_out == set()
    report = saved.report
    assert (report["level"], report["wanted_level"]) == (level & 1, level)
    name = type(error).__name__
    assert report["level_note"].startswith(f"the page filter failed: {name}: ")
    (line,) = [line for line in saved.warnings if "filter failed" in line]
    assert f"dump level {level} is lowered to {level & 1}: the page filter failed: " in line
