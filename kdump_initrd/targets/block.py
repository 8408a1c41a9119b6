# SPDX-License-Identifier: GPL-2.0-or-later
"""A block device of this machine: one that is named, or the one that holds a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

from ..core.devicename import PARTITION_TAGS, TAGS
from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..core.root import Root
from ..saver.imagepaths import MOUNT
from ..saver.params import TargetParams
from . import encryption, filenames, filesystems, holder, share
from .blockdevice import BlockDevice, check_type, identify, look, needs_of, on_layers
from .filesystem import Placed, below
from .refusals import DUMP
from .target import Needs, Step, Target

if TYPE_CHECKING:
    from ..config.targetsettings import TargetSettings
    from ..probe.distro.profiles import Distro
    from ..probe.host.hostfacts import HostFacts

logger = get_logger(__name__)


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
            found = replace(said, fstype=said.fstype or holder.detect(said.to, host))
        else:
            found = holder.of(path, said, root, host)
        if not share.is_one(found.to):
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
        return replace(needs, modules={**needs.modules, **ciphers}, scripts=self.placed.scripts)

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
