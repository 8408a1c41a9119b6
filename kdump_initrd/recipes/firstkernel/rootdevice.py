# SPDX-License-Identifier: GPL-2.0-or-later
"""The root device of a system: where it is named, what it is, what prevents booting from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ...core.devicename import is_tag, translate, unescape_octal
from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...probe.host.hostfacts import HostFacts
from ...targets import refusals
from ...targets.blockdevice import BlockDevice, block_node, examine
from ...targets.refusals import ROOT, UNLOCK, USE_A_BASE

_HOST = HostFacts()
#: A root on the network, as dracut and initramfs-tools write it.
_NETWORK_NAME = re.compile(
    r"/dev/nfs|(nfs4?|cifs|smb|nbd|iscsi|fcoe|aoe|live:https?|live:ftp):.*|//.*|[^/=]+:/.*|"
    r"dhcp6?|any6?|on|either6|auto6|link6|single-dhcp"
)
_ZFS_NAME = re.compile(r"zfs(:.*|=.*)?", re.IGNORECASE)
_ENCRYPTED_WORD = re.compile(r"rd\.luks\.(uuid|name)=.*|cryptdevice=.*|cryptopts=.*")


@dataclass(frozen=True)
class RootName:
    """The name of the root's device, wherever it was found; ``fstype`` is "" if unknown."""

    spec: str
    fstype: str


def find_name(named: str | None, *, root: Root, cmdline: Sequence[str]) -> RootName:
    """Return the name of the root device: ``named``, else root= of ``cmdline``, else fstab's.

    ``cmdline`` are the words of the running kernel, none if ``root`` is not its root. Raises
    KdumpInitrdError if none of these names it, and for a root= that only udev understands.
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
            _refuse_by(f"root={spec}: a link of udev, which the image does not have")
        fstype = values.get("rootfstype", "").partition(",")[0]
        return RootName(spec, fstype or (table.fstype if table else ""))
    if table:
        return table
    raise KdumpInitrdError(
        f"{root}: neither a command line nor /etc/fstab tells its root device",
        hint="name it with --root-device DEV",
    )


def words(line: str) -> tuple[str, ...]:
    """Split a kernel's command line as lib/cmdline.c does; double quotes protect blanks."""
    found = (word.replace('"', "") for word in re.findall(r'(?:[^\s"]|"[^"]*"?)+', line))
    taken = []
    for word in found:
        if word == "--":
            break
        taken.append(word)
    return tuple(taken)


def check_name(name: RootName, *, root: Root, cmdline: Sequence[str]) -> None:
    """Refuse a root that the image cannot boot, if its name or the root's own tables show it.

    Raises KdumpInitrdError.
    """
    spec = name.spec
    _check_network(spec, cmdline)
    if _ZFS_NAME.fullmatch(spec):
        _refuse(spec, "zfs")
    reason = refusals.planned(ROOT, name.fstype)
    if reason:
        raise reason.error(f"{spec}: ", ROOT)
    if re.fullmatch(r"/dev/mapper/mpath.*", spec):
        _refuse(spec, "mpath")
    if re.fullmatch(r"/dev/mapper/.*", spec) and Path(spec).name in _encrypted_names(root):
        _refuse_by(f"{spec}: encrypted by /etc/crypttab, {UNLOCK}")
    if not spec.startswith("/dev/") and not is_tag(spec):
        _refuse_by(f"{spec}: not the name of a block device")
    if _fstab_line(root, "/usr") is not None:
        _refuse_by("/usr: a file system of its own in /etc/fstab, which the image does not mount")


def check_words(spec: str, cmdline: Sequence[str]) -> None:
    """Refuse a device that is not here, if the kernel's words show that it is encrypted.

    Raises KdumpInitrdError.
    """
    for word in cmdline:
        if _ENCRYPTED_WORD.fullmatch(word):
            _refuse_by(f"{spec}: encrypted as {word} says, {UNLOCK}")


def locate(spec: str) -> Path | None:
    """Return the block device of that name on this host, or None.

    Raises KdumpInitrdError for a path where something else is.
    """
    return block_node(spec) if spec.startswith("/") else _HOST.node_of(spec)


def identify(name: RootName, node: Path | None, *, fstype: str | None) -> BlockDevice:
    """Return the root's device by its most stable name; ``fstype`` is what the user said.

    Raises KdumpInitrdError if it cannot be mounted, or if its file system is not known.
    """
    found, uuid = examine(name.spec, node, ROOT, host=_HOST) if node else ("", "")
    if name.spec.startswith("/dev/disk/") and not uuid:
        _refuse_by(f"{name.spec}: a link of udev, which the image does not have")
    if fstype and found and found != fstype:
        raise KdumpInitrdError(f"{name.spec}: holds {found}, not {fstype}", hint=f"say -f {found}")
    known = fstype or found or name.fstype
    if not known or known == "auto":
        raise KdumpInitrdError(
            f"{name.spec}: the file system on it cannot be determined", hint="name it with -f FS"
        )
    reason = refusals.file_system(ROOT, known)
    if reason:
        raise reason.error(f"{name.spec}: ", ROOT)
    return BlockDevice(f"UUID={uuid}" if uuid else name.spec, known, node)


def _check_network(spec: str, cmdline: Sequence[str]) -> None:
    words = [word for word in cmdline if word.startswith(("netroot=", "nbdroot=", "nfsroot="))]
    for each in [spec, *words] if _NETWORK_NAME.fullmatch(spec) else words:
        _refuse(f"{each}", "network", verb="a root on ")


def _fstab_line(root: Root, mount_point: str) -> list[str] | None:
    """Return the fields (device, mount point, type, …) of fstab's first line for a mount point."""
    for fields in _table(root, "etc/fstab"):
        if len(fields) > 2 and unescape_octal(fields[1]) == mount_point:
            return [unescape_octal(field) for field in fields]
    return None


def _encrypted_names(root: Root) -> tuple[str, ...]:
    return tuple(fields[0] for fields in _table(root, "etc/crypttab"))


def _table(root: Root, name: str) -> list[list[str]]:
    path = root.file(name)
    lines = root.read_text(path).splitlines() if path is not None else ()
    return [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _refuse(name: str, what: str, *, verb: str = "") -> NoReturn:
    raise refusals.reason(what).error(f"{name}: {verb}", ROOT)


def _refuse_by(text: str) -> NoReturn:
    raise KdumpInitrdError(text, hint=USE_A_BASE)
