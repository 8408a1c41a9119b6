# SPDX-License-Identifier: GPL-2.0-or-later
"""The root device of a system: who names it, what it is, and what an image cannot boot from."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ...core.errors import KdumpInitrdError
from ...core.files import read_text
from ...core.log import get_logger
from ...core.root import resolve
from . import device, superblock
from .device import BlockDevice

logger = get_logger(__name__)

#: What mends a root that the image cannot boot from.
USE_A_BASE = "use a base: leave --standalone out"
#: Folder below /dev/disk: the tag that a name in it stands for.
_LINKS = {
    "by-uuid": "UUID",
    "by-label": "LABEL",
    "by-partuuid": "PARTUUID",
    "by-partlabel": "PARTLABEL",
}
_NETWORK_TYPES = ("nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs")
#: As dracut and initramfs-tools write a root that comes over the network.
_NETWORK_NAME = re.compile(
    r"/dev/nfs|(nfs4?|cifs|smb|nbd|iscsi|fcoe|aoe|live:https?|live:ftp):.*|//.*|[^/=]+:/.*|"
    r"dhcp6?|any6?|on|either6|auto6|link6|single-dhcp"
)
_ZFS_NAME = re.compile(r"zfs(:.*|=.*)?", re.IGNORECASE)
_ENCRYPTED_WORD = re.compile(r"rd\.luks\.(uuid|name)=.*|cryptdevice=.*|cryptopts=.*")
#: Folders below /dev that are no volume groups.
_NO_GROUPS = ("block", "bus", "disk", "fd", "input", "mapper", "md", "shm", "cciss", "ida")


@dataclass(frozen=True)
class RootName:
    """The root's device as somebody names it; ``fstype`` is "" where nobody tells."""

    spec: str
    fstype: str


def find_name(named: str | None, *, root: Path, cmdline: Sequence[str]) -> RootName:
    """Return the name of the root device: ``named``, else root= of ``cmdline``, else fstab's.

    ``cmdline`` are the words of the running kernel, none where ``root`` is not what it runs.
    Raises KdumpInitrdError where none tells, and for a root= that only udev understands.
    """
    line = _fstab_line(root, "/")
    table = RootName(translate(line[0]), line[2]) if line else None
    if named:
        spec = translate(named)
        return RootName(spec, table.fstype if table and spec == table.spec else "")
    values = dict(word.partition("=")[::2] for word in cmdline)
    if values.get("root"):
        spec = translate(values["root"])
        if spec.startswith("/dev/disk/"):
            _refuse(f"root={spec}: a link of udev, which the image does not have")
        fstype = values.get("rootfstype", "").partition(",")[0]
        return RootName(spec, fstype or (table.fstype if table else ""))
    if table:
        return table
    raise KdumpInitrdError(
        f"{root}: neither a command line nor /etc/fstab tells its root device",
        hint="say it by --root-device DEV",
    )


def words(line: str) -> tuple[str, ...]:
    """Split a kernel's command line as lib/cmdline.c does: blanks in double quotes stay."""
    found = (word.replace('"', "") for word in re.findall(r'(?:[^\s"]|"[^"]*"?)+', line))
    taken = []
    for word in found:
        if word == "--":
            break
        taken.append(word)
    return tuple(taken)


def translate(spec: str) -> str:
    """Return the tag for a udev link below /dev/disk: an image without udev has none."""
    folder, _, name = spec.removeprefix("/dev/disk/").partition("/")
    if spec.startswith("/dev/disk/") and folder in _LINKS and name:
        return f"{_LINKS[folder]}={device.unescape(name)}"
    tag, equals, value = spec.partition("=")
    if not equals or tag not in device.TAGS:
        return spec
    value = value.strip('"')
    # The kernel takes it in capitals too, findfs does not.
    return f"{tag}={value.lower() if tag == 'PARTUUID' else value}"


def check_name(name: RootName, *, root: Path, cmdline: Sequence[str]) -> None:
    """Refuse a root whose very name, or the root's own tables, say that the image cannot boot it.

    Raises KdumpInitrdError.
    """
    spec = name.spec
    if name.fstype in _NETWORK_TYPES or _NETWORK_NAME.fullmatch(spec):
        _refuse(f"{spec}: a root on the network, which the image cannot reach")
    for word in cmdline:
        if word.startswith(("netroot=", "nbdroot=", "nfsroot=")):
            _refuse(f"{word}: a root on the network, which the image cannot reach")
    if name.fstype in ("zfs", "zfs_member") or _ZFS_NAME.fullmatch(spec):
        _refuse(f"{spec}: ZFS, which the image cannot import")
    if re.fullmatch(r"/dev/mapper/mpath.*", spec):
        _refuse(f"{spec}: multipath, which the image cannot assemble")
    if re.fullmatch(r"/dev/mapper/.*", spec) and Path(spec).name in _encrypted_names(root):
        _refuse(f"{spec}: encrypted by /etc/crypttab, which the image cannot unlock")
    tag, equals, value = spec.partition("=")
    if not spec.startswith("/dev/") and not (equals and tag in device.TAGS and value):
        _refuse(f"{spec}: not the name of a block device")
    if _fstab_line(root, "/usr") is not None:
        _refuse("/usr: a file system of its own in /etc/fstab, which the image does not mount")


def check_words(spec: str, cmdline: Sequence[str]) -> None:
    """Refuse a device that is not here, where the kernel's words tell of encryption.

    Raises KdumpInitrdError.
    """
    for word in cmdline:
        if _ENCRYPTED_WORD.fullmatch(word):
            _refuse(f"{spec}: encrypted as {word} says, which the image cannot unlock")


def locate(spec: str) -> Path | None:
    """Return the block device of that name here, or None.

    Raises KdumpInitrdError for a path that is something else.
    """
    if not spec.startswith("/"):
        return device.node_of(spec)
    path = Path(spec)
    if not path.exists():
        return None
    if not stat.S_ISBLK(path.stat().st_mode):
        raise KdumpInitrdError(f"{spec}: not a block device", hint="lsblk lists those present")
    return path


def identify(name: RootName, node: Path | None, *, fstype: str | None) -> BlockDevice:
    """Say what is on the root's device, by its most stable name; ``fstype`` is the user's word.

    Raises KdumpInitrdError for what cannot be mounted, or where nobody tells the file system.
    """
    found, uuid = _read(name, node) if node else ("", "")
    if name.spec.startswith("/dev/disk/") and not uuid:
        _refuse(f"{name.spec}: a link of udev, which the image does not have")
    if fstype and found and found != fstype:
        raise KdumpInitrdError(f"{name.spec}: holds {found}, not {fstype}", hint=f"say -f {found}")
    known = fstype or found or name.fstype
    if not known or known == "auto":
        raise KdumpInitrdError(
            f"{name.spec}: nothing tells the file system on it", hint="say it by -f FS"
        )
    return BlockDevice(f"UUID={uuid}" if uuid else name.spec, known, node)


def named_layers(spec: str) -> tuple[str, ...]:
    """Return the layers that a device's name tells of: "md" or "lvm"."""
    if re.fullmatch(r"/dev/md(/.+|_?d?\d+.*)", spec):
        return ("md",)
    parts = Path(spec).parts[2:] if spec.startswith("/dev/") else ()
    if len(parts) == 2 and (parts[0] == "mapper" or parts[0] not in _NO_GROUPS):
        return ("lvm",)
    return ()


def _read(name: RootName, node: Path) -> tuple[str, str]:
    try:
        with node.open("rb") as file:
            file.read(4096)
    except OSError as error:
        logger.warning(
            "%s: cannot be read (%s): its file system is not checked", node, error.strerror
        )
        return "", ""
    found, uuid = device.read_superblock(node)
    what = found or device.read_signature(node)
    if what == "zfs_member":
        _refuse(f"{name.spec}: ZFS, which the image cannot import")
    if what == "crypto_LUKS":
        _refuse(f"{name.spec}: encrypted (LUKS), which the image cannot unlock")
    if not found:
        holds = f"holds {what}, no file system" if what else "no file system on it"
        raise KdumpInitrdError(f"{name.spec}: {holds}", hint="name the device with the root on it")
    elsewhere = superblock.beyond(node, found)
    if elsewhere:
        _refuse(f"{name.spec}: {found} {elsewhere}, which the image cannot assemble")
    return found, uuid


def _fstab_line(root: Path, mount_point: str) -> list[str] | None:
    """Return the fields (device, mount point, type, …) of fstab's first line for a mount point."""
    for fields in _table(root, "etc/fstab"):
        if len(fields) > 2 and device.unescape_octal(fields[1]) == mount_point:
            return [device.unescape_octal(field) for field in fields]
    return None


def _encrypted_names(root: Path) -> tuple[str, ...]:
    return tuple(fields[0] for fields in _table(root, "etc/crypttab"))


def _table(root: Path, name: str) -> list[list[str]]:
    path = resolve(name, root=root)
    if path is None or not path.is_file():
        return []
    lines = read_text(path).splitlines()
    return [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _refuse(text: str) -> NoReturn:
    raise KdumpInitrdError(text, hint=USE_A_BASE)
