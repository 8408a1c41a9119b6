# SPDX-License-Identifier: GPL-2.0-or-later
"""Where dumps go if no device is said: the file system that holds the folder for dumps."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from .config.settings import CaptureSettings
from .errors import KdumpInitrdError
from .probe import device, mounts, rootdevice
from .probe.distro import Distro
from .probe.mounts import Mount

_HINT = "say where dumps go: -c DEV -f FS, or device and fstype in /etc/kdump-initrd.toml"
#: udev's links to devices by MAJOR:MINOR.
_NUMBERED = Path("/dev/block")
#: Types that have no device to save to, and why.
_REFUSED = {
    "overlay": "an overlay, which no device of its own holds",
    "aufs": "an overlay, which no device of its own holds",
    "tmpfs": "tmpfs: memory, which a crash does not leave",
    "ramfs": "ramfs: memory, which a crash does not leave",
    "zfs": "ZFS, which the image cannot import",
    **dict.fromkeys(("squashfs", "iso9660", "erofs", "cramfs"), "a file system that is read-only"),
    **dict.fromkeys(
        ("nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "afs"),
        "a file system on the network, which the image cannot reach",
    ),
    **dict.fromkeys(
        ("9p", "virtiofs", "vboxsf", "fuse.vmhgfs-fuse"),
        "a folder of the hypervisor, which the image cannot reach",
    ),
}


def resolve(settings: CaptureSettings, *, root: Path, profile: Distro) -> CaptureSettings:
    """Return ``settings`` with a device and its file system, and what they say else.

    A device that is not said is that which holds the folder for dumps: on the running root the
    one that is mounted there, in another root (and in one without mounts, as in a chroot) the one
    in its fstab. Raises KdumpInitrdError where that cannot be told, or cannot be saved to.
    """
    if settings.device:
        return settings if settings.fstype else replace(settings, fstype=_read(settings.device))
    path = settings.path or profile.dump.path
    mount = mounts.mounted(path) if root == Path("/") else None
    if mount is not None:
        _check(path, mount)
        spec = _node(path, mount)
    else:
        found = mounts.in_fstab(path, root=root)
        if found is None:
            where = "neither findmnt nor /etc/fstab tells" if root == Path("/") else "no fstab says"
            raise _refusal(path, f"{where} which file system that is on")
        mount, folder = found
        _check(path, mount)
        _check_subvolume(path, mount)
        spec = rootdevice.translate(mount.source)
        # Whether it is mounted here, and where, has nothing to do with that root.
        settings = replace(settings, path=str(folder))
    return replace(settings, device=spec, fstype=settings.fstype or mount.fstype)


def _check(path: str, mount: Mount) -> None:
    """Refuse a file system that the image cannot mount or write to."""
    if mount.fstype in _REFUSED:
        raise _refusal(path, f"on {_REFUSED[mount.fstype]}")
    if "ro" in mount.options:
        raise _refusal(path, f"on {mount.source}, which is mounted read-only")
    tag, equals, value = mount.source.partition("=")
    if not mount.source.startswith("/dev/") and not (equals and tag in device.TAGS and value):
        raise _refusal(path, f"on {mount.source} ({mount.fstype}), which is no block device")


def _check_subvolume(path: str, mount: Mount) -> None:
    for option in mount.options:
        if option.startswith(("subvol=", "subvolid=")):
            raise _refusal(
                path, f"on a subvolume ({option}) of a file system that is not mounted here"
            )


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
    node = Path(spec) if spec.startswith("/") else device.node_of(spec)
    found = device.read_superblock(node)[0] if node is not None and node.exists() else ""
    if not found:
        raise KdumpInitrdError(
            f"{spec}: its file system cannot be seen here",
            hint="say it: -f FS, or fstype in /etc/kdump-initrd.toml",
        )
    return found


def _refusal(path: str, why: str) -> KdumpInitrdError:
    return KdumpInitrdError(f"{path}: {why}", hint=_HINT)
