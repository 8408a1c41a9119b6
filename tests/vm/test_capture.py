# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel panics, the capture image saves its memory, and other programs read it back."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from . import disks, product
from .capture import Saved, built, check, said, saved_on
from .kernels import fetched
from .scenario import WITHOUT_DUMP, Scenario, crash
from .snapshot import crash_again
from .sources import TRIXIE

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

DEVICES = {
    "UUID": disks.UUID,
    "LABEL": disks.LABEL,
    "PARTUUID": disks.PARTUUID,
}
TOOLS = ("busybox", "root")
FORMATS = ("kdump", "elf")
ROOTS = ("garbage", "no-root")
#: Every pair of the last three meets once, and every kind of name is there.
PAIRS = (
    ("UUID", "busybox", "kdump", "garbage"),
    ("LABEL", "root", "elf", "garbage"),
    ("PARTUUID", "busybox", "elf", "no-root"),
    ("PARTUUID", "root", "kdump", "no-root"),
)
#: A partition is found in other rows after a whole cycle, too.
AGAIN = PAIRS[2:]
ROWS = [
    pytest.param(*row, id="-".join(row), marks=[] if row in PAIRS else [pytest.mark.full])
    for row in itertools.product(DEVICES, TOOLS, FORMATS, ROOTS)
]


@pytest.mark.parametrize(("device", "tools", "dump_format", "root"), ROWS)
def test_a_dump_is_saved_and_read_back(
    scenario: Scenario,
    folder: Path,
    crash_copy: Path,
    device: str,
    tools: str,
    dump_format: str,
    root: str,
) -> None:
    disk = disks.make(folder / "disk.raw", partitioned=device == "PARTUUID")
    others = [disks.garbage(folder / "root.raw")] if root == "garbage" else []
    options = ["--dump-format", dump_format]
    options += product.NO_BUSYBOX if tools == "root" else []
    scenario = built(scenario, f"{device}={DEVICES[device]}", *options)
    before = [path.read_bytes() for path in others]
    begin = crash_again if (device, tools, dump_format, root) in AGAIN else crash
    outcome = begin(replace(scenario, disks=(*others, disk.path)))
    check(saved_on(disk, crash_copy), outcome.token, scenario.kernel, dump_format=dump_format)
    assert [path.read_bytes() for path in others] == before, "the root disk was written to"


#: How a disk is attached, in QEMU's words; a USB disk comes up seconds after its controller.
CONTROLLERS = {
    "virtio": "virtio-blk-pci,drive=dump",
    "nvme": "nvme,drive=dump,serial=1",
    "ahci": "ahci,id=bus -device ide-hd,drive=dump,bus=bus.0",
    "virtio-scsi": "virtio-scsi-pci,id=bus -device scsi-hd,drive=dump,bus=bus.0",
    "megasas": "megasas,id=bus -device scsi-hd,drive=dump,bus=bus.0",
    "vmware": "pvscsi,id=bus -device scsi-hd,drive=dump,bus=bus.0",
    "usb": "qemu-xhci,id=bus -device usb-storage,drive=dump,bus=bus.0",
    "mmc": "sdhci-pci,id=bus -device sd-card,drive=dump",
}


@pytest.mark.parametrize(
    "controller", [pytest.param(name, marks=pytest.mark.full) for name in CONTROLLERS]
)
def test_each_controller_gets_its_driver_and_no_other(
    scenario: Scenario, folder: Path, crash_copy: Path, controller: str
) -> None:
    disk = disks.make(folder / "disk.raw")
    words = f"-drive file={disk.path},format=raw,if=none,id=dump,cache=unsafe"
    words += f" -device {CONTROLLERS[controller]}"
    scenario = built(scenario, f"UUID={disks.UUID}", "--hardware", "generic")
    scenario = replace(scenario, devices=tuple(words.split()), crashkernel_mib=192)
    outcome = crash(scenario)
    check(saved_on(disk, crash_copy), outcome.token, scenario.kernel)
    lines = "\n".join(said(outcome.run))
    assert "has not appeared yet" not in lines
    (count,) = re.findall(r"(\d+) kernel modules loaded", lines)
    assert int(count) < 40, "all of more than a hundred"


@pytest.mark.full
def test_a_partition_is_found_by_its_label(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    disk = disks.make(folder / "disk.raw", partitioned=True)
    scenario = built(scenario, f"PARTLABEL={disks.PARTLABEL}")
    outcome = crash(replace(scenario, disks=(disk.path,)))
    check(saved_on(disk, crash_copy), outcome.token, scenario.kernel)


@pytest.mark.full
@pytest.mark.parametrize("codec", ["zstd", "xz", "gzip", "lz4", "none"])
def test_an_image_of_each_compression_works(
    scenario: Scenario, folder: Path, crash_copy: Path, codec: str
) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, f"UUID={disks.UUID}", "--compress", codec)
    outcome = crash(replace(scenario, disks=(disk.path,)))
    check(saved_on(disk, crash_copy), outcome.token, scenario.kernel)


@pytest.mark.full
@pytest.mark.parametrize("tools", TOOLS)
def test_makedumpfile_collects(
    scenario: Scenario, folder: Path, crash_copy: Path, tools: str
) -> None:
    disk = disks.make(folder / "disk.raw")
    options = ["--collector", "makedumpfile"]
    options += product.NO_BUSYBOX if tools == "root" else []
    scenario = built(scenario, f"UUID={disks.UUID}", *options)
    outcome = crash(replace(scenario, disks=(disk.path,)))
    saved = saved_on(disk, crash_copy)
    check(saved, outcome.token, scenario.kernel)
    assert saved.report["dump"]["collector"] == "makedumpfile"
    assert [step["result"] for step in saved.report["steps"]] == ["done"] * len(
        saved.report["steps"]
    )


@pytest.mark.full
@pytest.mark.parametrize("tools", TOOLS)
def test_debian_13_is_captured_from_its_own_root(
    scenario: Scenario, folder: Path, crash_copy: Path, tools: str
) -> None:
    scenario = replace(scenario, kernel=fetched(TRIXIE))
    disk = disks.make(folder / "disk.raw")
    options = product.NO_BUSYBOX if tools == "root" else ()
    scenario = built(scenario, f"UUID={disks.UUID}", *options)
    outcome = crash(replace(scenario, disks=(disk.path,)))
    check(saved_on(disk, crash_copy), outcome.token, scenario.kernel)


def test_without_the_dump_device_it_says_so_and_restarts(scenario: Scenario) -> None:
    scenario = built(scenario, f"UUID={disks.UUID}", "--setup-timeout", "20")
    outcome = crash_again(replace(scenario, phases=WITHOUT_DUMP))
    lines = "\n".join(said(outcome.run))
    assert f"UUID={disks.UUID} did not appear" in lines
    assert "sysrq triggered crash" in lines, "the crashed kernel's last words are missing"
    # 15 s for the device, the saver's start, and the emulator's own share.
    assert outcome.run.paced < 60


def test_a_full_disk_keeps_the_kernel_log_and_restarts(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    disk = disks.make(folder / "disk.raw", size_mib=64)
    disk.fill(leave_kib=16 << 10)
    scenario = built(scenario, f"UUID={disks.UUID}")
    outcome = crash_again(replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP))
    saved = saved_on(disk, crash_copy)
    assert (saved.report["result"], saved.report["dump"]) == ("refused", None)
    dmesg = saved.folder.file("dmesg.").copy.read_text(errors="replace")
    assert f"{outcome.token} loaded" in dmesg
    assert "sysrq triggered crash" in dmesg
    names = [file.name for file in saved.folder.files]
    assert not [name for name in names if name.startswith("dump.")], "a dump that cannot fit"
    lines = "\n".join(said(outcome.run))
    assert "the dump would take" in lines
    assert "there is no room for a dump in" in lines


@pytest.mark.full
def test_a_disk_without_any_room_is_a_clear_line(scenario: Scenario, folder: Path) -> None:
    disk = disks.make(folder / "disk.raw", size_mib=64)
    disk.fill(leave_kib=0)
    scenario = built(scenario, f"UUID={disks.UUID}")
    outcome = crash_again(replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP))
    assert disk.fsck() == ""
    lines = "\n".join(said(outcome.run))
    assert "No space left on device" in lines
    assert "sysrq triggered crash" in lines, "the crashed kernel's last words are missing"


@pytest.mark.full
@pytest.mark.parametrize("target", ["/run/crash", "../../../tmp/crash"])
def test_a_link_out_of_the_disk_leads_nowhere_else(
    scenario: Scenario, folder: Path, crash_copy: Path, target: str
) -> None:
    # Into the image's memory, as the image would follow it.
    disk = disks.make(folder / "disk.raw")
    disk.link("/var/crash", target)
    scenario = built(scenario, f"UUID={disks.UUID}")
    outcome = crash_again(replace(scenario, disks=(disk.path,)))
    below = "/" + target.replace("../", "").strip("/")
    (found,) = disk.crash_folders(crash_copy, below=below)
    report = json.loads(found.file("report.json").copy.read_text())
    check(Saved(found, report), outcome.token, scenario.kernel)
    assert f"the dump is in /kdump{below}/" in "\n".join(said(outcome.run))


def test_the_final_action_may_be_poweroff(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, f"UUID={disks.UUID}", "--final-action", "poweroff")
    outcome = crash_again(replace(scenario, disks=(disk.path,), final="guest-shutdown"))
    check(saved_on(disk, crash_copy), outcome.token, scenario.kernel)
