# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image can assemble, and one sentence for each thing that it cannot.

The lists of a Purpose decide: what is not on them is refused. The table only has better words for
what people have; it serves for the place of the dump and for the root of a first kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core.errors import KdumpInitrdError

if TYPE_CHECKING:
    from ..probe.host.sysfs import Hardware

#: Hints for a place that the image cannot reach.
PLAIN_DISK = (
    "save to a partition or disk of its own, without layers: -c DEV -f FS, or device and fstype in "
    "/etc/kdump-initrd.toml"
)
SAY_WHERE = "set where dumps go: -c DEV -f FS, or device and fstype in /etc/kdump-initrd.toml"
USE_A_BASE = "use a base: leave --standalone out"
_OTHER_TYPE = "save to a disk or partition with ext4, xfs, btrfs or vfat on it"
_ALONE = "save to a file system that is on one disk or partition alone"

_ASSEMBLE = "which the image cannot assemble"
_REACH = "which the image cannot reach"
#: What an image cannot do with an encrypted volume.
UNLOCK = "which the image cannot unlock"
#: What both kinds of image can mount and write to.
_WRITABLE = (
    *("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "exfat", "f2fs", "jfs", "nilfs2"),
    *("reiserfs", "udf", "ntfs3", "hfsplus", "bcachefs", "hpfs"),
)
_READ_ONLY = (
    *("squashfs", "iso9660", "erofs", "cramfs", "romfs", "qnx6", "befs", "efs", "freevxfs"),
    *("composefs", "ntfs", "ufs"),
)
_SHORT_NAMES = (
    *("msdos", "umsdos", "minix", "sysv", "v7", "hfs", "affs", "adfs", "bfs", "qnx4", "omfs"),
)


@dataclass(frozen=True)
class Purpose:
    """What an image uses a device for, and everything that it can assemble for that.

    ``name`` is "dump" or "root". ``filesystems`` are the types that it can mount, ``layers`` are
    names of layers in sysfs.Hardware, ``parts`` those that a type of file system may have on other
    devices (superblock.beyond()). ``name_it`` is the hint for a device without a file system,
    ``hint`` the one for everything else, "" if each refusal has its own.
    """

    name: str
    filesystems: frozenset[str]
    layers: tuple[str, ...]
    name_it: str
    hint: str = ""
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


DUMP = Purpose(
    "dump",
    frozenset(_WRITABLE),
    ("lvm", "md", "luks", "mpath"),
    "name a disk or partition with a file system on it",
    parts={"btrfs": ("devices",), "xfs": ("log", "realtime")},
)
ROOT = Purpose(
    "root",
    frozenset((*_WRITABLE, *_READ_ONLY, *_SHORT_NAMES)),
    ("lvm", "md"),
    "name the device with the root on it",
    USE_A_BASE,
)


#: What --layer may say: the layers of sysfs.Hardware that it means. The devices of a btrfs are
#: always looked for.
SAID_LAYERS: Mapping[str, str] = {
    "lvm": "lvm",
    "md": "md",
    "luks": "luks",
    "multipath": "mpath",
    "btrfs-devices": "",
}


@dataclass(frozen=True)
class Reason:
    """Why something is refused: what it is, what the image cannot do with it, and what to do.

    In ``title``, "{}" is replaced with the name.
    """

    title: str
    cannot: str = _ASSEMBLE
    hint: str = PLAIN_DISK

    def __str__(self) -> str:
        """Return the text, which follows the name of what is refused."""
        return f"{self.title}, {self.cannot}" if self.cannot else self.title

    def error(self, where: str, purpose: Purpose) -> KdumpInitrdError:
        """Return the error; its text follows ``where``, which ends in a blank."""
        return KdumpInitrdError(f"{where}{self}", hint=purpose.hint or self.hint)


#: Reasons by types of file systems, layers of sysfs.Hardware, blkid's names, schemes of targets.
_TABLE: Sequence[tuple[tuple[str, ...], Reason]] = (
    # File systems.
    (
        ("overlay", "overlayfs", "aufs", "unionfs", "ecryptfs", "shiftfs"),
        Reason("{}: a layer over other file systems", "which is not on a device of its own",
               _OTHER_TYPE),
    ),
    (
        ("tmpfs", "ramfs", "rootfs", "hugetlbfs", "devtmpfs"),
        Reason("{}: memory", "which does not survive a crash", _OTHER_TYPE),
    ),
    (_READ_ONLY, Reason("{}: a file system that is read-only", "", _OTHER_TYPE)),
    (
        _SHORT_NAMES,
        Reason("{}: a file system whose names are too short for those of a dump", "", _OTHER_TYPE),
    ),
    (
        (
            *("nfs", "nfs4", "cifs", "smb", "smb3", "smbfs", "ceph", "glusterfs", "fuse.sshfs"),
            *("sshfs", "afs", "fuse.glusterfs", "coda", "lustre", "gpfs", "beegfs", "orangefs"),
            *("pvfs2", "ncpfs", "davfs"),
        ),
        Reason("{}: a file system on the network", _REACH, _OTHER_TYPE),
    ),
    (
        ("9p", "virtiofs", "vboxsf", "fuse.vmhgfs-fuse", "vmhgfs", "prl_fs", "hostfs", "drvfs"),
        Reason("{}: a folder of the hypervisor", _REACH, _OTHER_TYPE),
    ),
    (
        ("ocfs2", "gfs2", "gfs"),
        Reason("{}: a cluster's file system", "which the image cannot join", _OTHER_TYPE),
    ),
    (
        ("ubifs", "jffs2", "yaffs", "yaffs2"),
        Reason("{}: a file system on bare flash memory", "which is not a block device",
               _OTHER_TYPE),
    ),
    (
        ("fuse", "fuseblk", "ntfs-3g", "exfat-fuse", "lowntfs-3g"),
        Reason("{}: a file system in user space", "whose program the image does not have",
               _OTHER_TYPE),
    ),
    (("raw",), Reason("a partition without a file system", "which the image cannot save to",
                      _OTHER_TYPE)),
    # What lies below a file system.
    (("zfs", "zfs_member", "zd"), Reason("ZFS", "which the image cannot import")),
    (("lvm", "LVM2_member"), Reason("LVM")),
    (("md", "linux_raid_member"), Reason("MD RAID")),
    (("md with external metadata",), Reason("firmware RAID")),
    (("crypt", "luks", "crypto_LUKS"), Reason("an encrypted volume (LUKS or dm-crypt)", UNLOCK)),
    (("mpath", "mpath_member"), Reason("multipath")),
    (("dm",), Reason("device-mapper")),
    (("bcache",), Reason("bcache")),
    (("drbd",), Reason("DRBD")),
    (("loop",), Reason("a loop device")),
    (("zram", "ram"), Reason("memory ({})", "which does not survive a crash")),
    (("iscsi",), Reason("iSCSI", _REACH)),
    (("nvme-fabrics", "nvme-tcp"), Reason("NVMe over a network (TCP, RDMA, FC)", _REACH)),
    (("nbd",), Reason("a network block device (nbd)", _REACH)),
    (("rbd",), Reason("Ceph (rbd)", _REACH)),
    (("network",), Reason("the network", _REACH)),
    # Targets that are not disks.
    (("ssh", "sftp", "scp"), Reason("another machine", _REACH)),
    (("ftp",), Reason("an FTP server", _REACH)),
)  # fmt: skip
_REASONS: Mapping[str, Reason] = {name: reason for names, reason in _TABLE for name in names}
#: What blkid calls a part of a layer, which holds no file system itself.
_PARTS: Mapping[str, Reason] = {
    "LVM2_member": Reason("a part of an LVM volume group", "",
                          "name the logical volume with the file system: /dev/GROUP/VOLUME"),
    "linux_raid_member": Reason("a part of an MD RAID array", "",
                                "name the array with the file system: /dev/md/NAME"),
    "crypto_LUKS": Reason("an encrypted volume (LUKS)", "",
                          "name what it is when it is open: /dev/mapper/NAME"),
    "mpath_member": Reason("a path to a multipath disk", "",
                           "name the disk with the file system: /dev/mapper/NAME"),
}  # fmt: skip
#: Parts of a file system that are elsewhere, as superblock.beyond() calls them.
_ELSEWHERE: Mapping[str, str] = {
    "devices": "over several devices",
    "log": "with an external log",
    "journal": "with an external journal",
    "realtime": "with a realtime device",
    "seed": "as a seed device, which is read-only",
}
_UNKNOWN_TYPE = Reason("{}: not a file system that the image can mount", "", _OTHER_TYPE)
_UNKNOWN_TARGET = Reason("not a kind of target that the image can save to", "")
_UNKNOWN_LAYER = Reason("a virtual device ({})")


def reason(name: str) -> Reason:
    """Return the reason for a name that the table has."""
    return _named(_REASONS[name], name)


def target(scheme: str) -> Reason:
    """Return why no image can save to a target with that scheme; its name precedes the text."""
    known = _REASONS.get(scheme, _UNKNOWN_TARGET)
    return Reason(known.title.removeprefix("{}: "), known.cannot)


def file_system(purpose: Purpose, fstype: str) -> Reason | None:
    """Return why the image cannot mount a file system of that type, None if it can.

    Any "fuse.x" is a file system in user space.
    """
    if fstype in purpose.filesystems:
        return None
    if fstype in _PARTS:
        part = _PARTS[fstype]
        return Reason(f"{fstype}: what {part.title} holds, no file system", "", part.hint)
    known = _REASONS.get(fstype) or _REASONS.get(fstype.partition(".")[0])
    return _named(known or _UNKNOWN_TYPE, fstype)


def planned(purpose: Purpose, fstype: str) -> Reason | None:
    """Return the same for a type in fstab, which may be a list to try, or not known yet."""
    is_open = fstype in ("", "auto") or "," in fstype
    return None if is_open else file_system(purpose, fstype)


def contents(purpose: Purpose, what: str, *, is_mounted: bool) -> Reason | None:
    """Return why the image can do nothing with what blkid calls so; None if it is not known.

    ``is_mounted`` says that it is something that can be mounted.
    """
    if is_mounted:
        return file_system(purpose, what)
    found = _REASONS.get(what)
    able = found in [_REASONS[layer] for layer in purpose.layers]
    return None if found is None or able else _named(found, what)


def said_layer(purpose: Purpose, name: str, fstype: str) -> Reason | None:
    """Return why an image cannot assemble what --layer names, None if it can."""
    layer = SAID_LAYERS[name]
    if not layer:
        only = Reason(f"{fstype} has no devices of that kind", "", "leave it out")
        return None if fstype == "btrfs" else only
    return None if layer in purpose.layers else _named(_REASONS[layer], layer)


def instead_of(purpose: Purpose, what: str) -> str:
    """Return what to name in place of a device that holds what blkid calls so."""
    return _PARTS[what].hint if what in _PARTS else purpose.name_it


def layers(purpose: Purpose, found: Hardware) -> Reason | None:
    """Return why the image cannot bring up a device on these layers, None if it can."""
    below = tuple(name for name in found.layers if name not in purpose.layers)
    # A part of something must not be written to, whether the image can assemble the whole or not.
    for verb, names in (("lies on", below), ("is a part of", found.holders)):
        beyond = [_named(_REASONS.get(name, _UNKNOWN_LAYER), name) for name in names]
        if beyond:
            same = {each.cannot for each in beyond} == {beyond[0].cannot}
            title = f"{verb} {', '.join(each.title for each in beyond)}"
            return Reason(title, beyond[0].cannot if same else _ASSEMBLE)
    return None


def elsewhere(purpose: Purpose, fstype: str, parts: Sequence[str]) -> Reason | None:
    """Return why a file system with these parts on other devices cannot be mounted.

    None if it can.
    """
    for part in parts:
        if part not in purpose.parts.get(fstype, ()):
            return Reason(f"{fstype} {_ELSEWHERE[part]}", hint=_ALONE)
    return None


def _named(known: Reason, name: str) -> Reason:
    return Reason(known.title.format(name), known.cannot, known.hint)
