# SPDX-License-Identifier: GPL-2.0-or-later
"""What a root tells about a device that is mounted: a btrfs by the name of any of its devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.core.root import Root
from kdump_initrd.probe.host import disklook


@pytest.mark.parametrize("listed", ["sda", "sdb"])
@pytest.mark.parametrize("linked", ["sda", "sdb"])
def test_a_btrfs_on_two_devices(tmp_path: Path, listed: str, linked: str) -> None:
    for name in ("sda", "sdb", "sdc"):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / name).touch()
    tag = tmp_path / "dev/disk/by-uuid/1-2"
    tag.parent.mkdir(parents=True)
    tag.symlink_to(f"../../{linked}")
    for name, devices in {"1-2": ("sda", "sdb"), "3-4": ("sdc",)}.items():
        for each in devices:
            (tmp_path / f"sys/fs/btrfs/{name}/devices/{each}").mkdir(parents=True)
    (tmp_path / "sys/fs/btrfs/features").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "proc/self").mkdir(parents=True)
    lines = [
        "25 1 0:20 / / rw - btrfs /dev/sdc rw",
        f"30 25 0:31 /@var /var rw - btrfs /dev/{listed} rw,subvol=/@var",
    ]
    (tmp_path / "proc/self/mountinfo").write_text("".join(f"{line}\n" for line in lines))
    found = disklook.find("UUID=1-2", root=Root(tmp_path))
    assert found == disklook.Disk(tmp_path / "dev" / linked, "btrfs", tmp_path / "var")
