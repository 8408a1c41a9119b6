# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a host before anything is judged; each thing is looked at once, when asked for.

Everything is read through the root; of the running host itself, findfs and blkid are asked where
udev's files do not tell. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...config import effective
from ...config.capturesettings import capture_settings
from ...config.effective import Effective
from ...config.settings import HOST, CaptureSettings, HostSettings
from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...probe.distro.profiles import Distro
from ...probe.host import disklook, sysfs
from ...probe.host.disklook import Disk
from ...probe.host.sysfs import Hardware
from ...probe.kernel import releases as kernel
from ...probe.kernel.releases import KernelRelease
from ...recipes.found import find_host
from .. import record
from ..loading.loadplan import capture_release, image_of
from ..record import Record
from . import dumpplaces, forecast, readiness, sample
from .dumpplaces import Place
from .forecast import Memory
from .readiness import Running
from .sample import Packing

_MIB = 1 << 20


@dataclass(frozen=True)
class View:
    """A root, and its distribution's profile."""

    root: Root
    profile: Distro

    @cached_property
    def configured(self) -> Effective:
        """The settings in effect."""
        return effective.read(self.root, peer=self.profile.config.peer)

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The kinds of images that the settings want; raises KdumpInitrdError for wrong ones."""
        return HostSettings(**self.configured.settings(HOST)).images

    @cached_property
    def running(self) -> Running | None:
        """The running kernel's state, None if it does not run this root."""
        return readiness.running(self.root)

    @cached_property
    def release(self) -> str:
        """The running kernel's release, "" where none runs this root."""
        return readiness.release(self.root)

    @cached_property
    def saving(self) -> str:
        """The release of the kernel that saves the running kernel's crashes."""
        with suppress(KdumpInitrdError):
            return capture_release(
                self.release, self.configured, root=self.root, profile=self.profile
            )
        return self.release

    @cached_property
    def made(self) -> Record | None:
        """The record of that kernel's capture initrd, None for one that was built by hand."""
        return record.load(f"capture-{self.saving}", root=self.root)

    @cached_property
    def image(self) -> Path | None:
        """That capture initrd."""
        return image_of(self.saving, root=self.root, profile=self.profile)

    @cached_property
    def kernel(self) -> KernelRelease | None:
        """The capture kernel, None where its files are not there."""
        try:
            return kernel.find(self.saving, root=self.root, layout=self.profile.kernel)
        except KdumpInitrdError:
            return None

    @cached_property
    def pair(self) -> tuple[Path, KernelRelease] | None:
        """The capture initrd and its kernel, None where one of them is not there."""
        found = self.kernel
        return (self.image, found) if self.image and found and found.image else None

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where the image saves to."""
        found = dumpplaces.of(self.made, self.profile)
        if found or not self.image:
            return found
        try:
            return dumpplaces.in_image(self.image, self.profile)
        except KdumpInitrdError:
            return ()  # the image's link says why

    @cached_property
    def disks(self) -> Mapping[str, Disk | None]:
        """The device of each place by its spec; None where it is not here, or is no device."""
        return {
            each.spec: disklook.find(each.spec, root=self.root) if each.is_device else None
            for each in self.places
        }

    @cached_property
    def hardware(self) -> Mapping[str, Hardware | None]:
        """What the device of each place sits on, by its spec; None where that is not known."""
        system = Root(self.root.path / "sys")
        return {
            spec: sysfs.hardware_of(disk.node, sysfs=system) if disk else None
            for spec, disk in self.disks.items()
        }

    @cached_property
    def memory(self) -> Memory:
        """How the machine uses its memory; raises OSError where it does not tell."""
        machine = self.running
        reserved = machine.reserved + machine.cma if machine else 0
        found = self.kernel if self.saving == self.release else None
        fills = found is not None and found.builds_in("CONFIG_INIT_ON_FREE_DEFAULT_ON")
        return forecast.count(self.root, reserved=reserved * _MIB, fills=fills)

    @cached_property
    def level(self) -> int:
        """The dump level: the image's, else the one that the next image will have."""
        return self.places[0].level if self.places else self._next.dump_level

    @cached_property
    def packing(self) -> Packing:
        """What the codec makes of memory, by a sample; it is chosen as the level is."""
        if self.places:
            return sample.measure(self.places[0].codecs)
        wanted = self._next
        return sample.measure(
            dumpplaces.codecs(wanted.dump_compress, wanted.dump_format, self.profile)
        )

    @cached_property
    def _next(self) -> CaptureSettings:
        return capture_settings(self.configured.values, {})


def take(top: Path, distro: str | None) -> View:
    """Return the view of the root ``top``; raises KdumpInitrdError if it or its profile is not."""
    seen = View(*find_host(top, distro))
    # Now: later this process has read images, and what is packed is no sample of memory.
    _ = seen.packing
    return seen
