# SPDX-License-Identifier: GPL-2.0-or-later
"""Where dumps go when no device is said, and each place that they cannot go to."""

from __future__ import annotations

import logging
import stat
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.config.settings import CaptureSettings
from kdump_initrd.config.targetsettings import TargetSettings
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.distro.profiles import Distro
from kdump_initrd.probe.host import device, mounts, sysfs
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.probe.host.mounts import Mount, Planned
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.recipes import dumptarget
from kdump_initrd.targets import block, holder, refusals
from kdump_initrd.targets.block import Block
from kdump_initrd.targets.blockdevice import BlockDevice
from kdump_initrd.targets.share import Share

ROOT = Root()
ELSEWHERE = Root(Path("/nonexistent"))


@pytest.fixture
def profile() -> Distro:
    return profiles.load("debian", search_path=search_path("distros", root=ELSEWHERE), root=Root())


@pytest.fixture(autouse=True)
def any_file_is_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stat, "S_ISBLK", lambda mode: True)


@pytest.fixture(autouse=True)
def no_fstab(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the host that the tests run on have none."""
    in_fstab = mounts.in_fstab
    monkeypatch.setattr(
        mounts, "in_fstab", lambda path, root: None if root == ROOT else in_fstab(path, root=root)
    )


def mount_of(
    source: str, fstype: str = "ext4", *options: str, target: str = "/var", number: str = ""
) -> Mount:
    """Return a mount."""
    return Mount(source, PurePosixPath(target), fstype, options, number)


def planned(source: str, folder: str, *options: str, target: str, fstype: str = "ext4") -> Planned:
    """Return what an fstab has for a place."""
    mount = mount_of(source, fstype, *options, target=target)
    return Planned(mount, PurePosixPath(folder), PurePosixPath(target))


def resolve(said: TargetSettings, *, root: Root, profile: Distro) -> TargetSettings:
    """Return one target as it is resolved."""
    settings = CaptureSettings(targets=(said,))
    (found,) = dumptarget.resolve(settings, root=root, profile=profile).targets
    return found


def locate(said: TargetSettings, *, path: str, root: Root) -> Block:
    """Return the target of resolved settings."""
    return Block.find(said, folder=path, root=root, host=HostFacts())


def test_the_mounted_file_system_is_taken(monkeypatch: pytest.MonkeyPatch, profile: Distro) -> None:
    asked = []

    def mounted(path: str) -> Mount:
        asked.append(path)
        return mount_of("/dev/null", "xfs", "rw")

    monkeypatch.setattr(mounts, "mounted", mounted)
    settings = dumptarget.resolve(CaptureSettings(jobs=3), root=ROOT, profile=profile)
    target = TargetSettings("/dev/null", "xfs")
    assert settings == CaptureSettings(jobs=3, targets=(target,))
    found = resolve(TargetSettings(path="/x"), root=ROOT, profile=profile)
    assert found == TargetSettings(path="/x", to="/dev/null", fstype="xfs")
    assert asked == ["/var/crash", "/x"]


def test_a_file_system_that_is_said_is_compared_later(
    monkeypatch: pytest.MonkeyPatch, profile: Distro
) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/null", "xfs", "rw"))
    found = resolve(TargetSettings(fstype="ext4"), root=ROOT, profile=profile)
    assert (found.to, found.fstype) == ("/dev/null", "ext4")


def test_the_kernels_name_of_the_root(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, tmp_path: Path
) -> None:
    """Without an initrd the table has /dev/root, which is not there."""
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/root", number="254:0"))
    monkeypatch.setattr(holder, "_NUMBERED", tmp_path)
    (tmp_path / "vda").touch()
    (tmp_path / "254:0").symlink_to("vda")
    found = resolve(TargetSettings(), root=ROOT, profile=profile)
    assert found.to == str(tmp_path / "vda")


def test_the_root_file_system_is_tried_last(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, tmp_path: Path
) -> None:
    asked = []

    def mounted(path: str) -> Mount:
        asked.append(path)
        return mount_of("/dev/null", "xfs", "rw", target="/")

    monkeypatch.setattr(mounts, "mounted", mounted)
    said = (TargetSettings("root"), TargetSettings("UUID=1", "ext4"))
    found = dumptarget.resolve(CaptureSettings(targets=said), root=ROOT, profile=profile).targets
    assert found == (said[1], TargetSettings("/dev/null", "xfs", "/var/crash"))
    assert asked == ["/"]
    # Of another root it is known by its place in fstab.
    (tmp_path / "etc").mkdir()
    lines = "UUID=2 / btrfs subvol=@ 0 0\nUUID=3 /var ext4 defaults 0 0\n"
    (tmp_path / "etc/fstab").write_text(lines)
    there = resolve(TargetSettings("root", path="/x"), root=Root(tmp_path), profile=profile)
    assert there == TargetSettings("UUID=2", "btrfs", "/x", mount_options="subvol=@")


def test_a_device_that_is_said_stays(monkeypatch: pytest.MonkeyPatch, profile: Distro) -> None:
    said = TargetSettings(to="UUID=1", fstype="ext4")
    assert resolve(said, root=ROOT, profile=profile) == said
    monkeypatch.setattr(device, "node_of", lambda spec: Path("/dev/null"))
    monkeypatch.setattr(device, "read_superblock", lambda path: ("btrfs", "1"))
    found = resolve(TargetSettings(to="UUID=1"), root=ROOT, profile=profile)
    assert (found.to, found.fstype) == ("UUID=1", "btrfs")
    found = resolve(TargetSettings(to="/dev/null"), root=ROOT, profile=profile)
    assert (found.to, found.fstype) == ("/dev/null", "btrfs")


def test_a_device_that_cannot_be_read_but_is_mounted(
    monkeypatch: pytest.MonkeyPatch, profile: Distro
) -> None:
    monkeypatch.setattr(device, "read_superblock", lambda path: ("", ""))
    monkeypatch.setattr(mounts, "type_on", lambda node: "xfs" if node == Path("/dev/null") else "")
    found = resolve(TargetSettings(to="/dev/null"), root=ROOT, profile=profile)
    assert found.fstype == "xfs"


def test_a_device_that_is_not_here_needs_its_file_system(
    monkeypatch: pytest.MonkeyPatch, profile: Distro
) -> None:
    monkeypatch.setattr(device, "node_of", lambda spec: None)
    with pytest.raises(KdumpInitrdError, match="its file system cannot be detected here") as caught:
        resolve(TargetSettings(to="UUID=1"), root=ROOT, profile=profile)
    assert caught.value.hint == "name it: -f FS, or fstype in /etc/kdump-initrd.toml"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("/dev/no-such-disk", "/dev/no-such-disk: no such device"),
        ("sda1", "sda1: not a dump device"),
        ("UUID=xyz", "UUID=xyz: not a UUID: expected hexadecimal digits and hyphens"),
    ],
)
def test_a_device_that_cannot_be(profile: Distro, spec: str, message: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        resolve(TargetSettings(to=spec), root=ROOT, profile=profile)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("mount", "why"),
    [
        (
            mount_of("overlay", "overlay"),
            "on overlay: a layer over other file systems",
        ),
        (mount_of("tmpfs", "tmpfs"), "on tmpfs: memory, which does not survive a crash"),
        (mount_of("server:/x", "nfs4"), "on nfs4: a file system on the network, which the image"),
        (mount_of("//server/x", "cifs"), "on cifs: a file system on the network, which the image"),
        (mount_of("rpool/var", "zfs"), "on ZFS, which the image cannot import"),
        (mount_of("host", "vboxsf"), "on vboxsf: a folder of the hypervisor, which the image"),
        (mount_of("/dev/loop0", "squashfs"), "on squashfs: a file system that is read-only"),
        (mount_of("/dev/null", "ext4", "ro"), "on /dev/null, which is mounted read-only"),
        (mount_of("gvfsd-fuse", "fuse.x"), "on fuse.x: a file system in user space, whose"),
        (mount_of("what", "newfs"), "on newfs: not a file system that the image can mount"),
        (
            mount_of("/dev/null", "ext4", "rw", "journal_path=/dev/sdb1"),
            "on /dev/null and journal_path=/dev/sdb1, which the image cannot assemble",
        ),
        (mount_of("what", "ext4"), "on what (ext4), which is not a block device"),
        (mount_of("UUID=", "ext4"), "on UUID= (ext4), which is not a block device"),
        (mount_of("/dev/no-such-disk", number="0:0"), "on /dev/no-such-disk, which is not a block"),
    ],
)
def test_places_that_dumps_cannot_go_to(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, mount: Mount, why: str
) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: mount)
    with pytest.raises(KdumpInitrdError) as caught:
        resolve(TargetSettings(), root=ROOT, profile=profile)
    assert caught.value.message.startswith(f"/var/crash: {why}")
    assert caught.value.hint == (
        "set where dumps go: -c DEV -f FS, or device and fstype in /etc/kdump-initrd.toml"
    )


def fstab(root: Path, text: str) -> Root:
    """Write a root's fstab and return the root."""
    (root / "etc").mkdir()
    (root / "etc/fstab").write_text(text)
    return Root(root)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("UUID=1 / ext4 defaults 0 1\n", ("UUID=1", "ext4", "/var/crash", "")),
        ("UUID=1 / ext4 defaults\nLABEL=v /var xfs defaults\n", ("LABEL=v", "xfs", "/crash", "")),
        ("/dev/disk/by-uuid/4e1b / ext4 defaults\n", ("UUID=4e1b", "ext4", "/var/crash", "")),
        ("/dev/sda1 / btrfs compress=zstd\n", ("/dev/sda1", "btrfs", "/var/crash", "")),
        ("UUID=1 / btrfs rw,subvol=@\n", ("UUID=1", "btrfs", "/var/crash", "subvol=@")),
        ("UUID=1 / btrfs subvolid=257,noatime\n",
         ("UUID=1", "btrfs", "/var/crash", "subvolid=257")),
        ("UUID=1 / btrfs subvol=@\nUUID=1 /var btrfs subvol=@var\n",
         ("UUID=1", "btrfs", "/crash", "subvol=@var")),
    ],
)  # fmt: skip
def test_another_root_is_asked_for_its_fstab(
    tmp_path: Path, profile: Distro, text: str, wanted: tuple[str, str, str, str]
) -> None:
    root = fstab(tmp_path, text)
    found = resolve(TargetSettings(), root=root, profile=profile)
    assert (found.to, found.fstype, found.path, found.mount_options) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no fstab says which file system it is on"),
        ("server:/x / nfs defaults\n", "on nfs: a file system on the network"),
        ("UUID=1 / jfs jdev=/dev/sdc\n", "on UUID=1 and jdev=/dev/sdc, which the image cannot"),
        ("UUID=1 / ext4 ro\n", "on UUID=1, which is mounted read-only"),
    ],
)
def test_fstabs_that_do_not_do(tmp_path: Path, profile: Distro, text: str, why: str) -> None:
    root = fstab(tmp_path, text)
    with pytest.raises(KdumpInitrdError) as caught:
        resolve(TargetSettings(), root=root, profile=profile)
    assert caught.value.message.startswith(f"/var/crash: {why}")


def test_a_root_without_mounts_has_its_fstab(
    monkeypatch: pytest.MonkeyPatch, profile: Distro
) -> None:
    """In a chroot, findmnt knows nothing of what is mounted outside."""
    monkeypatch.setattr(mounts, "mounted", lambda path: None)
    answer = planned("UUID=1", "/crash", target="/var")
    monkeypatch.setattr(mounts, "in_fstab", lambda path, root: answer)
    found = resolve(TargetSettings(), root=ROOT, profile=profile)
    assert (found.to, found.fstype, found.path) == ("UUID=1", "ext4", "/crash")
    monkeypatch.setattr(mounts, "in_fstab", lambda path, root: None)
    with pytest.raises(KdumpInitrdError, match="neither findmnt nor /etc/fstab tells"):
        resolve(TargetSettings(), root=ROOT, profile=profile)


@pytest.mark.parametrize("options", ["nofail", "x-systemd.automount", "noauto", "defaults"])
def test_a_line_of_its_own_that_is_not_mounted_now(
    monkeypatch: pytest.MonkeyPatch,
    profile: Distro,
    caplog: pytest.LogCaptureFixture,
    options: str,
) -> None:
    """What lies there now is another file system, which the dump would fill unseen."""
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/null", target="/"))
    line = planned("UUID=1", "/", options, target="/var/crash", fstype="xfs")
    monkeypatch.setattr(mounts, "in_fstab", lambda path, root: line)
    with caplog.at_level(logging.INFO, logger="kdump-initrd"):
        found = resolve(TargetSettings(), root=ROOT, profile=profile)
    assert (found.to, found.fstype, found.path, found.mount_options) == (
        "UUID=1", "xfs", "/", ""
    )  # fmt: skip
    assert "/var/crash: /var/crash is not mounted now: /etc/fstab has UUID=1 for it" in caplog.text


@pytest.mark.parametrize(("line", "now"), [("/", "/"), ("/", "/var"), ("/var", "/var")])
def test_a_line_that_is_mounted_or_further_up(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, line: str, now: str
) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/null", target=now))
    monkeypatch.setattr(
        mounts, "in_fstab", lambda path, root: planned("/dev/null", "/x", target=line)
    )
    found = resolve(TargetSettings(), root=ROOT, profile=profile)
    assert (found.to, found.path, found.mount_options) == ("/dev/null", None, None)


def test_fstab_and_the_mounts_disagree(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, tmp_path: Path
) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/null", target="/var"))
    monkeypatch.setattr(
        mounts, "in_fstab", lambda path, root: planned("/dev/zero", "/crash", target="/var")
    )
    with pytest.raises(KdumpInitrdError) as caught:
        resolve(TargetSettings(), root=ROOT, profile=profile)
    assert caught.value.message == (
        "/var/crash: /dev/null is mounted on /var, but /etc/fstab has /dev/zero for it"
    )


def test_a_line_whose_device_is_gone(monkeypatch: pytest.MonkeyPatch, profile: Distro) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/null", target="/"))
    line = planned("/dev/mapper/vg-crash", "/", "nofail", target="/var/crash")
    monkeypatch.setattr(mounts, "in_fstab", lambda path, root: line)
    with pytest.raises(KdumpInitrdError) as caught:
        resolve(TargetSettings(), root=ROOT, profile=profile)
    assert caught.value.message == (
        "/var/crash: /etc/fstab has /dev/mapper/vg-crash for /var/crash, which is not here, and "
        "what is mounted is /dev/null on /"
    )


@pytest.mark.parametrize("fstype", ["auto", "ext4,xfs"])
def test_fstab_that_leaves_the_type_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Distro, fstype: str
) -> None:
    root = fstab(tmp_path, f"UUID=1 / {fstype} defaults\n")
    monkeypatch.setattr(device, "node_of", lambda spec: Path("/dev/null"))
    monkeypatch.setattr(device, "read_superblock", lambda path: ("xfs", "1"))
    assert resolve(TargetSettings(), root=root, profile=profile).fstype == "xfs"
    monkeypatch.setattr(device, "node_of", lambda spec: None)
    with pytest.raises(KdumpInitrdError, match="UUID=1: its file system cannot be detected here"):
        resolve(TargetSettings(), root=root, profile=profile)


def test_a_layer_is_named_as_people_know_it(
    monkeypatch: pytest.MonkeyPatch, profile: Distro
) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/null", "xfs"))
    found = Hardware((), ("dm_mod",), ("lvm", "drbd"), "/dev/mapper/vg-var")
    monkeypatch.setattr(sysfs, "hardware_of", lambda node, *, sysfs: found)
    with pytest.raises(KdumpInitrdError) as caught:
        resolve(TargetSettings(), root=ROOT, profile=profile)
    assert caught.value.message == (
        "/var/crash: /var is on /dev/mapper/vg-var, and that lies on DRBD, which the image cannot "
        "assemble"
    )
    assert caught.value.hint == refusals.PLAIN_DISK


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/var/crash ", "'/var/crash ': the name of the folder for dumps ends with a blank"),
        ("/a\nb", "'/a\\nb': the name of the folder for dumps has unprintable characters"),
        ("/a\udcff", "'/a\\udcff': the name of the folder for dumps has unprintable characters"),
    ],
)
def test_folders_that_no_hook_can_name(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, path: str, message: str
) -> None:
    for settings in (TargetSettings(path=path), TargetSettings(path=path, to="UUID=1")):
        with pytest.raises(KdumpInitrdError) as caught:
            resolve(settings, root=ROOT, profile=profile)
        assert caught.value.message.startswith(message)
    # A link may lead there.
    here = BlockDevice("UUID=1", "ext4", Path("/dev/null"))
    monkeypatch.setattr(block, "identify", lambda spec, fstype, host: here)
    monkeypatch.setattr(mounts, "folder_on", lambda *_: (path, ""))
    with pytest.raises(KdumpInitrdError) as caught:
        locate(TargetSettings(to="UUID=1"), path="/var/crash", root=ROOT)
    assert caught.value.message.startswith(message)


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    here = BlockDevice("UUID=1", "btrfs", Path("/dev/null"))
    monkeypatch.setattr(block, "identify", lambda spec, fstype, host: here)
    monkeypatch.setattr(mounts, "folder_on", lambda *_: ("/crash", "subvol=/@var"))
    said = TargetSettings(to="UUID=1", fstype="btrfs")
    found = locate(said, path="/var/crash", root=ROOT)
    assert (found.placed.folder, found.placed.options) == ("/crash", "subvol=/@var")
    # What a root's fstab has is not looked for on this host.
    said = TargetSettings(to="UUID=1", fstype="btrfs", mount_options="subvol=@")
    found = locate(said, path="dumps/./x/", root=ROOT)
    assert (found.placed.folder, found.placed.options) == ("/dumps/x", "subvol=@")


def test_folder_that_the_file_system_cannot_hold() -> None:
    said = TargetSettings(to="UUID=1", fstype="vfat")
    with pytest.raises(KdumpInitrdError, match="/a:b: vfat cannot hold ':' in a name"):
        locate(said, path="/a:b", root=ELSEWHERE)
    assert locate(said, path="/ä", root=ELSEWHERE).placed.options == "utf8=1"
    assert locate(said, path="/a", root=ELSEWHERE).placed.options == ""


def test_a_hidden_folder_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = BlockDevice("UUID=1", "ext4", Path("/dev/null"))
    monkeypatch.setattr(block, "identify", lambda spec, fstype, host: here)
    monkeypatch.setattr(mounts, "folder_on", lambda *_: ("/crash", ""))
    over = mount_of("/dev/zero", target="/var/crash")
    monkeypatch.setattr(mounts, "hiding", lambda node, path: over)
    said = TargetSettings(to="UUID=1", fstype="ext4")
    words = (
        "/var/crash: dumps go to that folder of UUID=1, which cannot be seen here: /dev/zero is "
        "mounted on /var/crash"
    )
    for found, wanted in ((replace(said, mount_options=""), False), (said, True)):
        caplog.clear()
        locate(found, path="/var/crash", root=ROOT)
        assert (words in caplog.text) is wanted


@pytest.mark.parametrize("fstype", ["9p", "virtiofs"])
def test_a_folder_of_the_hypervisor_that_is_mounted(
    monkeypatch: pytest.MonkeyPatch, profile: Distro, fstype: str
) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("dumps", fstype, "rw"))
    found = resolve(TargetSettings(), root=ROOT, profile=profile)
    assert found == TargetSettings(f"{fstype}:dumps", fstype)
    monkeypatch.setattr(mounts, "folder_on", lambda node, *_: (f"/{node}/crash", ""))
    target = Share.find(found, folder="/var/crash", root=ROOT, host=HostFacts())
    assert target == Share(fstype, "dumps", "/dumps/crash")
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("dumps", fstype, "ro"))
    with pytest.raises(KdumpInitrdError, match="on dumps, which is mounted read-only"):
        resolve(TargetSettings(), root=ROOT, profile=profile)


def test_a_folder_of_the_hypervisor_in_fstab(tmp_path: Path, profile: Distro) -> None:
    root = fstab(tmp_path, "UUID=1 / ext4 defaults\ndumps /var/crash virtiofs nofail\n")
    found = resolve(TargetSettings(), root=root, profile=profile)
    assert found == TargetSettings("virtiofs:dumps", "virtiofs", "/", mount_options="")
    target = Share.find(found, folder="/var/crash", root=root, host=HostFacts())
    assert target == Share("virtiofs", "dumps", "/")


@pytest.mark.parametrize("tag", ["", "-o", "a b", "a\nb", "\udcff"])
def test_tags_that_no_hook_can_name(profile: Distro, tag: str) -> None:
    with pytest.raises(KdumpInitrdError, match="not the tag of a folder of the hypervisor"):
        resolve(TargetSettings(f"9p:{tag}"), root=ROOT, profile=profile)


def test_a_folder_of_the_hypervisor_has_one_type(profile: Distro) -> None:
    assert resolve(TargetSettings("9p:x", "9p"), root=ROOT, profile=profile).fstype == "9p"
    with pytest.raises(KdumpInitrdError, match="9p:x: cannot be mounted as ext4"):
        resolve(TargetSettings("9p:x", "ext4"), root=ROOT, profile=profile)
    with pytest.raises(KdumpInitrdError, match="9p:x: not on layers of disks"):
        resolve(TargetSettings("9p:x", layers=("lvm",)), root=ROOT, profile=profile)


def test_one_of_several_devices_is_mounted(
    monkeypatch: pytest.MonkeyPatch, profile: Distro
) -> None:
    """fstab has the UUID that they share; findmnt tells of one, and findfs of another."""
    monkeypatch.setattr(mounts, "mounted", lambda path: mount_of("/dev/null", "btrfs"))
    line = planned("UUID=1", "/crash", target="/var", fstype="btrfs")
    monkeypatch.setattr(mounts, "in_fstab", lambda path, root: line)
    monkeypatch.setattr(device, "node_of", lambda spec: Path("/dev/zero"))
    monkeypatch.setattr(device, "read_superblock", lambda path: ("btrfs", "1"))
    monkeypatch.setattr(device, "namesakes", lambda spec: ("/dev/zero", "/dev/null"))
    assert resolve(TargetSettings(), root=ROOT, profile=profile).to == "/dev/null"
    monkeypatch.setattr(device, "namesakes", lambda spec: ("/dev/zero",))
    with pytest.raises(KdumpInitrdError, match="/dev/null is mounted on /var, but /etc/fstab has"):
        resolve(TargetSettings(), root=ROOT, profile=profile)
