# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel addresses in dumps without PT_LOADs: the log of kdump-compressed dumps tells."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kdump_initrd.saver.__main__ import main

from .addresses import CASES, LATER, add_tables
from .printk import add_log, ring
from .running import save
from .vmcore import PAGE, PPC32, X86_64, Core


@pytest.mark.parametrize("name", list(CASES))
def test_log_of_a_kdump_compressed_dump(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    machine, address, physical, info = CASES[name]
    core = add_tables(Core(machine))
    assert core.info is not None
    core.info = [x for x in core.info if "phys_base" not in x] + info
    core.info += LATER.get(machine.number, [])
    done = save(tmp_path, add_log(core, ring(machine), physical, address), dmesg_name="log")
    capfd.readouterr()
    assert main(["--dmesg", str(done.dump)]) == 0, capfd.readouterr().err
    out = capfd.readouterr().out
    assert out == (done.folder / "log").read_text()
    assert out.count("\n") == 30


@pytest.mark.parametrize("levels", [4, 5])
@pytest.mark.parametrize("large", [False, True])
def test_x86_64_page_tables(
    tmp_path: Path, levels: int, large: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    base = {4: 0xFFFF9A5640000000, 5: 0xFF2A9A5640000000}[levels]
    tables = bytearray(6 * PAGE)  # the root at 0x1000000, then one table a level
    for level in range(levels - 1, -1, -1):
        index = base >> (12 + 9 * level) & 511
        place = (levels - 1 - level) * PAGE
        for step in range(8 if level == 0 else 1):
            entry = 0x1000000 + place + PAGE | 0x67
            if level == 0 or (level == 1 and large):
                entry = 0x4000000 + step * PAGE | (0xE3 if level else 0x8000000000000063)
            struct.pack_into("<Q", tables, place + (index + step) * 8, entry)
        if level == 1 and large:
            break
    core = Core().load(0x1000000, bytes(tables), 0xFFFFFFFF81000000)
    assert core.info is not None
    core.info = [x for x in core.info if "l5_enabled" not in x]
    core.info += [
        "SYMBOL(init_top_pgt)=ffffffff81000000",
        f"NUMBER(pgtable_l5_enabled)={int(levels == 5)}",
    ]
    done = save(tmp_path, add_log(core, ring(X86_64), 0x4000000, base), dmesg_name="log")
    capfd.readouterr()
    assert main(["--dmesg", str(done.dump)]) == 0, capfd.readouterr().err
    assert capfd.readouterr().out == (done.folder / "log").read_text()


def test_what_is_not_known_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = save(tmp_path, add_log(Core(PPC32), ring(PPC32), 0x100000, 0xC0100000))
    assert main(["--dmesg", str(done.dump)]) == 3
    assert "kernel addresses of machine ppc are not known" in capfd.readouterr().err
    core = add_log(Core(), ring(X86_64), 0x4000000, 0xFFFF888004000000)
    core.load(0x1001000, bytes(PAGE), 0xFFFFFFFF81001000)
    done = save(tmp_path, core)
    assert main(["--dmesg", str(done.dump)]) == 3
    wanted = "virtual address 0xffff888004000000 is not in the dump"
    assert capfd.readouterr().err.splitlines()[-1] == f"kdump-initrd: error: {wanted}"
