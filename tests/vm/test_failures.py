# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong in the capture kernel ends in a clear line and the final action, in time."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.saver.__main__ import main as saver

from . import disks, product
from .capture import built, said
from .machine import Hang, Phase
from .sabotage import HOOKS_PATH, sabotage
from .scenario import WITHOUT_DUMP, Scenario
from .snapshot import crash_again

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

_HANGS = b"#!/bin/sh\nexec sleep 1000\n"


def test_without_python_the_shell_copies_what_there_is(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, f"UUID={disks.UUID}")
    sabotage(scenario.image, **{f"{HOOKS_PATH}/pre-save/10-second-stage": b"#!/bin/sh\nexit 1\n"})
    outcome = crash_again(replace(scenario, disks=(disk.path,), memory_mib=512))
    assert disk.fsck() == ""
    (found,) = disk.crash_folders(crash_copy)
    copy = found.file("dump.")
    report = json.loads(found.file("report.json").copy.read_text())
    assert (report["result"], report["dump"]["bytes"]) == ("copied", copy.size)
    # What was copied is a whole vmcore: the saver can make its dump of it later, on a host.
    argv = [
        "--vmcore",
        str(copy.copy),
        "--target.folder",
        str(folder / "later"),
        "--names.dmesg",
        "log",
    ]
    assert saver(argv) == 0
    (log,) = (folder / "later").rglob("log")
    assert outcome.token in log.read_text(errors="replace")


@pytest.mark.full
def test_a_driver_that_its_device_does_not_name_is_loaded_in_the_end(
    scenario: Scenario, folder: Path
) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, f"UUID={disks.UUID}")
    tables = b"drivers='virtio_pci virtio_blk'\nload_drivers() { :; }\n"
    sabotage(scenario.image, **{"/usr/lib/kdump-initrd/drivers.sh": tables})
    outcome = crash_again(replace(scenario, disks=(disk.path,)))
    assert f"UUID={disks.UUID} has not appeared yet: all drivers" in "\n".join(said(outcome.run))
    assert disk.fsck() == ""


@pytest.mark.full
def test_without_busybox_and_python_it_still_restarts(scenario: Scenario, folder: Path) -> None:
    disk = disks.make(folder / "disk.raw")
    options = (*product.NO_BUSYBOX, "--setup-timeout", "20")
    scenario = built(scenario, f"UUID={disks.UUID}", *options)
    sabotage(scenario.image, **{"/usr/bin/python3": b"#!/no/such/program\n"})
    outcome = crash_again(replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP))
    assert "did not appear in 15 s" in "\n".join(said(outcome.run))
    assert outcome.run.paced < 90


@pytest.mark.full
def test_a_device_that_does_not_mount_is_said(scenario: Scenario, folder: Path) -> None:
    disk = disks.make(folder / "disk.raw")
    with disk.path.open("r+b") as file:
        # s_feature_incompat: a feature that no kernel knows (fs/ext4/ext4.h).
        file.seek(1024 + 0x60)
        file.write(struct.pack("<I", 0x80000000))
    scenario = built(scenario, f"UUID={disks.UUID}")
    outcome = crash_again(replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP))
    lines = "\n".join(said(outcome.run))
    assert "cannot be mounted as ext4" in lines
    assert "sysrq triggered crash" in lines, "the crashed kernel's last words are missing"


@pytest.mark.full
@pytest.mark.parametrize(
    ("hook", "option", "message"),
    [
        ("mount/50-mount", "--setup-timeout", "no dump file system after 20 s: giving up"),
        ("save/10-saver", "--stall-timeout", "no progress for 20 s: giving up"),
        ("save/10-saver", "--timeout", "not done after 20 s: giving up"),
    ],
    ids=["setup", "stall", "overall"],
)
def test_each_timer_ends_a_hang(
    scenario: Scenario, folder: Path, hook: str, option: str, message: str
) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, f"UUID={disks.UUID}", option, "20")
    sabotage(scenario.image, **{f"{HOOKS_PATH}/{hook}": _HANGS})
    outcome = crash_again(replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP))
    assert message in "\n".join(said(outcome.run))
    assert outcome.run.paced < 60


@pytest.mark.full
def test_halt_halts(scenario: Scenario, folder: Path) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, f"UUID={disks.UUID}", "--final-action", "halt")
    with pytest.raises(Hang) as caught:
        crash_again(replace(scenario, disks=(disk.path,), deadlines={Phase.REBOOTED: 20}))
    assert "reboot: System halted" in caught.value.tail
    assert disk.fsck() == ""
