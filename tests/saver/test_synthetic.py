# SPDX-License-Identifier: GPL-2.0-or-later
"""The synthetic vmcores are sound: drgn reads their memory, makedumpfile filters as the oracle."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import drgn
import pytest

from . import oracle, synthetic
from .description import parse
from .layout import DescriptionError, Layout
from .minireader import MiniReader
from .structpages import StructPage, pack
from .synthetic import EVERY_KIND, KINDS_OF_PAGES, build
from .vmcore import PAGE, X86_64

#: Other places and layouts of the structures.
MACHINES = {
    "four levels": "",
    "five levels": "paging 5",
    "kaslr": "kaslr",
    "five levels, kaslr": "paging 5\nkaslr",
    "mem_section by pointer": "sections pointer",
    "small pages": "vmemmap small",
    "encrypted": "sme 47",
    "five flags": "section-flags 5",
}
#: Layouts beside EVERY_KIND.
MEMORIES = {
    "insane orders": """
        memory 0-32M
        0x1000 free order=3 private=11
        0x1008 free private=64
        0x1010 file-large order=4 stored=64
        0x1020 file-large order=4 stored=5
        0x1030 file-large order=4 stored=5
        0x11ff file +head
        0x13ff anon +head
        0x1400 tail
    """,
    "overlap": """
        structures 16M
        memory 0-63M, 16M-93M
        load 1M-80M
        0x3800+1000 file
    """,
    "a block beyond the end": """
        structures 16M
        memory 0-63M, 65M-95M
        0x3c00 free order=10
        0x5c00 free order=10
    """,
    "a block in a hole": """
        structures 16M
        memory 0-63M, 65M-95M
        0x3f80 free order=8
    """,
    "absent section": """
        memory 0-64M, 128M-136M, 256M-260M
        absent-section 1
        0x100+64 anon
        0x10000+512 file
    """,
}


class Rules172(oracle.Rules):
    """The rules of makedumpfile 1.7.2, which takes slab pages with an odd word for anonymous."""

    def is_anon(self, page: StructPage) -> bool:
        return bool(page.mapping & 1)


def rival(tmp_path: Path, text: str, level: int) -> tuple[Layout, MiniReader]:
    """Let makedumpfile save a described machine."""
    layout = parse(text)
    build(layout, tmp_path / "vmcore")
    out = tmp_path / "rival"
    out.unlink(missing_ok=True)
    command = ["makedumpfile", "-l", "-d", str(level), str(tmp_path / "vmcore"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return layout, MiniReader(out, X86_64)


def compare(tmp_path: Path, text: str, level: int) -> int:
    """Compare the oracle with makedumpfile; return how many pages are left out."""
    layout, dump = rival(tmp_path, text, level)
    rules = Rules172(layout.info, layout.dialect, layout.page)
    wanted = oracle.excluded(rules, layout.ram, level)
    assert dump.first == layout.ram
    assert set(dump.first) - set(dump.second) == wanted
    return len(wanted)


@pytest.mark.parametrize("level", [0, 1, 2, 4, 8, 16, 31])
@pytest.mark.parametrize("kernel", ["5.10", "6.1"])
def test_every_kind_against_makedumpfile(tmp_path: Path, kernel: str, level: int) -> None:
    count = compare(tmp_path, f"kernel {kernel}\n{EVERY_KIND}", level)
    assert count > {0: 1000, 1: 1000, 2: 1100, 4: 1150, 8: 2400, 16: 3000, 31: 5000}[level]


@pytest.mark.parametrize("level", [2, 4, 8, 16])
def test_single_pages_of_6_6_against_makedumpfile(tmp_path: Path, level: int) -> None:
    # 1.7.2 does not know where 6.6 keeps the order of compound pages.
    lines = EVERY_KIND.splitlines()
    single = [line for line in lines if "order=" not in line or " free " in line]
    assert compare(tmp_path, "kernel 6.6\n" + "\n".join(single), level)


@pytest.mark.parametrize("name", list(MACHINES)[1:])
def test_machines_against_makedumpfile(tmp_path: Path, name: str) -> None:
    assert compare(tmp_path, f"kernel 6.1\n{MACHINES[name]}\n{EVERY_KIND}", 31) > 5000


@pytest.mark.parametrize(
    "model", ["sparse", "sparse\nsections pointer", "static\nphysical-bits 36", "flat"]
)
def test_memory_models_against_makedumpfile(tmp_path: Path, model: str) -> None:
    memory = "structures 64M\nmemory 0-80M, 256M-264M\n0x10000+1024 free order=10\n"
    assert compare(tmp_path, f"kernel 6.1\nmodel {model}\n{memory}{KINDS_OF_PAGES}", 31) > 1500


@pytest.mark.parametrize("name", list(MEMORIES))
def test_memories_against_makedumpfile(tmp_path: Path, name: str) -> None:
    compare(tmp_path, f"kernel 6.1\n{MEMORIES[name]}", 31)


@pytest.mark.parametrize("level", [8, 31])
@pytest.mark.parametrize("kernel", ["5.10", "6.1"])
def test_wild_pages_against_makedumpfile(tmp_path: Path, kernel: str, level: int) -> None:
    text = f"kernel {kernel}\nmemory 0-32M\n0x800+0x1000 wild seed={level}"
    assert compare(tmp_path, text, level) > 500


@pytest.mark.full
@pytest.mark.timeout(600)
def test_wild_pages_at_all_levels_against_makedumpfile(tmp_path: Path) -> None:
    for seed in range(20):
        text = f"kernel 6.1\nmemory 0-32M\n0x400+0x1400 wild seed={seed}"
        for level in range(32):
            compare(tmp_path, text, level)


# drgn 0.3.0 knows no encryption of memory.
@pytest.mark.parametrize("name", [name for name in MACHINES if name != "encrypted"])
def test_drgn_reads_the_struct_pages(tmp_path: Path, name: str) -> None:
    kernel = "moved" if name == "kaslr" else "6.1"
    layout = parse(f"kernel {kernel}\n{MACHINES[name]}\n{EVERY_KIND}\nvmemmap-hole 0x1700 64")
    core = drgn.Program()
    core.set_core_dump(str(build(layout, tmp_path / "vmcore")))
    for pfn in [*range(0xA00, 0xA00 + 512), 0x100, 0x16FF, 0x1740, 0x4400, 0x101FF, 0x10200]:
        address = layout.vmemmap + pfn * layout.port.page_struct
        page = layout.page(pfn)
        assert page is not None
        assert core.read(address, layout.port.page_struct) == pack(
            page, layout.dialect, layout.port
        )
    with pytest.raises(drgn.FaultError):
        core.read(layout.vmemmap + 0x1700 * layout.port.page_struct, layout.port.page_struct)
    assert layout.page(0x1700) is None
    assert core.read(0x100 * PAGE, 18, physical=True) == b"page frame 0x100, "
    assert core.read(0x4000 * PAGE, PAGE, physical=True) == bytes(PAGE)
    text = int(layout.info["SYMBOL(init_uts_ns)"], 16)
    assert core.read(text, 6) == b"Linux\0"
    # The section's entry leads to the same struct pages.
    array = int(layout.info["SYMBOL(mem_section)"], 16)
    if layout.pointer:
        array = core.read_u64(array)
    entry = core.read_u64(core.read_u64(array) + 2 * 32)
    assert entry & ~0xFFF == layout.vmemmap and entry & 1


@pytest.mark.parametrize("kernel", ["6.1", "7.1"])
def test_the_same_text_makes_the_same_file(tmp_path: Path, kernel: str) -> None:
    text = f"kernel {kernel}\n{EVERY_KIND}\n0x1700+50 wild seed=1"
    one, two = build(parse(text), tmp_path / "1"), synthetic.build(text, tmp_path / "2")
    assert one.read_bytes() == two.read_bytes()
    assert one.stat().st_blocks * 512 < 40 << 20


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0x100 nonsense", "no such kind of page: nonsense"),
        ("0x100+3 file-large order=2", "not a whole number of blocks"),
        ("0x1f00 file", "page frames from 0x1a00 on are the structures'"),
        ("kernel 2.6", "kernel 2.6: KeyError"),
        ("frobnicate", "frobnicate: KeyError"),
        ("vmemmap-hole 3 4", "not whole pages of vmemmap"),
        ("repeat 1M-2M free", "not whole sections"),
        ("structures 31M", "no place for 6 MiB in the first range"),
    ],
)
def test_a_wrong_line_is_an_error(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        synthetic.build(f"memory 0-32M\n{line}", tmp_path / "vmcore")
    assert message in str(caught.value)


@pytest.mark.parametrize("make", [synthetic.tebibyte_free, synthetic.tebibyte_cache])
def test_a_tebibyte_is_built_in_a_moment(tmp_path: Path, make: object) -> None:
    assert callable(make)
    start = time.monotonic()
    path = make(tmp_path / "vmcore")
    assert time.monotonic() - start < 15
    assert path.stat().st_size > 1 << 40
    assert path.stat().st_blocks * 512 < 64 << 20
