# SPDX-License-Identifier: GPL-2.0-or-later
"""From dump to dump with vmcore-save: another level, another format, the same memory."""

from __future__ import annotations

import subprocess
from pathlib import Path

import drgn
import pytest

from kdump_initrd.commands.vmcoresave import main
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf.elfcore import ElfCore

from .converting import convert
from .description import parse
from .minireader import MiniReader
from .samples import sample
from .synthetic import EVERY_KIND, build
from .vmcore import ARM, I386, PAGE, X86_64, Machine

SMALL = "memory 0-16M, 32M-34M\n 0x100+64 anon\n 0x2000+64 kernel\n 0x2100+256 free order=8\n"


@pytest.mark.parametrize("kernel", ["5.10", "6.12"])
def test_levels_add_up(tmp_path: Path, kernel: str) -> None:
    vmcore = build(f"kernel {kernel}\n{EVERY_KIND}", tmp_path / "vmcore")
    direct = convert(vmcore, tmp_path / "direct", "--dump-level", "31")
    at_1 = convert(vmcore, tmp_path / "1", "--dump-level", "1")
    at_16 = convert(at_1, tmp_path / "16", "--dump-level", "16")
    assert at_1.stat().st_size > at_16.stat().st_size > direct.stat().st_size
    for each in (at_1, at_16):
        again = convert(each, tmp_path / f"{each.name}-31", "--dump-level", "31")
        assert again.read_bytes() == direct.read_bytes()
    # What is left out stays left out, and the header says so.
    back = MiniReader(convert(direct, tmp_path / "0", "--dump-level", "0"), X86_64)
    assert back.level == 31
    assert back.second == MiniReader(direct, X86_64).second


@pytest.mark.parametrize("how", ["", "paging 5", "kaslr", "sections pointer", "sme 47"])
def test_kdump_to_elf_and_back(tmp_path: Path, how: str) -> None:
    layout = parse(f"{how}\n{SMALL}")
    vmcore = build(layout, tmp_path / "vmcore")
    dump = convert(vmcore, tmp_path / "dump", "--dump-level", "31")
    elf = convert(dump, tmp_path / "elf", "--dump-format", "elf")
    kept = MiniReader(dump, X86_64)
    own = open_dump(str(elf))
    assert isinstance(own, ElfCore)
    assert b"".join(own.notes.chunks()) == kept.raw[kept.notes_at :][: own.notes.size]
    for pfn in kept.second:
        page = kept.page(pfn)
        assert own.read_physical(pfn * PAGE, PAGE) == page
        assert own.read_virtual(layout.page_offset + pfn * PAGE, PAGE) == page
    start = layout.place.text
    wanted = b"kernel text of a synthetic kernel"
    assert own.read_virtual(start, len(wanted)) == wanted
    assert (own.loads[0].vaddr, own.loads[0].paddr) == (start, layout.base)
    # Memory that is left out is in the headers: the way back is without loss.
    again = convert(elf, tmp_path / "again", "--dump-level", "31")
    assert again.read_bytes() == dump.read_bytes()


def test_elf_to_kdump_to_flat(tmp_path: Path) -> None:
    vmcore = build(SMALL, tmp_path / "vmcore")
    elf = convert(vmcore, tmp_path / "elf", "--dump-format", "elf", "--dump-level", "31")
    dump = convert(elf, tmp_path / "dump", "--dump-level", "31", "--verify", "full")
    flat = convert(dump, tmp_path / "flat", "--dump-format", "flat", "--verify", "full")
    assert convert(flat, tmp_path / "back").read_bytes() == dump.read_bytes()
    with flat.open("rb") as file:
        subprocess.run(["makedumpfile", "-R", tmp_path / "rebuilt"], stdin=file, timeout=50,
                       check=True, capture_output=True)  # fmt: skip
    assert (tmp_path / "rebuilt").read_bytes() == dump.read_bytes()


@pytest.mark.parametrize("options", [["--dump-format", "elf"], ["--dump-compress", "zstd"]])
def test_drgn_reads_what_was_converted(tmp_path: Path, options: list[str]) -> None:
    layout = parse(f"kaslr\n{SMALL}")
    dump = convert(build(layout, tmp_path / "vmcore"), tmp_path / "1", "--dump-level", "1")
    program = drgn.Program()
    program.set_core_dump(str(convert(dump, tmp_path / "2", "--dump-level", "31", *options)))
    wanted = b"page frame 0x2000, kernel"
    assert program.read(0x2000 * PAGE, len(wanted), physical=True) == wanted
    if "elf" in options:  # else it walks the page tables, which only lead to themselves
        assert program.read(layout.page_offset + 0x2000 * PAGE, len(wanted)) == wanted
    wanted = b"kernel text of a synthetic kernel"
    assert program.read(layout.base, len(wanted), physical=True) == wanted
    assert program.read(layout.place.text, len(wanted)) == wanted


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (I386, "no page tables are where SYMBOL(swapper_pg_dir)=ffffffff81001000 says"),
        (ARM, "armv7l is not supported: its direct map is not known"),
        (X86_64, "VMCOREINFO has no SYMBOL(mem_section)"),
    ],
)
def test_elf_without_addresses(
    tmp_path: Path, machine: Machine, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    core, _ = sample(machine)
    dump = convert(core.write(tmp_path / "vmcore"), tmp_path / "dump", "--dump-level", "1")
    words = [str(dump), str(tmp_path / "elf"), "--dump-format", "elf", "--dump-level", "1"]
    assert main(words) == 1
    said = capfd.readouterr().err
    wanted = f"ELF needs virtual addresses, which this dump lacks: {reason}"
    assert said == f"vmcore-save: error: {wanted}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump", "vmcore"]


@pytest.mark.parametrize("key", ["SYMBOL(mem_section)", "SYMBOL(init_top_pgt)"])
def test_elf_with_wild_addresses(
    tmp_path: Path, key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    described = f"{SMALL} set {key}=ffffffff81234568"
    dump = convert(build(described, tmp_path / "vmcore"), tmp_path / "dump", "--dump-level", "1")
    words = [str(dump), str(tmp_path / "elf"), "--dump-format", "elf", "--dump-level", "1"]
    assert main(words) == 1
    assert capfd.readouterr().err.count("\n") == 1


def test_no_other_codec_than_the_one_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # On a host nothing is lost by an error; in the capture kernel, another codec is used.
    monkeypatch.setattr("kdump_initrd.saver.codec.zstd._LIBRARY", "libzstd-missing.so.1")
    vmcore = sample()[0].write(tmp_path / "vmcore")
    words = [str(vmcore), str(tmp_path / "dump"), "--jobs", "1", "--dump-compress"]
    assert main([*words, "zstd"]) == 1
    assert "libzstd-missing.so.1: the library cannot be loaded" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vmcore"]
    assert main([*words, "auto"]) == 0
