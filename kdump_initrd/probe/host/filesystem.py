# SPDX-License-Identifier: GPL-2.0-or-later
"""File systems by name: on which a dump can be saved to a block device, and on which it cannot."""

from __future__ import annotations

from pathlib import Path

#: Types that no image can save to, and why: what a folder is "on", or -f names.
_REFUSED = {
    **dict.fromkeys(
        ("overlay", "overlayfs", "aufs", "unionfs", "ecryptfs", "shiftfs"),
        "{}: a layer over other file systems, which no device of its own holds",
    ),
    **dict.fromkeys(("tmpfs", "ramfs", "rootfs", "hugetlbfs", "devtmpfs"),
                    "{}: memory, which a crash does not leave"),
    "zfs": "ZFS, which the image cannot import",
    **dict.fromkeys(
        ("squashfs", "iso9660", "erofs", "cramfs", "romfs", "qnx6", "befs", "efs", "freevxfs",
         "composefs", "ntfs", "ufs"),
        "{}: a file system that is read-only",
    ),
    **dict.fromkeys(
        ("nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "fuse.sshfs", "sshfs", "afs",
         "fuse.glusterfs", "coda", "lustre", "gpfs", "beegfs", "orangefs", "pvfs2", "ncpfs",
         "davfs"),
        "{}: a file system on the network, which the image cannot reach",
    ),
    **dict.fromkeys(
        ("9p", "virtiofs", "vboxsf", "fuse.vmhgfs-fuse", "vmhgfs", "prl_fs", "hostfs", "drvfs"),
        "{}: a folder of the hypervisor, which the image cannot reach",
    ),
    **dict.fromkeys(
        ("ocfs2", "gfs2", "gfs"),
        "{}: a cluster's file system, which the image cannot join",
    ),
    **dict.fromkeys(
        ("ubifs", "jffs2", "yaffs", "yaffs2"),
        "{}: a file system on bare flash memory, which is no block device",
    ),
    **dict.fromkeys(
        ("fuseblk", "ntfs-3g", "exfat-fuse", "lowntfs-3g"),
        "{}: a file system in user space, whose program the image does not have",
    ),
    **dict.fromkeys(
        ("crypto_LUKS", "LVM2_member", "linux_raid_member", "swap", "zfs_member", "mpath_member"),
        "{}: no file system, but what lies below one",
    ),
    **dict.fromkeys(
        ("msdos", "umsdos", "minix", "sysv", "v7", "hfs", "affs", "adfs", "bfs", "qnx4", "omfs"),
        "{}: a file system whose names are too short for those of a dump",
    ),
}  # fmt: skip
#: Those that are known to be on a block device and to be written to by the kernel itself.
_KNOWN = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "exfat", "f2fs", "jfs", "nilfs2", "reiserfs",
     "udf", "ntfs3", "hfsplus", "bcachefs", "hpfs")
)  # fmt: skip
_FILESYSTEMS = Path("/proc/filesystems")


def refusal(fstype: str) -> str:
    """Return why no dump can be saved to a file system of that type, "" where nothing is known.

    "fuse.x" is one in user space, whatever x is. What the running kernel calls "nodev" in
    /proc/filesystems (proc(5)) is on no block device.
    """
    if fstype in _REFUSED:
        return _REFUSED[fstype].format(fstype)
    if fstype == "fuse" or fstype.startswith("fuse."):
        return f"{fstype}: a file system in user space, whose program the image does not have"
    if fstype not in _KNOWN and fstype in _without_device():
        return f"{fstype}: a file system that is on no block device"
    return ""


def is_known(fstype: str) -> bool:
    """Tell whether that is a type that a block device can have and the kernel can write to."""
    return fstype in _KNOWN


def _without_device() -> list[str]:
    try:
        lines = _FILESYSTEMS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.split()[1] for line in lines if line.startswith("nodev") and len(line.split()) > 1]
