# SPDX-License-Identifier: GPL-2.0-or-later
"""Where dumps go: the device that is said, or else the file system that holds their folder."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

from ..config.settings import CaptureSettings
from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..probe.distro.profiles import Distro
from ..probe.host import device, filesystem, mounts, rootdevice, sysfs
from ..probe.host.mounts import Mount, Planned
from .found import Target
from .parts import filenames, hardware

logger = get_logger(__name__)

_HINT = "say where dumps go: -c DEV -f FS, or device and fstype in /etc/kdump-initrd.toml"
#: udev's links to devices by MAJOR:MINOR.
_NUMBERED = Path("/dev/block")
#: Options of fstab(5) that name another device of the same file system.
_MORE_DEVICES = ("logdev=", "rtdev=", "journal_dev=", "journal_path=", "jdev=", "device=")
_SUBVOLUME = ("subvol=", "subvolid=")


def resolve(settings: CaptureSettings, *, root: Path, profile: Distro) -> CaptureSettings:
    """Return ``settings`` with a device and its file system, and what they say else.

    A device that is not said is that which holds the folder for dumps: on the running root the
    one that is mounted there, or that its fstab mounts there later; in another root (and in one
    without mounts, as in a chroot) the one in its fstab. Raises KdumpInitrdError where that
    cannot be told, or cannot be saved to.
    """
    path = settings.path or profile.dump.path
    _check_path(path)
    if settings.device:
        return settings if settings.fstype else replace(settings, fstype=_read(settings.device))
    mount = mounts.mounted(path) if root == Path("/") else None
    planned = mounts.in_fstab(path, root=root)
    if planned is not None and (mount is None or _comes_later(path, planned, mount)):
        if mount is not None:
            _check_presence(path, planned, mount)
        return _by_fstab(settings, path, planned)
    if mount is None:
        where = "neither findmnt nor /etc/fstab tells" if root == Path("/") else "no fstab says"
        raise _refusal(path, f"{where} which file system that is on")
    if planned is not None:
        _compare(path, planned, mount)
    _check(path, mount)
    spec = _node(path, mount)
    found = sysfs.hardware_of(Path(spec))
    why = hardware.beyond(hardware.DUMP, found) if found else ""
    if found and why:
        name = found.name or spec
        raise KdumpInitrdError(
            f"{path}: {mount.target} is on {name}, and that {why}", hint=hardware.PLAIN_DISK
        )
    return replace(settings, device=spec, fstype=settings.fstype or mount.fstype)


def locate(settings: CaptureSettings, *, path: str, root: Path) -> Target:
    """Return the device of ``settings``, and what the folder ``path`` is on its file system.

    A device of another ``root`` than this host's need not be here. Raises KdumpInitrdError as
    device.identify() does, and for a folder that no hook could name.
    """
    found = device.identify(settings.device, settings.fstype or "")
    if found.node is None and root == Path("/"):
        logger.warning("%s: not on this host: nothing about it could be checked", found.spec)
    folder, options = path, settings.mount_options or ""
    if settings.mount_options is None and found.node is not None:
        folder, options = mounts.folder_on(found.node, found.fstype, path)
    folder = os.path.normpath("/" + folder.lstrip("/"))
    _check_path(folder)
    filenames.check_folder(folder, found.fstype)
    if found.fstype == "vfat" and not folder.isascii():
        options = "utf8=1"  # whatever the capture kernel takes names for otherwise
    return Target(found, folder, options)


def _comes_later(path: str, planned: Planned, mount: Mount) -> bool:
    """Tell whether the fstab's file system is not mounted now: another, further up, is there."""
    if mount.target not in planned.target.parents:
        return False
    logger.info(
        "%s: %s is not mounted now: /etc/fstab has %s for it", path, planned.target,
        planned.mount.source,
    )  # fmt: skip
    return True


def _check_presence(path: str, planned: Planned, mount: Mount) -> None:
    spec = rootdevice.translate(planned.mount.source)
    if spec.startswith("/") and not Path(spec).exists():
        raise _refusal(
            path,
            f"/etc/fstab has {spec} for {planned.target}, which is not here, and what is mounted "
            f"is {mount.source} on {mount.target}",
        )


def _by_fstab(settings: CaptureSettings, path: str, planned: Planned) -> CaptureSettings:
    mount = planned.mount
    _check(path, mount)
    spec = rootdevice.translate(mount.source)
    # One type, and not a list of those to be tried.
    fstype = settings.fstype or (mount.fstype if mount.fstype.isalnum() else "")
    if fstype in ("", "auto"):
        fstype = _read(spec)
    # Whether it is mounted here, and where, has nothing to do with what is planned.
    return replace(
        settings,
        device=spec,
        fstype=fstype,
        path=str(planned.folder),
        mount_options=",".join(each for each in mount.options if each.startswith(_SUBVOLUME)),
    )


def _compare(path: str, planned: Planned, mount: Mount) -> None:
    """Refuse a folder whose mounted file system is not that of its own line in fstab.

    The root's line decides nothing: the kernel's command line does.
    """
    if planned.target != mount.target or str(planned.target) == "/":
        return
    spec = rootdevice.translate(planned.mount.source)
    node = Path(spec) if spec.startswith("/") else device.node_of(spec)
    here = Path(mount.source)
    if node is None or not (_is_device(node) and _is_device(here)):
        return
    if node.stat().st_rdev != here.stat().st_rdev:
        raise _refusal(
            path,
            f"{mount.source} is mounted on {mount.target}, but /etc/fstab has {spec} for it",
        )


def _check_path(path: str) -> None:
    """Refuse a folder that hooks, which read a line, would not find."""
    if not path.isprintable() or path.rstrip() != path:
        what = "ends with a blank" if path.isprintable() else "has characters that no line shows"
        raise KdumpInitrdError(
            f"{path!a}: the name of the folder for dumps {what}",
            hint="give it another name, and say it: --path DIR, or path in /etc/kdump-initrd.toml",
        )


def _check(path: str, mount: Mount) -> None:
    """Refuse a file system that the image cannot mount or write to."""
    why = filesystem.refusal(mount.fstype)
    if why:
        raise _refusal(path, f"on {why}")
    if "ro" in mount.options:
        raise _refusal(path, f"on {mount.source}, which is mounted read-only")
    tag, equals, value = mount.source.partition("=")
    if not mount.source.startswith("/dev/") and not (equals and tag in device.TAGS and value):
        raise _refusal(path, f"on {mount.source} ({mount.fstype}), which is no block device")
    for option in mount.options:
        if option.startswith(_MORE_DEVICES):
            raise _refusal(path, f"on {mount.source} and {option}, which the image cannot assemble")


def _node(path: str, mount: Mount) -> str:
    """Return the device of something mounted, by a name that is there."""
    if _is_device(Path(mount.source)):
        return mount.source
    # A kernel without an initrd calls its root's device /dev/root, and the number is right.
    numbered = _NUMBERED / mount.number
    if mount.number and _is_device(numbered):
        return str(numbered.resolve())
    raise _refusal(path, f"on {mount.source}, which is no block device here")


def _is_device(node: Path) -> bool:
    return node.exists() and stat.S_ISBLK(node.stat().st_mode)


def _read(spec: str) -> str:
    """Return the type of the file system on a device that is said without it."""
    node = device.locate(spec)
    found = device.read_superblock(node)[0] if node is not None else ""
    if node is not None and not found:
        # Who may not read a device may still see what is mounted.
        found = mounts.type_on(node)
    if not found:
        raise KdumpInitrdError(
            f"{spec}: its file system cannot be seen here",
            hint="say it: -f FS, or fstype in /etc/kdump-initrd.toml",
        )
    return found


def _refusal(path: str, why: str) -> KdumpInitrdError:
    return KdumpInitrdError(f"{path}: {why}", hint=_HINT)
