# SPDX-License-Identifier: GPL-2.0-or-later
"""A block device of this machine: one that is named, or the one that holds a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

from ..core.devicename import PARTITION_TAGS, TAGS, is_tag, translate
from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..core.root import Root
from ..saver.imagepaths import MOUNT
from ..saver.params import TargetParams
from . import encryption, filenames, filesystems, refusals
from .blockdevice import (
    BlockDevice,
    check_type,
    identify,
    is_block,
    locate,
    look,
    needs_of,
    on_layers,
)
from .filesystem import Placed, below
from .refusals import DUMP
from .target import Needs, Step, Target

if TYPE_CHECKING:
    from ..config.targetsettings import TargetSettings
    from ..probe.distro.profiles import Distro
    from ..probe.host.hostfacts import HostFacts
    from ..probe.host.mounts import Mount, Planned

logger = get_logger(__name__)

#: udev's links to devices by MAJOR:MINOR.
_NUMBERED = Path("/dev/block")
#: Options of fstab(5) that name another device of the same file system.
_MORE_DEVICES = ("logdev=", "rtdev=", "journal_dev=", "journal_path=", "jdev=", "device=")


@dataclass(frozen=True)
class Block(Target):
    """A block device, and a folder on its file system."""

    device: BlockDevice
    placed: Placed

    schemes: ClassVar[tuple[str, ...]] = ("", "file")
    forms: ClassVar[tuple[str, ...]] = (
        f"a device (a path, {', '.join(f'{tag}=' for tag in TAGS)})",
        "file:///DIR (the device that holds this folder)",
    )

    @classmethod
    def settle(
        cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts
    ) -> TargetSettings:
        """See Target.

        If no device is given, it is the one that holds the folder. On the running root, this is
        what is mounted there, or what fstab will mount there later; in another root (and in one
        without mounts, as in a chroot), it is what fstab says.
        """
        said = _without_url(said)
        path = said.path or folder
        _check_path(path)
        if said.to:
            found = replace(said, fstype=said.fstype or _read(said.to, host))
        else:
            found = _holding(path, said, root, host)
        check_type(found.to, found.fstype or "")
        return found

    @classmethod
    def find(cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts) -> Block:
        """See Target. If the root is not this host's, its device may be missing here."""
        device = identify(said.to, said.fstype or "", host=host)
        device = on_layers(device, said.layers or ())
        if device.node is None and root.is_host:
            logger.warning("%s: not on this host: nothing about it could be checked", device.spec)
        wanted = said.path or folder
        found = filesystems.of(device.fstype).place(device, wanted, said.mount_options, host=host)
        if said.mount_options is None and device.node is not None:
            _warn_if_hidden(wanted, device, host)
        place = os.path.normpath("/" + found.folder.lstrip("/"))
        _check_path(place)
        filenames.check_folder(place, device.fstype)
        return cls(device, replace(found, folder=place))

    @classmethod
    def steps(cls) -> tuple[Step, ...]:
        """See Target: wait for the device, mount it, and leave it."""
        return (
            Step("pre-mount", "50-wait-device"),
            Step("mount", "50-mount"),
            Step("umount", "50-umount"),
        )

    def needs(self, root: Root, host: HostFacts) -> Needs:
        """See Target."""
        nodes = (self.device.node, *self.placed.others)
        looks = [look(DUMP, replace(self.device, node=node), host=host) for node in nodes]
        known = [each for each in looks if each is not None]
        found = below(known) if looks[0] else None
        needs = needs_of(self.device, found)
        if any(tag in self.placed.options for tag in PARTITION_TAGS):
            needs = replace(needs, programs=("findfs",))
        ciphers = encryption.modules(found, host=host) if found else {}
        return replace(
            needs, modules={**needs.modules, **ciphers}, scripts=self.placed.scripts
        )

    def params(self) -> TargetParams:
        """See Target."""
        return TargetParams(
            kind="block",
            device=self.device.spec,
            fstype=self.device.fstype,
            mount_options=self.placed.options,
            mount=MOUNT,
            folder=self.placed.folder,
        )

    def fit(self, profile: Distro) -> Distro:
        """See Target."""
        return filenames.fit(profile, self.device.fstype)


def _without_url(said: TargetSettings) -> TargetSettings:
    """Return the same with file:///FOLDER replaced by the folder, and no device."""
    if not said.to.startswith("file:"):
        return said
    path = unquote(said.to.removeprefix("file:").removeprefix("//"))
    if not path.startswith("/"):
        raise KdumpInitrdError(
            f"{said.to}: not the URL of a folder of this machine",
            hint="write it as file:///var/crash, and leave the path out",
        )
    if said.path not in (None, path):
        raise KdumpInitrdError(
            f"{said.to}: the path {said.path} is a second folder for it",
            hint="give the folder once: leave the path out",
        )
    return replace(said, to="", path=path)


def _holding(path: str, said: TargetSettings, root: Root, host: HostFacts) -> TargetSettings:
    """Return ``said`` with the device that holds the folder ``path``."""
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
    spec = translate(mount.source)
    # A single type, not a list of types to try.
    fstype = said.fstype or (mount.fstype if mount.fstype.isalnum() else "")
    if fstype in ("", "auto"):
        fstype = _read(spec, host)
    # The host's present mounts do not matter: ``path`` is now a folder on the device.
    return replace(
        said,
        to=spec,
        fstype=fstype,
        path=str(planned.folder),
        mount_options=",".join(
            each for each in mount.options if each.startswith(filesystems.of(fstype).kept)
        ),
    )


def _by_mount(said: TargetSettings, path: str, mount: Mount, host: HostFacts) -> TargetSettings:
    _check_mount(path, mount)
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
    if node is None or not (is_block(node) and is_block(here)):
        return
    if node.stat().st_rdev != here.stat().st_rdev:
        raise _refusal(
            path,
            f"{mount.source} is mounted on {mount.target}, but /etc/fstab has {spec} for it",
        )


def _warn_if_hidden(path: str, device: BlockDevice, host: HostFacts) -> None:
    """Warn of a folder whose dumps nobody would see where they are looked for."""
    over = host.hiding(device.node, path) if device.node else None
    if over:
        logger.warning(
            "%s: dumps go to that folder of %s, which cannot be seen here: %s is mounted on %s",
            *(path, device.spec, over.source, over.target),
        )


def _check_path(path: str) -> None:
    """Refuse a name that hooks, which read it as a line, would not find."""
    if not path.isprintable() or path.rstrip() != path:
        what = "ends with a blank" if path.isprintable() else "has unprintable characters"
        raise KdumpInitrdError(
            f"{path!a}: the name of the folder for dumps {what}",
            hint="give it another name, and set it: --path DIR, or path in /etc/kdump-initrd.toml",
        )


def _check_mount(path: str, mount: Mount) -> None:
    """Refuse a file system that the image cannot mount or write to."""
    reason = refusals.planned(DUMP, mount.fstype)
    if reason:
        raise _refusal(path, f"on {reason}")
    if "ro" in mount.options:
        raise _refusal(path, f"on {mount.source}, which is mounted read-only")
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


def _read(spec: str, host: HostFacts) -> str:
    """Return the type of the file system on a device that was given without it."""
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
