# SPDX-License-Identifier: GPL-2.0-or-later
"""The root's device: who names it, what is on it, and each root that a whole initrd cannot boot."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core import devicename
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.recipes.firstkernel import rootdevice
from kdump_initrd.recipes.firstkernel.rootdevice import RootName
from kdump_initrd.targets import blockdevice
from kdump_initrd.targets.blockdevice import BlockDevice

USE_A_BASE = "use a base: leave --standalone out"
UUID = "4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"
FSTAB = "# <file system> <mount point> <type>\n\nUUID=1-2\t/  ext4 errors=remount-ro 0 1\n"


def make_root(top: Path, fstab: str = "", crypttab: str = "") -> Path:
    """Make a root with these tables; without a table where it is empty."""
    (top / "etc").mkdir(parents=True)
    for name, text in {"fstab": fstab, "crypttab": crypttab}.items():
        if text:
            (top / "etc" / name).write_text(text)
    return top


@pytest.mark.parametrize(
    ("named", "line", "fstab", "wanted"),
    [
        # Who is asked first: the user, the kernel's words, the table.
        ("/dev/vdb", "root=/dev/vda", FSTAB, RootName("/dev/vdb", "")),
        ("UUID=1-2", "root=/dev/vda", FSTAB, RootName("UUID=1-2", "ext4")),
        ("/dev/disk/by-uuid/1-2", "", FSTAB, RootName("UUID=1-2", "ext4")),
        ('UUID="1-2"', "", FSTAB, RootName("UUID=1-2", "ext4")),
        (None, "ro root=/dev/vda quiet", FSTAB, RootName("/dev/vda", "ext4")),
        (None, "ro quiet", FSTAB, RootName("UUID=1-2", "ext4")),
        (None, "root= quiet", FSTAB, RootName("UUID=1-2", "ext4")),
        # The kernel's words.
        (None, "root=/dev/vda", "", RootName("/dev/vda", "")),
        (None, "root=/dev/a root=/dev/b", "", RootName("/dev/b", "")),
        (None, "root=/dev/a -- root=/dev/b", "", RootName("/dev/a", "")),
        (None, 'root="LABEL=my disk" ro', "", RootName("LABEL=my disk", "")),
        (None, '"root=LABEL=my disk" ro', "", RootName("LABEL=my disk", "")),
        (None, "root=/dev/a rootfstype=xfs,ext4", FSTAB, RootName("/dev/a", "xfs")),
        (None, "root=/dev/disk/by-label/my\\x20disk", "", RootName("LABEL=my disk", "")),
        # The table.
        (None, "", 'LABEL="a" / xfs x 0 0', RootName("LABEL=a", "xfs")),
        (None, "", "LABEL=my\\040disk / xfs x 0 0", RootName("LABEL=my disk", "xfs")),
        (None, "", " # x / ext4\n/dev/a /\n/dev/b / xfs\n/dev/c / a", RootName("/dev/b", "xfs")),
        (None, "", "/dev/b /boot ext2 x\n/dev/a / auto x", RootName("/dev/a", "auto")),
    ],
)  # fmt: skip
def test_who_names_it(
    tmp_path: Path, named: str | None, line: str, fstab: str, wanted: RootName
) -> None:
    root = make_root(tmp_path, fstab)
    words = rootdevice.words(line)
    assert rootdevice.find_name(named, root=Root(root), cmdline=words) == wanted


@pytest.mark.parametrize("fstab", ["", "# nothing\n", "/dev/a /home ext4 x 0 0\n", "\n\n/dev/a\n"])
def test_nobody_names_it(tmp_path: Path, fstab: str) -> None:
    root = make_root(tmp_path, fstab)
    with pytest.raises(KdumpInitrdError) as caught:
        rootdevice.find_name(None, root=Root(root), cmdline=("quiet", "ro", "xroot=/dev/vda"))
    assert caught.value.message == (
        f"{root}: neither a command line nor /etc/fstab tells its root device"
    )
    assert caught.value.hint == "name it with --root-device DEV"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("", ()), ("  a  b\tc\n", ("a", "b", "c")), ('a="b c" d', ("a=b c", "d")),
        ('"a=b  c" "d"', ("a=b  c", "d")), ('a"b c"d"e f"', ("ab cde f",)),
        ('a "b c', ("a", "b c")), ("a -- b", ("a",)), ('a "--" b', ("a",)),
        ("a --b ---", ("a", "--b", "---")),
    ],
)  # fmt: skip
def test_words_of_a_command_line(line: str, wanted: tuple[str, ...]) -> None:
    assert rootdevice.words(line) == wanted


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("/dev/disk/by-uuid/1-2", "UUID=1-2"),
        ("/dev/disk/by-label/a\\x2fb\\x20caf\\xc3\\xa9", "LABEL=a/b café"),
        ("/dev/disk/by-partuuid/1-2", "PARTUUID=1-2"),
        ("/dev/disk/by-partlabel/a\\x5cx20", "PARTLABEL=a\\x20"),
        ("/dev/disk/by-id/ata-x-part1", "/dev/disk/by-id/ata-x-part1"),
        ("/dev/disk/by-uuid/", "/dev/disk/by-uuid/"),
        ('PARTLABEL="my root"', "PARTLABEL=my root"),
        ("/dev/mapper/a=b", "/dev/mapper/a=b"),
    ],
)
def test_links_of_udev_become_tags(spec: str, wanted: str) -> None:
    assert devicename.translate(spec) == wanted


def test_a_partitions_uuid_in_capitals() -> None:
    """The kernel takes it, findfs does not: the device would be taken for another machine's."""
    assert devicename.translate("PARTUUID=AB-01") == "PARTUUID=ab-01"


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        ("/dev/md0", ("md",)), ("/dev/md127p1", ("md",)), ("/dev/md_d0", ("md",)),
        ("/dev/md/root", ("md",)), ("/dev/mapper/vg-root", ("lvm",)), ("/dev/vg/root", ("lvm",)),
        ("/dev/vda1", ()), ("/dev/dm-0", ()), ("/dev/mdisk", ()), ("/dev/disk/x", ()),
        ("/dev/cciss/c0d0p1", ()), ("/dev/zvol/a/b", ()), ("UUID=1-2", ()), ("LABEL=a/b", ()),
    ],
)  # fmt: skip
def test_layers_that_a_name_tells_of(spec: str, layers: tuple[str, ...]) -> None:
    assert blockdevice.named_layers(spec) == layers


def refusal(root: Path, spec: str, fstype: str = "", line: str = "") -> str:
    """Return what check_name() says; its hint is always the same."""
    with pytest.raises(KdumpInitrdError) as caught:
        rootdevice.check_name(
            RootName(spec, fstype), root=Root(root), cmdline=rootdevice.words(line)
        )
    assert caught.value.hint == USE_A_BASE
    return caught.value.message


REACH = "which the image cannot reach"
NETWORK = f"a root on the network, {REACH}"
ZFS = "ZFS, which the image cannot import"


@pytest.mark.parametrize(
    ("spec", "fstype", "why"),
    [
        *((spec, "", NETWORK) for spec in (
            "/dev/nfs", "nfs:10.0.0.1:/x", "nfs4:10.0.0.1:/x", "10.0.0.1:/export", "host:/export",
            "[fe80::1]:/export", "//server/share", "cifs:a", "nbd:a:1", "iscsi:1.2.3.4::::iqn.x",
            "fcoe:eth0:nodcb", "aoe:e0.0", "live:http://a/b", "dhcp", "dhcp6", "any", "auto6",
        )),
        *(("/dev/vda", fstype, f"{fstype}: a file system on the network, {REACH}")
          for fstype in ("nfs", "nfs4", "cifs", "ceph")),
        ("/dev/vda", "virtiofs", f"virtiofs: a folder of the hypervisor, {REACH}"),
        ("/dev/vda", "newfs", "newfs: not a file system that the image can mount"),
        *((spec, "", ZFS) for spec in ("zfs:AUTO", "ZFS=rpool/ROOT/debian", "zfs", "zfs=x")),
        ("rpool/ROOT/debian", "zfs", ZFS),
        ("/dev/mapper/mpatha-part1", "ext4", "multipath, which the image cannot assemble"),
        *((spec, "ext4", "not the name of a block device") for spec in (
            "vda1", "UUID=", "SERIAL=1", "tmpfs", "overlay", "/etc/fstab", "8:1", "uuid=1",
        )),
    ],
)  # fmt: skip
def test_names_that_are_refused(tmp_path: Path, spec: str, fstype: str, why: str) -> None:
    assert refusal(tmp_path, spec, fstype) == f"{spec}: {why}"


@pytest.mark.parametrize("word", ["netroot=iscsi:1.2.3.4::::iqn.x", "nbdroot=a:1", "nfsroot=/x"])
def test_words_of_a_root_on_the_network(tmp_path: Path, word: str) -> None:
    assert refusal(tmp_path, "/dev/vda", "ext4", f"ro {word}") == f"{word}: {NETWORK}"


def test_tables_of_a_root_that_is_refused(tmp_path: Path) -> None:
    root = make_root(tmp_path / "a", FSTAB, "# name device\nroot_crypt UUID=1 none luks\n")
    assert refusal(root, "/dev/mapper/root_crypt") == (
        "/dev/mapper/root_crypt: encrypted by /etc/crypttab, which the image cannot unlock"
    )
    rootdevice.check_name(RootName("/dev/mapper/vg-root", "ext4"), root=Root(root), cmdline=())
    root = make_root(tmp_path / "b", f"{FSTAB}UUID=3 /usr xfs defaults 0 2\n")
    assert refusal(root, "UUID=1-2", "ext4") == (
        "/usr: a file system of its own in /etc/fstab, which the image does not mount"
    )


@pytest.mark.parametrize("spec", ["/dev/vda1", "/dev/vg/a", "/dev/md/0", "UUID=1", "LABEL=host:/x"])
def test_names_that_are_taken(tmp_path: Path, spec: str) -> None:
    root = make_root(tmp_path, f"{FSTAB}UUID=3 /usr/local xfs defaults 0 2\n")
    words = ("ip=dhcp", "xnetroot=a", "rd.luks.uuid=1")
    rootdevice.check_name(RootName(spec, "ext4"), root=Root(root), cmdline=words)


def test_a_link_that_only_udev_makes(tmp_path: Path) -> None:
    root = make_root(tmp_path, FSTAB)
    spec = "/dev/disk/by-id/ata-x-part1"
    with pytest.raises(KdumpInitrdError) as caught:
        rootdevice.find_name(None, root=Root(root), cmdline=(f"root={spec}",))
    assert caught.value.message == f"root={spec}: a link of udev, which the image does not have"
    assert caught.value.hint == USE_A_BASE


@pytest.mark.parametrize("named", [True, False])
def test_a_link_that_is_not_here_wherever_it_is_named(tmp_path: Path, named: bool) -> None:
    """The image's own is_name() refuses it: the machine would not start."""
    spec = "/dev/disk/by-id/ata-of-another-machine"
    root = make_root(tmp_path, f"{spec} / ext4 x 0 0\n")
    with pytest.raises(KdumpInitrdError):
        name = rootdevice.find_name(spec if named else None, root=Root(root), cmdline=())
        rootdevice.check_name(name, root=Root(root), cmdline=())
        rootdevice.identify(name, rootdevice.locate(name.spec), fstype="ext4")


@pytest.mark.parametrize("word", ["rd.luks.uuid=1", "rd.luks.name=1=a", "cryptdevice=/dev/vda2:a"])
def test_words_of_encryption(word: str) -> None:
    rootdevice.check_words("/dev/vg/root", ("ro", "quiet", f"x{word}"))
    with pytest.raises(KdumpInitrdError) as caught:
        rootdevice.check_words("/dev/vg/root", ("ro", word))
    assert caught.value.message == (
        f"/dev/vg/root: encrypted as {word} says, which the image cannot unlock"
    )
    assert caught.value.hint == USE_A_BASE


def test_where_it_is(tmp_path: Path) -> None:
    assert rootdevice.locate("/dev/of-another-machine") is None
    assert rootdevice.locate(f"UUID={UUID}") is None
    for path in ("/dev/null", str(tmp_path)):
        with pytest.raises(KdumpInitrdError) as caught:
            rootdevice.locate(path)
        assert caught.value.message == f"{path}: not a block device"
        assert caught.value.hint == "lsblk lists those present"


def btrfs(devices: int) -> bytes:
    """Return the head of a btrfs (fs/btrfs/ctree.h, struct btrfs_super_block)."""
    block = bytearray(4096)
    block[0x20:0x50] = bytes(range(16)) + struct.pack("<QQ8sQ", 0x10000, 0, b"_BHRfS_M", 1)
    struct.pack_into("<QII", block, 0x88, devices, 4096, 16384)
    crc = 0xFFFFFFFF  # CRC-32C
    for byte in block[0x20:]:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    struct.pack_into("<I", block, 0, crc ^ 0xFFFFFFFF)
    return bytes(0x10000) + block


def luks(version: int) -> bytes:
    head = b"LUKS\xba\xbe" + struct.pack(">HQ", version, 0x4000)
    return head.ljust(168, b"\0") + UUID.encode()


LUKS = "holds an encrypted volume (LUKS or dm-crypt), which the image cannot unlock"
NAME_IT = "name the device with the root on it"
REFUSED_DISKS = {
    "LUKS 1": (luks(1), LUKS, USE_A_BASE),
    "LUKS 2": (luks(2), LUKS, USE_A_BASE),
    "ZFS": ((bytes(1 << 17) + struct.pack("<Q1016x", 0xBAB10C) * 128) * 2, f"holds {ZFS}",
            USE_A_BASE),
    "btrfs": (btrfs(2), "btrfs over several devices, which the image cannot assemble", USE_A_BASE),
    "swap": (struct.pack("<1024xII", 1, 255).ljust(4086, b"\0") + b"SWAPSPACE2",
             "holds swap, no file system", NAME_IT),
    "empty": (b"", "no file system on it", NAME_IT),
}  # fmt: skip
X = RootName("/dev/x", "")


def write_disk(path: Path, head: bytes = b"") -> Path:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(80 << 20)
    return path


@pytest.mark.parametrize(("head", "why", "hint"), REFUSED_DISKS.values(), ids=REFUSED_DISKS)
def test_disks_that_are_refused(tmp_path: Path, head: bytes, why: str, hint: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        rootdevice.identify(X, write_disk(tmp_path / "disk", head), fstype=None)
    assert (caught.value.message, caught.value.hint) == (f"/dev/x: {why}", hint)


def test_disks_that_are_taken(tmp_path: Path) -> None:
    disk = write_disk(tmp_path / "disk", btrfs(1))
    found = rootdevice.identify(RootName("/dev/x", "auto"), disk, fstype=None)
    assert found == BlockDevice("UUID=00010203-0405-0607-0809-0a0b0c0d0e0f", "btrfs", disk)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-U", UUID, write_disk(disk)], check=True)
    # What is there is more than what the table says.
    found = rootdevice.identify(RootName("/dev/x", "xfs"), disk, fstype=None)
    assert found == BlockDevice(f"UUID={UUID}", "ext4", disk)
    with pytest.raises(KdumpInitrdError) as caught:
        rootdevice.identify(X, disk, fstype="xfs")
    assert str(caught.value) == "/dev/x: holds ext4, not xfs"
    assert caught.value.hint == "say -f ext4"


@pytest.mark.parametrize("unreadable", [True, False])
def test_a_file_system_that_somebody_has_to_tell(
    tmp_path: Path, unreadable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    node = tmp_path if unreadable else None  # a folder cannot be read, not even by root
    for name in (X, RootName("/dev/x", "auto")):
        with pytest.raises(KdumpInitrdError) as caught:
            rootdevice.identify(name, node, fstype=None)
        assert caught.value.message == "/dev/x: the file system on it cannot be determined"
        assert caught.value.hint == "name it with -f FS"
    found = rootdevice.identify(RootName("/dev/x", "ext4"), node, fstype=None)
    assert found == BlockDevice("/dev/x", "ext4", node)
    assert rootdevice.identify(X, node, fstype="xfs") == BlockDevice("/dev/x", "xfs", node)
    assert ("its file system is not checked" in caplog.text) is unreadable
