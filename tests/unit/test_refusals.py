# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image can assemble is a list, and one table has the words for what is not on it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.probe.host import superblock, sysfs
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.targets import blockdevice, refusals
from kdump_initrd.targets.blockdevice import BlockDevice
from kdump_initrd.targets.refusals import DUMP, ROOT, USE_A_BASE

DISK = BlockDevice("UUID=1", "ext4", Path("/dev/sda1"))
ASSEMBLE, REACH = "which the image cannot assemble", "which the image cannot reach"
#: Layers below a device, and what is said of them.
LAYERS = {
    "crypt": "an encrypted volume (LUKS or dm-crypt), which the image cannot unlock",
    "dm": f"device-mapper, {ASSEMBLE}",
    "md with external metadata": f"firmware RAID, {ASSEMBLE}",
    "bcache": f"bcache, {ASSEMBLE}",
    "drbd": f"DRBD, {ASSEMBLE}",
    "loop": f"a loop device, {ASSEMBLE}",
    "zd": "ZFS, which the image cannot import",
    "zram": "memory (zram), which does not survive a crash",
    "iscsi": f"iSCSI, {REACH}",
    "nvme-fabrics": f"NVMe over a network (TCP, RDMA, FC), {REACH}",
    "nbd": f"a network block device (nbd), {REACH}",
    "rbd": f"Ceph (rbd), {REACH}",
    "network": f"the network, {REACH}",
    "etherd": f"a virtual device (etherd), {ASSEMBLE}",
}


def refusal(monkeypatch: pytest.MonkeyPatch, purpose: refusals.Purpose, found: Hardware) -> str:
    """Return why a device that sits on what was found is refused; the hint is the purpose's."""
    monkeypatch.setattr(sysfs, "hardware_of", lambda node, sysfs: found)
    with pytest.raises(KdumpInitrdError) as caught:
        blockdevice.look(purpose, DISK, host=HostFacts())
    hint = refusals.PLAIN_DISK if purpose is DUMP else USE_A_BASE
    assert caught.value.hint == hint
    return caught.value.message


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("purpose", [DUMP, ROOT], ids=lambda each: each.name)
def test_layers_that_no_image_assembles(
    monkeypatch: pytest.MonkeyPatch, purpose: refusals.Purpose, layer: str
) -> None:
    below = Hardware((), (), (layer,), "/dev/x")
    assert refusal(monkeypatch, purpose, below) == f"/dev/x (UUID=1): lies on {LAYERS[layer]}"
    above = Hardware((), (), (), "/dev/x", holders=(layer,))
    assert refusal(monkeypatch, purpose, above) == (
        f"/dev/x (UUID=1): is a part of {LAYERS[layer]}"
    )


@pytest.mark.parametrize("layer", ["lvm", "md", "mpath"])
@pytest.mark.parametrize("purpose", [DUMP, ROOT], ids=lambda each: each.name)
def test_a_part_of_what_can_be_assembled(
    monkeypatch: pytest.MonkeyPatch, purpose: refusals.Purpose, layer: str
) -> None:
    """One path of several, half a mirror: what is written there goes past the whole."""
    found = Hardware((), (), (), "/dev/x", holders=(layer,))
    assert refusal(monkeypatch, purpose, found).startswith("/dev/x (UUID=1): is a part of ")


@pytest.mark.parametrize("purpose", [DUMP, ROOT], ids=lambda each: each.name)
def test_layers_that_are_assembled(
    monkeypatch: pytest.MonkeyPatch, purpose: refusals.Purpose
) -> None:
    for layers in ((each,) for each in purpose.layers):
        found = Hardware((), (), layers, "/dev/x")
        monkeypatch.setattr(sysfs, "hardware_of", lambda node, sysfs, found=found: found)
        assert blockdevice.look(purpose, DISK, host=HostFacts()) == found


def test_several_layers_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Hardware((), (), ("lvm", "iscsi", "crypt"), "/dev/x")
    assert refusal(monkeypatch, ROOT, found) == (
        "/dev/x (UUID=1): lies on iSCSI, an encrypted volume (LUKS or dm-crypt), which the image "
        "cannot assemble"
    )
    found = Hardware((), (), ("iscsi", "nbd"), "/dev/x")
    assert refusal(monkeypatch, DUMP, found) == (
        f"/dev/x (UUID=1): lies on iSCSI, a network block device (nbd), {REACH}"
    )


@pytest.mark.parametrize("fstype", ["xfs", "ext4", "f2fs", "jfs", "reiserfs"])
@pytest.mark.parametrize(
    ("purpose", "hint"),
    [(DUMP, "save to a file system that is on one disk or partition alone"), (ROOT, USE_A_BASE)],
)
def test_parts_elsewhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fstype: str,
    purpose: refusals.Purpose,
    hint: str,
) -> None:
    """Which parts superblock.beyond() finds is tested with its own disks."""
    (tmp_path / "disk").touch()
    host = HostFacts()
    monkeypatch.setattr(host, "superblock", lambda node: (fstype, "1"))
    monkeypatch.setattr(superblock, "beyond", lambda node, fstype: ("devices",))
    with pytest.raises(KdumpInitrdError) as caught:
        blockdevice.examine("/dev/x", tmp_path / "disk", purpose, host=host)
    assert caught.value.message == f"/dev/x: {fstype} over several devices, {ASSEMBLE}"
    assert caught.value.hint == hint
    for known, parts in purpose.parts.items():
        for part in parts:
            assert refusals.elsewhere(purpose, known, [part]) is None


def test_what_can_be_assembled_is_not_in_the_table() -> None:
    assert not [name for name in DUMP.filesystems if name in refusals._REASONS]
    assert DUMP.filesystems < ROOT.filesystems
    for fstype in DUMP.filesystems:
        assert refusals.file_system(DUMP, fstype) is None
        assert refusals.file_system(ROOT, fstype) is None


def test_a_name_is_in_the_table_once_and_its_sentence_is_whole() -> None:
    names = [name for names, _ in refusals._TABLE for name in names]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    for name in names:
        reason = refusals.reason(name)
        assert "{" not in str(reason)
        assert re.fullmatch(r"[^,].*[a-z)]", str(reason))
        assert reason.hint.startswith("save to ")
