# SPDX-License-Identifier: GPL-2.0-or-later
"""The dump device: stable names, the file system check, the folder on it."""

from __future__ import annotations

import logging
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from kdump_initrd.errors import KdumpInitrdError
from kdump_initrd.probe import device
from kdump_initrd.probe.device import BlockDevice
from kdump_initrd.run import Result

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
    assert device.identify(str(disk), "ext4") == BlockDevice(f"UUID={UUID}", "ext4", disk)


def test_other_file_system_is_refused(disk: Path) -> None:
    with pytest.raises(KdumpInitrdError, match="disk: holds ext4, not xfs") as caught:
        device.identify(str(disk), "xfs")
    assert caught.value.hint == "say that it is ext4, or format it anew"


def test_unformatted_is_refused(disk: Path) -> None:
    disk.write_bytes(bytes(1 << 20))
    with pytest.raises(KdumpInitrdError, match="disk: no file system on it"):
        device.identify(str(disk), "ext4")


def test_unreadable_is_kept_with_a_warning(
    disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "open", refuse)
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        found = device.identify(str(disk), "ext4")
    assert found.spec == str(disk)
    link = disk.with_name("by-id")
    link.symlink_to(disk)
    assert device.identify(str(link), "ext4").spec == str(disk), "the image has no such links"
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
        device.identify(spec, "ext4")
    assert caught.value.message == message
    assert caught.value.hint


@pytest.mark.parametrize("tag", device.TAGS)
def test_tag_that_is_not_here_is_kept(tag: str) -> None:
    spec = f"{tag}=of-another-machine"
    assert device.identify(spec, "xfs") == BlockDevice(spec, "xfs", None)


@pytest.mark.parametrize(
    ("mounts", "fstype", "path", "wanted"),
    [
        ("", "ext4", "/var/crash", ("/var/crash", "")),
        ("/ /", "ext4", "/var/crash", ("/var/crash", "")),
        ("/var /", "ext4", "/var/crash", ("/crash", "")),
        ("/var/crash /", "ext4", "/var/crash", ("/", "")),
        ("/srv /", "ext4", "/var/crash", ("/var/crash", "")),
        ("/var/crash /exports/crash", "ext4", "/var/crash/x", ("/exports/crash/x", "")),
        ("/ /@\n/var /@var", "btrfs", "/var/crash", ("/crash", "subvol=/@var")),
        ("/my\\x20disk /", "ext4", "/my disk/d", ("/d", "")),
        ("/ /", "ext4", "var//crash/../dumps", ("/var/dumps", "")),
        ("/var /", "ext4", "/variable", ("/variable", "")),
    ],
)
def test_folder_is_the_same_as_on_the_host(
    monkeypatch: pytest.MonkeyPatch, mounts: str, fstype: str, path: str, wanted: tuple[str, str]
) -> None:
    def findmnt(argv: Sequence[object], **_: object) -> Result:
        assert str(argv[0]) == "findmnt"
        return Result(0 if mounts else 1, mounts.encode(), "")

    monkeypatch.setattr(device, "run", findmnt)
    there = BlockDevice("UUID=1", fstype, Path("/dev/x"))
    assert device.folder_on(there, path) == wanted


def test_folder_of_a_device_elsewhere_is_as_given() -> None:
    assert device.folder_on(BlockDevice("UUID=1", "ext4", None), "/x") == ("/x", "")


def test_folder_that_is_a_link_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "crash").symlink_to(tmp_path / "srv")
    monkeypatch.setattr(device, "run", lambda *_, **__: Result(0, f"{tmp_path} /\n".encode(), ""))
    there = BlockDevice("UUID=1", "ext4", Path("/dev/x"))
    assert device.folder_on(there, str(tmp_path / "crash")) == ("/srv", "")
