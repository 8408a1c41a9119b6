# SPDX-License-Identifier: GPL-2.0-or-later
"""The dump device: stable names, namesakes, the file system check."""

from __future__ import annotations

import functools
import json
import logging
import stat
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from kdump_initrd.core import run
from kdump_initrd.core.devicename import TAGS
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.run import Result
from kdump_initrd.probe.host import device
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.targets import blockdevice, refusals
from kdump_initrd.targets.blockdevice import BlockDevice

identify = functools.partial(blockdevice.identify, host=HostFacts())
UUID = "4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ext4 image that passes for a block device."""
    path = tmp_path / "disk"
    path.touch()
    subprocess.run(["truncate", "-s", "8M", path], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-U", UUID, "-L", "dump", path], check=True)
    monkeypatch.setattr(stat, "S_ISBLK", lambda mode: True)
    return path


def test_path_becomes_its_uuid(disk: Path) -> None:
    assert identify(str(disk), "ext4") == BlockDevice(f"UUID={UUID}", "ext4", disk)


def test_other_file_system_is_refused(disk: Path) -> None:
    with pytest.raises(KdumpInitrdError, match="disk: holds ext4, not xfs") as caught:
        identify(str(disk), "xfs")
    assert caught.value.hint == "give ext4 as its file system, or reformat it"


def test_unformatted_is_refused(disk: Path) -> None:
    disk.write_bytes(bytes(1 << 20))
    with pytest.raises(KdumpInitrdError, match="disk: no file system on it"):
        identify(str(disk), "ext4")


def test_unreadable_is_kept_with_a_warning(
    disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "open", refuse)
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        found = identify(str(disk), "ext4")
    assert found.spec == str(disk)
    link = disk.with_name("by-id")
    link.symlink_to(disk)
    assert identify(str(link), "ext4").spec == str(disk), "the image has no such links"
    assert "cannot be read" in caplog.text
    assert "the name may change between boots" in caplog.text


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("/dev/no-such-disk", "/dev/no-such-disk: no such device"),
        ("/dev/null", "/dev/null: not a block device"),
        ("sda1", "sda1: not a dump device"),
        ("UUID=", "UUID=: not a dump device"),
        ("SERIAL=1", "SERIAL=1: not a dump device"),
    ],
)
def test_no_dump_device(spec: str, message: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        identify(spec, "ext4")
    assert caught.value.message == message
    assert caught.value.hint


@pytest.mark.parametrize("tag", TAGS)
def test_tag_that_is_not_here_is_kept(tag: str) -> None:
    spec = f"{tag}={'4e1b-01' if 'UUID' in tag else 'of another machine'}"
    assert identify(spec, "xfs") == BlockDevice(spec, "xfs", None)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("UUID=xyz", "UUID=xyz: not a UUID: expected hexadecimal digits and hyphens"),
        ("UUID=4e1b-", "UUID=4e1b-: not a UUID: expected hexadecimal digits and hyphens"),
        ('UUID="4e1b"', 'UUID="4e1b": not a UUID: expected hexadecimal digits and hyphens'),
        ("PARTUUID=x-01", "PARTUUID=x-01: not a UUID: expected hexadecimal digits and hyphens"),
        (
            "LABEL=a\nb",
            "'LABEL=a\\nb': not a dump device: the name is not printable",
        ),
        (
            "/dev/x\x1b",
            "'/dev/x\\x1b': not a dump device: the name is not printable",
        ),
    ],
)
def test_names_that_no_device_has(spec: str, message: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        identify(spec, "ext4")
    assert caught.value.message == message
    assert caught.value.hint


def test_label_that_ends_with_a_blank(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        identify("LABEL=dump ", "ext4")
    assert "'LABEL=dump ': the name begins or ends with a blank: is that intended?" in caplog.text


def rows(tag: str, *pairs: tuple[str, str]) -> Result:
    """What lsblk prints."""
    table = [{"name": name, tag: value} for name, value in pairs]
    return Result(0, json.dumps({"blockdevices": table}).encode(), "")


@pytest.mark.parametrize("tag", ["UUID", "LABEL", "PARTLABEL"])
def test_devices_of_one_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tag: str
) -> None:
    value = "ab12"
    monkeypatch.setattr(blockdevice, "_check", lambda *_: value)
    monkeypatch.setattr(device, "node_of", lambda spec: Path("/dev/sda1"))
    answer = rows(tag.lower(), ("/dev/sda1", value), ("/dev/sdb", "x"), ("/dev/sda1", value))
    monkeypatch.setattr(device, "run", lambda *_, **__: answer)
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        identify(f"{tag}={value}", "ext4")
        assert caplog.text == ""
        answer = rows(tag.lower(), ("/dev/sda1", value), ("/dev/sdb1", value))
        identify(f"{tag}={value}", "ext4")
    assert f"{tag}={value}: /dev/sda1 and /dev/sdb1 have that name, and the image" in caplog.text


def test_a_clone_of_the_disk_that_a_path_names(
    disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:

    def answer(argv: Sequence[str | Path], *, timeout: float, check: bool) -> Result:
        clones = rows("uuid", (str(disk), UUID), ("/dev/clone", UUID))
        return clones if argv[0] == "lsblk" else run.run(argv, timeout=timeout, check=check)

    monkeypatch.setattr(device, "run", answer)
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        identify(str(disk), "ext4")
    assert f"UUID={UUID}: {disk} and /dev/clone have that name" in caplog.text


@pytest.mark.parametrize(
    ("fstype", "why"),
    [
        ("nfs", "nfs: a file system on the network, which the image cannot reach"),
        ("virtiofs", "virtiofs: a folder of the hypervisor, which the image cannot reach"),
        ("9p", "9p: a folder of the hypervisor, which the image cannot reach"),
        ("tmpfs", "tmpfs: memory, which does not survive a crash"),
        (
            "overlay",
            "overlay: a layer over other file systems, which is not on a device of its own",
        ),
        ("fuse", "fuse: a file system in user space, whose program the image does not have"),
        ("fuse.x", "fuse.x: a file system in user space, whose program the image does not have"),
        ("squashfs", "squashfs: a file system that is read-only"),
        ("ubifs", "ubifs: a file system on bare flash memory, which is not a block device"),
        ("minix", "minix: a file system whose names are too short for those of a dump"),
        ("zfs", "ZFS, which the image cannot import"),
        ("raw", "a partition without a file system, which the image cannot save to"),
        ("proc", "proc: not a file system that the image can mount"),
        ("what-is-new", "what-is-new: not a file system that the image can mount"),
    ],
)
def test_file_systems_that_no_device_holds(fstype: str, why: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        identify("UUID=1", fstype)
    assert caught.value.message == f"UUID=1: {why}"
    assert caught.value.hint == (
        refusals.PLAIN_DISK
        if fstype == "zfs"
        else "save to a disk or partition with ext4, xfs, btrfs or vfat on it"
    )


def test_ntfs_is_mounted_by_the_driver_that_writes(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_blkid", lambda *_: {"TYPE": "ntfs", "UUID": "2B1C"})
    assert identify(str(disk), "ntfs3").spec == "UUID=2B1C"


def test_what_is_no_file_system_is_named(disk: Path) -> None:
    disk.write_bytes(b"LUKS\xba\xbe\x00\x01".ljust(168, b"\0") + UUID.encode() + bytes(1 << 20))
    with pytest.raises(KdumpInitrdError) as caught:
        identify(str(disk), "ext4")
    assert caught.value.message == f"{disk}: holds crypto_LUKS, no file system"
    assert caught.value.hint == "name what it is when it is open: /dev/mapper/NAME"
    swap = struct.pack("<1024xII", 1, 255).ljust(4086, b"\0") + b"SWAPSPACE2"
    disk.write_bytes(swap + bytes(1 << 20))
    with pytest.raises(KdumpInitrdError, match="disk: holds swap, no file system") as caught:
        identify(str(disk), "ext4")
    assert caught.value.hint == "name a disk or partition with a file system on it"


def test_a_part_elsewhere_is_refused(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.seek(1024 + 0xE0)
        file.write(bytes(4))
    with pytest.raises(KdumpInitrdError) as caught:
        identify(str(disk), "ext4")
    assert caught.value.message == (
        f"{disk}: ext4 with an external journal, which the image cannot assemble"
    )
    assert caught.value.hint == "save to a file system that is on one disk or partition alone"
