# SPDX-License-Identifier: GPL-2.0-or-later
"""Where dumps go when no device is said, and each place that they cannot go to."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd import dumptarget
from kdump_initrd.config.settings import CaptureSettings
from kdump_initrd.errors import KdumpInitrdError
from kdump_initrd.probe import device, distro, mounts
from kdump_initrd.probe.distro import Distro
from kdump_initrd.probe.mounts import Mount
from kdump_initrd.resources import search_path

ROOT = Path("/")
ELSEWHERE = Path("/nonexistent")


@pytest.fixture
def profile() -> Distro:
    return distro.load("debian", search_path=search_path("distros", root=ELSEWHERE))


@pytest.fixture(autouse=True)
def any_file_is_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stat, "S_ISBLK", lambda mode: True)


def mount_of(
    source: str, fstype: str = "ext4", *options: str, target: str = "/var", number: str = ""
) -> Mount:
    """Return a mount."""
    return Mount(source, PurePosixPath(target), fstype, options, number)


def test_the_mounted_file_system_is_taken(monkeypatch: pytest.MonkeyPatch, profile: Distro) -> None:
    asked = []

    def mounted(path: str) -> Mount:
        asked.append(path)
        return mount_of("/dev/null", "xfs", "rw")

    monkeypatch.setattr(mounts, "mounted", mounted)
    found = dumptarget.resolve(CaptureSettings(jobs=3), root=ROOT, profile=profile)
    assert found == CaptureSettings(jobs=3, device="/dev/null", fstype="xfs")
    found = dumptarget.resolve(CaptureSettings(path="/x"), root=ROOT, profile=profile)
    assert found == CaptureSettings(path="/x", device="/dev/null", fstype="xfs")
    assert asked == ["/var/crash", "/x"]


def test_a_file_system_that_is_said_is_compared_later(
    monkeypatch: pytest.MonkeyPatch, profile: Distro
) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/null", "xfs", "rw"))
    found = dumptarget.resolve(CaptureSettings(fstype="ext4"), root=ROOT, profile=profile)
    assert (found.device, found.fstype) == ("/dev/null", "ext4")


def test_the_kernels_name_of_the_root(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, tmp_path: Path
) -> None:
    """Without an initrd the table has /dev/root, which is not there."""
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/root", number="254:0"))
    monkeypatch.setattr(dumptarget, "_NUMBERED", tmp_path)
    (tmp_path / "vda").touch()
    (tmp_path / "254:0").symlink_to("vda")
    found = dumptarget.resolve(CaptureSettings(), root=ROOT, profile=profile)
    assert found.device == str(tmp_path / "vda")


def test_a_device_that_is_said_stays(monkeypatch: pytest.MonkeyPatch, profile: Distro) -> None:
    said = CaptureSettings(device="UUID=1", fstype="ext4")
    assert dumptarget.resolve(said, root=ROOT, profile=profile) == said
    monkeypatch.setattr(device, "node_of", lambda spec: Path("/dev/null"))
    monkeypatch.setattr(device, "read_superblock", lambda path: ("btrfs", "1"))
    found = dumptarget.resolve(CaptureSettings(device="UUID=1"), root=ROOT, profile=profile)
    assert (found.device, found.fstype) == ("UUID=1", "btrfs")
    found = dumptarget.resolve(CaptureSettings(device="/dev/null"), root=ROOT, profile=profile)
    assert (found.device, found.fstype) == ("/dev/null", "btrfs")


@pytest.mark.parametrize("spec", ["UUID=1", "/dev/no-such-disk"])
def test_a_device_that_is_not_here_needs_its_file_system(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, spec: str
) -> None:
    monkeypatch.setattr(device, "node_of", lambda spec: None)
    with pytest.raises(KdumpInitrdError, match="its file system cannot be seen here") as caught:
        dumptarget.resolve(CaptureSettings(device=spec), root=ROOT, profile=profile)
    assert caught.value.hint == "say it: -f FS, or fstype in /etc/kdump-initrd.toml"


@pytest.mark.parametrize(
    ("mount", "why"),
    [
        (mount_of("overlay", "overlay"), "on an overlay, which no device of its own holds"),
        (mount_of("tmpfs", "tmpfs"), "on tmpfs: memory, which a crash does not leave"),
        (mount_of("server:/x", "nfs4"), "on a file system on the network, which the image"),
        (mount_of("//server/x", "cifs"), "on a file system on the network, which the image"),
        (mount_of("rpool/var", "zfs"), "on ZFS, which the image cannot import"),
        (mount_of("host", "9p"), "on a folder of the hypervisor, which the image"),
        (mount_of("/dev/loop0", "squashfs"), "on a file system that is read-only"),
        (mount_of("/dev/null", "ext4", "ro"), "on /dev/null, which is mounted read-only"),
        (mount_of("gvfsd-fuse", "fuse.x"), "on gvfsd-fuse (fuse.x), which is no block device"),
        (mount_of("UUID=", "ext4"), "on UUID= (ext4), which is no block device"),
        (mount_of("/dev/no-such-disk", number="0:0"), "on /dev/no-such-disk, which is no block"),
    ],
)
def test_places_that_dumps_cannot_go_to(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, mount: Mount, why: str
) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: mount)
    with pytest.raises(KdumpInitrdError) as caught:
        dumptarget.resolve(CaptureSettings(), root=ROOT, profile=profile)
    assert caught.value.message.startswith(f"/var/crash: {why}")
    assert caught.value.hint == (
        "say where dumps go: -c DEV -f FS, or device and fstype in /etc/kdump-initrd.toml"
    )


def fstab(root: Path, text: str) -> Path:
    """Write a root's fstab and return the root."""
    (root / "etc").mkdir()
    (root / "etc/fstab").write_text(text)
    return root


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("UUID=1 / ext4 defaults 0 1\n", ("UUID=1", "ext4", "/var/crash")),
        ("UUID=1 / ext4 defaults\nLABEL=v /var xfs defaults\n", ("LABEL=v", "xfs", "/crash")),
        ("/dev/disk/by-uuid/4e1b / ext4 defaults\n", ("UUID=4e1b", "ext4", "/var/crash")),
        ("/dev/sda1 / btrfs compress=zstd\n", ("/dev/sda1", "btrfs", "/var/crash")),
    ],
)
def test_another_root_is_asked_for_its_fstab(
    tmp_path: Path, profile: Distro, text: str, wanted: tuple[str, str, str]
) -> None:
    root = fstab(tmp_path, text)
    found = dumptarget.resolve(CaptureSettings(), root=root, profile=profile)
    assert (found.device, found.fstype, found.path) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no fstab says which file system that is on"),
        ("server:/x / nfs defaults\n", "on a file system on the network"),
        ("UUID=1 / btrfs subvol=@\n", "on a subvolume (subvol=@) of a file system that is not"),
        ("UUID=1 / ext4 ro\n", "on UUID=1, which is mounted read-only"),
    ],
)
def test_fstabs_that_do_not_do(tmp_path: Path, profile: Distro, text: str, why: str) -> None:
    root = fstab(tmp_path, text)
    with pytest.raises(KdumpInitrdError) as caught:
        dumptarget.resolve(CaptureSettings(), root=root, profile=profile)
    assert caught.value.message.startswith(f"/var/crash: {why}")


def test_a_root_without_mounts_has_its_fstab(
    monkeypatch: pytest.MonkeyPatch, profile: Distro
) -> None:
    """In a chroot, findmnt knows nothing of what is mounted outside."""
    monkeypatch.setattr(mounts, "mounted", lambda path: None)
    answer = (mount_of("UUID=1"), PurePosixPath("/crash"))
    monkeypatch.setattr(mounts, "in_fstab", lambda path, root: answer)
    found = dumptarget.resolve(CaptureSettings(), root=ROOT, profile=profile)
    assert (found.device, found.fstype, found.path) == ("UUID=1", "ext4", "/crash")
    monkeypatch.setattr(mounts, "in_fstab", lambda path, root: None)
    with pytest.raises(KdumpInitrdError, match="neither findmnt nor /etc/fstab tells"):
        dumptarget.resolve(CaptureSettings(), root=ROOT, profile=profile)
