# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump disk with bad blocks, and one that dies in the middle, under a real capture kernel."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import drgn
import pytest

from kdump_initrd.core.run import run

from . import blkdebug, disks, readers
from .capture import built, said
from .scenario import WITHOUT_DUMP, Scenario, crash

pytestmark = [pytest.mark.qemu, pytest.mark.full, pytest.mark.timeout(900)]

_SECTORS = 8
#: Blocks behind the first free ones of a part of the disk, where folders and small files go; every
#: so many blocks one is bad: 40 of them lie under a dump of 50 MB.
_SMALL, _EVERY = 1000, 300
#: Writes after which a disk is dead: the log is saved by then, and the dump's middle is reached.
_WRITES = 45
#: Seconds in which that has to be known, by the issue of it.
_KNOWN = 10


class PowerCut(Exception):
    """The machine is gone, in the middle of its work."""


def free_blocks(disk: disks.Disk) -> list[range]:
    """Return the parts of a disk's ext4 that nothing is in."""
    text = run(["dumpe2fs", disk.path], timeout=30).stdout.decode()
    found = []
    for line in re.findall(r"^  Free blocks: (.+)$", text, re.MULTILINE):
        for part in line.split(", "):
            first, _, last = part.partition("-")
            found.append(range(int(first), int(last or first) + 1))
    return found


def spoiled(blocks: Iterable[int]) -> list[dict[str, object]]:
    """Return the rules for blocks that can be neither read nor written (EIO)."""
    return [
        {"event": "none", "iotype": kind, "sector": block * _SECTORS + 3}
        for block in blocks
        for kind in ("read", "write")
    ]


def test_bad_blocks_under_the_dump(scenario: Scenario, folder: Path, crash_copy: Path) -> None:
    disk = disks.make(folder / "disk.raw", size_mib=1024)
    parts = free_blocks(disk)
    bad = {block for part in parts for block in part[_SMALL::_EVERY]}
    scenario = built(scenario, f"UUID={disks.UUID}")
    devices = blkdebug.faulty(disk, **{"inject-error": spoiled(sorted(bad))})
    outcome = crash(replace(scenario, devices=devices))
    assert disk.fsck() == ""
    (found,) = disk.crash_folders(crash_copy)
    report = json.loads(found.file("report.json").copy.read_text())
    facts = report["dump"]
    # What the guest wrote to a bad block is not in the image that other programs read here.
    assert (report["result"], facts["lost_pages"], facts["unwritten_pages"]) == ("saved", 0, 0)
    assert facts["moved_pages"] > 0 and facts["verified"] == "sample"
    moved = f"{facts['moved_pages']} pages were written again, elsewhere"
    assert moved in "\n".join(said(outcome.run))
    readers.prove(
        dump=found.file("dump.").copy,
        dmesg=found.file("dmesg.").copy,
        token=outcome.token,
        release=scenario.kernel.release,
    )


def test_a_disk_that_dies_in_the_middle_is_known_at_once(scenario: Scenario, folder: Path) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, f"UUID={disks.UUID}")
    heard: dict[str, float] = {}

    def note(line: str) -> None:
        for word in ("I/O error, dev", "error: dump: "):
            if word in line:
                heard.setdefault(word, time.monotonic())

    devices = blkdebug.dying(disk, writes=_WRITES)
    outcome = crash(replace(scenario, devices=devices, phases=WITHOUT_DUMP), on_line=note)
    lines = "\n".join(said(outcome.run))
    # A file system that has lost its journal takes nothing either.
    assert re.search(r"error: dump: .*(Input/output error|Read-only file system)", lines)
    assert "error: report: " in lines
    assert heard["error: dump: "] - heard["I/O error, dev"] < _KNOWN
    assert outcome.run.paced < 60


def test_a_power_cut_leaves_what_was_written(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    # What the guest's disk was given is kept, and nothing else: QEMU ends at once.
    disk = disks.make(folder / "disk.raw", size_mib=2048)
    whole = ("--dump-level", "0", "--dump-compress", "none")
    scenario = built(scenario, f"UUID={disks.UUID}", *whole)

    def cut(line: str) -> None:
        # The first lines come by the clock: a busy host has written next to nothing by then.
        if re.search(r"kdump-initrd: [2-9]\d %", line):
            raise PowerCut

    with pytest.raises(PowerCut):
        crash(replace(scenario, disks=(disk.path,)), on_line=cut)
    run(["e2fsck", "-p", disk.path], timeout=120, check=False)  # as a mount replays the journal
    assert disk.fsck() == ""
    (found,) = disk.crash_folders(crash_copy)
    # Room for the next report lies beside it while the dump is written.
    (kept,) = [file.copy for file in found.files if file.name == "report.json"]
    report = json.loads(kept.read_text())
    assert report["result"] == "incomplete"
    assert "sysrq triggered crash" in found.file("dmesg.").copy.read_text(errors="replace")
    dump = found.file("dump.")
    assert dump.name.endswith("-incomplete")
    assert dump.size > 16 << 20
    program = drgn.Program()
    program.set_core_dump(dump.copy)
    assert f"OSRELEASE={scenario.kernel.release}" in program["VMCOREINFO"].string_().decode()
