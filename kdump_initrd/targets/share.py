# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder that the hypervisor shares with this virtual machine, by virtiofs or 9p."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import KdumpInitrdError
from ..saver.imagepaths import MOUNT
from ..saver.params import TargetParams
from .target import Needs, Step, Target

if TYPE_CHECKING:
    from ..config.targetsettings import TargetSettings
    from ..core.root import Root
    from ..probe.host.hostfacts import HostFacts
    from ..probe.host.mounts import Mount

#: Mount options of each type, besides rw (Documentation/filesystems/9p.rst of Linux): the transport
#: of virtual machines, its Linux dialect, and larger messages than the 8 kB of old kernels.
_OPTIONS: Mapping[str, str] = {
    "9p": "trans=virtio,version=9p2000.L,msize=262144",
    "virtiofs": "",
}
#: What else the kernel needs to find the tag.
_TRANSPORTS: Mapping[str, tuple[str, ...]] = {"9p": ("9pnet_virtio",), "virtiofs": ()}
#: Drivers of the buses that virtio devices are on; a machine has one of them.
_BUSES = ("virtio_pci", "virtio_mmio", "virtio_ccw")


@dataclass(frozen=True)
class Share(Target):
    """A folder of the hypervisor, by the tag that it is known by, and a folder in it."""

    fstype: str
    tag: str
    folder: str

    schemes = tuple(_OPTIONS)
    forms = ("virtiofs:TAG", "9p:TAG (a folder of the hypervisor)")

    @classmethod
    def settle(
        cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts
    ) -> TargetSettings:
        """See Target."""
        fstype, tag = _parse(said.to)
        if said.fstype not in (None, fstype):
            raise KdumpInitrdError(
                f"{said.to}: cannot be mounted as {said.fstype}", hint="leave -f out"
            )
        if said.layers:
            raise KdumpInitrdError(f"{said.to}: not on layers of disks", hint="leave --layer out")
        _check(said.to, tag)
        return replace(said, fstype=fstype)

    @classmethod
    def find(cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts) -> Share:
        """See Target. Whether there is such a tag is known only to the machine of the dump."""
        fstype, tag = _parse(said.to)
        place = said.path or folder
        if said.mount_options is None:
            place, _ = host.folder_on(Path(tag), fstype, place)
        return cls(fstype, tag, os.path.normpath("/" + place.lstrip("/")))

    @classmethod
    def steps(cls) -> tuple[Step, ...]:
        """See Target: nothing has to be waited for once the drivers are loaded."""
        return (
            Step("pre-mount", "50-take-share"),
            Step("mount", "50-mount"),
            Step("umount", "50-umount"),
        )

    def needs(self, root: Root, host: HostFacts) -> Needs:
        """See Target."""
        transports = _TRANSPORTS[self.fstype]
        return Needs(
            name=f"{self.fstype}:{self.tag}",
            filesystem=self.fstype,
            drivers=_BUSES,
            modules={f"{self.fstype} of a virtual machine": transports} if transports else {},
        )

    def params(self) -> TargetParams:
        """See Target."""
        return TargetParams(
            kind="share",
            device=f"{self.fstype}:{self.tag}",
            fstype=self.fstype,
            mount_options=_OPTIONS[self.fstype],
            mount=MOUNT,
            folder=self.folder,
        )


def named(mount: Mount) -> str:
    """Return how a mounted folder of the hypervisor is written as a target; "" for other mounts."""
    return f"{mount.fstype}:{mount.source}" if mount.fstype in _OPTIONS else ""


def is_one(to: str) -> bool:
    """Tell whether a target is written as one of these."""
    return _parse(to)[0] in _OPTIONS and ":" in to


def _parse(to: str) -> tuple[str, str]:
    fstype, _, tag = to.partition(":")
    return fstype, tag


def _check(to: str, tag: str) -> None:
    """Refuse a tag that hooks, which read it as a line, could not hand to mount."""
    if not tag or not tag.isprintable() or " " in tag or tag.startswith("-"):
        raise KdumpInitrdError(
            f"{to!a}: not the tag of a folder of the hypervisor",
            hint="write it as virtiofs:TAG or 9p:TAG; the hypervisor's configuration has the tag",
        )
