# SPDX-License-Identifier: GPL-2.0-or-later
"""Which file system holds a folder: what is mounted now, or what fstab(5) mounts later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.devicename import is_tag, translate
from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..core.root import Root
from . import btrfs, filesystems, refusals, share
from .blockdevice import is_block, locate
from .refusals import DUMP

if TYPE_CHECKING:
    from ..config.targetsettings import TargetSettings
    from ..probe.host.hostfacts import HostFacts
    from ..probe.host.mounts import Mount, Planned

logger = get_logger(__name__)

#: udev's links to devices by MAJOR:MINOR.
_NUMBERED = Path("/dev/block")
#: Options of fstab(5) that name another device of the same file system.
_MORE_DEVICES = ("logdev=", "rtdev=", "journal_dev=", "journal_path=", "jdev=", "device=")


def of(path: str, said: TargetSettings, root: Root, host: HostFacts) -> TargetSettings:
    """Return ``said`` with what holds the folder ``path``: a device, or a folder of the hypervisor.

    Raises KdumpInitrdError if that is not known, or if no dump can be saved to it.
    """
    mount = host.mounted(path) if root.is_host else None
    planned = host.in_fstab(path, root=root)
    if planned is not None and (mount is None or _comes_later(path, planned, mount)):
        if mount is not None:
            _check_presence(path, planned, mount)
        return _by_fstab(said, path, planned, host)
    if mount is None:
        where = "neither findmnt nor /etc/fstab tells" if root.is_host else "no fstab says"
        raise _refusal(path, f"{where} which file system it is on")
    if planned is not None:
        _compare(path, planned, mount, host)
    return _by_mount(said, path, mount, host)


def _comes_later(path: str, planned: Planned, mount: Mount) -> bool:
    """Tell whether fstab's file system is not mounted now, but one further up is."""
    if mount.target not in planned.target.parents:
        return False
    logger.info(
        "%s: %s is not mounted now: /etc/fstab has %s for it", path, planned.target,
        planned.mount.source,
    )  # fmt: skip
    return True


def _check_presence(path: str, planned: Planned, mount: Mount) -> None:
    spec = translate(planned.mount.source)
    if spec.startswith("/") and not Path(spec).exists():
        raise _refusal(
            path,
            f"/etc/fstab has {spec} for {planned.target}, which is not here, and what is mounted "
            f"is {mount.source} on {mount.target}",
        )


def _by_fstab(said: TargetSettings, path: str, planned: Planned, host: HostFacts) -> TargetSettings:
    mount = planned.mount
    _check_mount(path, mount)
    place = str(planned.folder)
    if share.named(mount):
        return replace(
            said, to=share.named(mount), fstype=mount.fstype, path=place, mount_options=""
        )
    spec = translate(mount.source)
    # A single type, not a list of types to try.
    fstype = said.fstype or (mount.fstype if mount.fstype.isalnum() else "")
    if fstype in ("", "auto"):
        fstype = detect(spec, host)
    # The host's present mounts do not matter: ``path`` is now a folder on the device.
    return replace(
        said,
        to=spec,
        fstype=fstype,
        path=place,
        mount_options=",".join(
            each for each in mount.options if each.startswith(filesystems.of(fstype).kept)
        ),
    )


def _by_mount(said: TargetSettings, path: str, mount: Mount, host: HostFacts) -> TargetSettings:
    _check_mount(path, mount)
    if share.named(mount):
        return replace(said, to=share.named(mount), fstype=mount.fstype)
    spec = _node(path, mount)
    found = host.hardware(Path(spec))
    reason = refusals.layers(DUMP, found) if found else None
    if found and reason:
        where = f"{path}: {mount.target} is on {found.name or spec}, and that "
        raise reason.error(where, DUMP)
    return replace(said, to=spec, fstype=said.fstype or mount.fstype)


def _compare(path: str, planned: Planned, mount: Mount, host: HostFacts) -> None:
    """Refuse a folder if the file system mounted there is not the one that fstab names.

    fstab's line for the root does not count: the kernel's command line decides what is mounted.
    """
    if planned.target != mount.target or str(planned.target) == "/":
        return
    spec = translate(planned.mount.source)
    node = Path(spec) if spec.startswith("/") else host.node_of(spec)
    here = Path(mount.source)
    if node and mount.fstype == "btrfs" and here in btrfs.devices(host.superblock(node)[1], host):
        return  # one of several
    if node is None or not (is_block(node) and is_block(here)):
        return
    if node.stat().st_rdev != here.stat().st_rdev:
        raise _refusal(
            path,
            f"{mount.source} is mounted on {mount.target}, but /etc/fstab has {spec} for it",
        )


def _check_mount(path: str, mount: Mount) -> None:
    """Refuse a file system that the image cannot mount or write to."""
    reason = None if share.named(mount) else refusals.planned(DUMP, mount.fstype)
    if reason:
        raise _refusal(path, f"on {reason}")
    if "ro" in mount.options:
        raise _refusal(path, f"on {mount.source}, which is mounted read-only")
    if share.named(mount):
        return
    if not mount.source.startswith("/dev/") and not is_tag(mount.source):
        raise _refusal(path, f"on {mount.source} ({mount.fstype}), which is not a block device")
    known = filesystems.of(mount.fstype)
    for option in mount.options:
        if option.startswith(_MORE_DEVICES) and not option.startswith((*known.kept, *known.spared)):
            raise _refusal(path, f"on {mount.source} and {option}, which the image cannot assemble")


def _node(path: str, mount: Mount) -> str:
    """Return the device of a mount, by a name that exists."""
    if is_block(Path(mount.source)):
        return mount.source
    # A kernel without an initrd calls its root's device /dev/root; its number is correct.
    numbered = _NUMBERED / mount.number
    if mount.number and is_block(numbered):
        return str(numbered.resolve())
    raise _refusal(path, f"on {mount.source}, which is not a block device here")


def detect(spec: str, host: HostFacts) -> str:
    """Return the type of the file system on a device that was given without it.

    Raises KdumpInitrdError if that cannot be found out.
    """
    node = locate(spec, host=host)
    found = host.superblock(node)[0] if node is not None else ""
    if node is not None and not found:
        # A user who may not read the device can still see how it is mounted.
        found = host.type_on(node)
    if not found:
        raise KdumpInitrdError(
            f"{spec}: its file system cannot be detected here",
            hint="name it: -f FS, or fstype in /etc/kdump-initrd.toml",
        )
    return found


def _refusal(path: str, why: str) -> KdumpInitrdError:
    return KdumpInitrdError(f"{path}: {why}", hint=refusals.SAY_WHERE)
