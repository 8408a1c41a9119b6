# SPDX-License-Identifier: GPL-2.0-or-later
"""What kdump-initrd says on a machine that is armed, beside what its crash then leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.core.run import run

from . import disks, loop, rootfs
from .disks import Disk
from .installed import install
from .loop import ONCE, Loop
from .rootfs import GUEST

pytestmark = [pytest.mark.qemu, pytest.mark.full, pytest.mark.timeout(1200)]

#: Of the root: while it is mounted here, nobody finds the one that other tests have.
UUID = "e1a70c34-5b0d-4f0a-9a83-6a1d0f3c2b75"
#: How far off the estimate of the dump's size may be.
FACTOR = 2
_CONFIGURATION = f"""\
[capture]
device = "UUID={disks.UUID}"
fstype = "ext4"
dump-compress = "lzo"
[image]
hardware = "virtio"
"""
_FILES = {
    "etc/fstab": f"UUID={UUID} / ext4 errors=remount-ro 0 1\n",
    "etc/kdump-initrd.toml": _CONFIGURATION,
    "usr/local/sbin/kdump-test": (GUEST / "kdump-asked").read_text(),
}
_VERBS = ("status", "check", "estimate")


def test_a_machine_that_is_armed_says_so(name: str, folder: Path, crash_copy: Path) -> None:
    """The root's own Python runs the installed code, as root and with /proc and /sys real."""
    root = rootfs.debian()
    disk = rootfs.disk(root, folder / "root.raw")
    run(["tune2fs", "-U", UUID, disk.path], timeout=120)
    install(disk, folder, _FILES)
    initrd = folder / "initrd.img"
    disk.copy_out(f"/boot/initrd.img-{root.kernel.release}", initrd)
    dumps = disks.make(folder / "dumps.raw")
    armed = Loop(name, root.kernel, initrd, (disk.path, dumps.path), f"UUID={UUID}", phases=ONCE)
    outcome = loop.go(armed)
    saved = loop.read_back(dumps, crash_copy, outcome, root.kernel.release)
    answers = {verb: answer(disk, verb, folder) for verb in _VERBS}
    assert loop.said(outcome, "asked ") == [f"{verb} 0" for verb in _VERBS], answers

    links = {link["name"]: link for link in answers["status"]["links"]}
    assert {link["answer"] for link in links.values()} == {"yes"}, links
    assert links["target"]["facts"]["target"] == f"UUID={disks.UUID}"
    assert links["image"]["facts"]["kernel"] == root.kernel.release

    findings = {each["name"]: each for each in answers["check"]["findings"]}
    assert {"error", "unknown", "warning"} & {
        each["severity"] for each in findings.values()
    } == set()
    assert findings["write"]["severity"] == findings["drivers"]["severity"] == "fine"
    assert findings["sysctls"]["severity"] == "note"

    estimate = answers["estimate"]
    size = saved.folder.file("dump.").size
    (level,) = (each for each in estimate["levels"] if each["level"] == estimate["level"])
    report = json.loads(saved.folder.file("report.json").copy.read_text())
    assert report["dump"]["level"] == level["level"]
    assert size / FACTOR < level["dump_bytes"] < size * FACTOR
    kept = report["dump"]["pages"] * 4096
    assert kept / FACTOR < level["memory_bytes"] < kept * FACTOR
    whole = kept + 4096 * sum(report["dump"]["left_out"].values())
    assert abs(estimate["memory_bytes"] - whole) < whole / 50
    assert links["target"]["facts"]["forecast_bytes"] < size * FACTOR
    assert level["fits"]
    assert level["seconds"] > 0


def answer(disk: Disk, verb: str, into: Path) -> dict[str, Any]:
    """Return what a verb has printed."""
    disk.copy_out(f"/root/asked/{verb}.json", into / verb)
    found: dict[str, Any] = json.loads((into / verb).read_text())
    return found
