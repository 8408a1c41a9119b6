# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump on each type of file system, read back by programs that are not ours."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.core.run import run

from . import disks, product, sidemachine
from .cached import cache, making
from .capture import Saved, built, check, said
from .disks import CrashFolder
from .kernels import Kernel
from .scenario import Scenario, crash
from .sidemachine import Errand
from .tools import tool

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

BTRFS = ("btrfs",)
#: As installers of SUSE and Fedora make them, with a default that is not what is mounted.
SUBVOLUMES = (
    "mount -t btrfs /dev/vda /mnt",
    "btrfs subvolume create /mnt/@",
    "btrfs subvolume create /mnt/@/var",
    "mkdir -p /mnt/@/var/lib/dumps /mnt/@/home",
    "btrfs subvolume create /mnt/@/home/default",
    "btrfs subvolume set-default /mnt/@/home/default",
    "umount /mnt",
)
#: The number of @/var: the first subvolume of a file system is 256 (btrfs_tree.h,
#: BTRFS_FIRST_FREE_OBJECTID).
VAR = 257


def saved(folder: CrashFolder) -> Saved:
    """Return a crash's folder with its report."""
    return Saved(folder, json.loads(folder.file("report.json").copy.read_text()))


def formatted(*words: str | Path) -> None:
    """Make a file system."""
    run([tool(str(words[0])), *words[1:]], timeout=120)


def restored(disk: Path, into: Path, root: int, below: str) -> list[CrashFolder]:
    """Return the crash folders of a subvolume, as btrfs-progs finds them without a mount."""
    copy = into / "restored"
    copy.mkdir()
    run([tool("btrfs"), "restore", "-m", "-r", str(root), disk, copy], timeout=300)
    return sidemachine.folders_in(copy / below, below=f"/{below}")


@pytest.fixture
def subvolumes(kernel: Kernel, folder: Path) -> Path:
    """A disk with the subvolumes; it is made once."""
    kept = cache() / "filesystems/subvolumes.raw"
    with making(kept) as fresh:
        if fresh:
            disk = sidemachine.sparse(kept.with_suffix(".new"), 2048)
            formatted("mkfs.btrfs", "-q", "-U", disks.UUID, disk)
            errand = Errand(kernel, (disk,), BTRFS, SUBVOLUMES, ("btrfs",))
            sidemachine.go(errand, folder / "making")
            disk.rename(kept)
    disk = folder / "disk.raw"
    run(["cp", "--sparse=always", kept, disk], timeout=60)
    return disk


def built_by_fstab(scenario: Scenario, folder: Path, text: str) -> Scenario:
    """Build the scenario's image for whatever holds /var/crash, by an fstab of the host."""
    table = folder / "fstab"
    table.write_text(text)
    alone = "-m" if os.geteuid() == 0 else "-rm"
    script = 'mount --bind "$1" /etc/fstab && shift && exec "$@"'
    command = [str(tool("unshare")), alone, "sh", "-c", script, "sh", str(table), *product.ME]
    image = product.build(scenario.image, scenario.kernel, "", *product.VIRTIO, command=command)
    return replace(scenario, command_line=image.command_line)


@pytest.mark.parametrize(
    "var", ["subvol=@/var", pytest.param(f"subvolid={VAR}", marks=pytest.mark.full)]
)
def test_subvolumes_and_a_bind_mount(
    scenario: Scenario, folder: Path, crash_copy: Path, subvolumes: Path, var: str
) -> None:
    scenario = built_by_fstab(
        scenario,
        folder,
        f"UUID={disks.UUID} / btrfs subvol=@ 0 0\n"
        f"UUID={disks.UUID} /var btrfs {var},nofail,x-systemd.automount 0 0\n"
        "/var/lib/dumps /var/crash none bind,nofail 0 0\n",
    )
    outcome = crash(replace(scenario, disks=(subvolumes,)))
    (found,) = restored(subvolumes, crash_copy, VAR, "lib/dumps")
    check(saved(found), outcome.token, scenario.kernel)


@pytest.mark.full
@pytest.mark.parametrize("lost", [None, 0, 1], ids=["both", "first-lost", "second-lost"])
def test_a_btrfs_on_two_disks(
    scenario: Scenario, folder: Path, crash_copy: Path, lost: int | None
) -> None:
    both = [sidemachine.sparse(folder / f"disk{number}.raw", 2048) for number in range(2)]
    formatted("mkfs.btrfs", "-q", "-U", disks.UUID, "-d", "raid1", "-m", "raid1", *both)
    scenario = built(scenario, f"UUID={disks.UUID}", fstype="btrfs")
    there = tuple(disk for number, disk in enumerate(both) if number != lost)
    outcome = crash(replace(scenario, disks=there))
    # Read from one of them alone: what was written to both can be.
    (found,) = restored(there[-1], crash_copy, 5, "var/crash")
    check(saved(found), outcome.token, scenario.kernel)
    remarks = [step["detail"] for step in saved(found).report["steps"] if step["name"] == "target"]
    words = f"a device of UUID={disks.UUID} (1 of 2 are there) did not appear"
    assert [line.startswith(words) for line in remarks] == ([] if lost is None else [True])
    assert (words in "\n".join(said(outcome.run))) == (lost is not None)
