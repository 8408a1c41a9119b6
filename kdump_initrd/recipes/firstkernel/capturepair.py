# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture kernel and the capture initrd, found and checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...image import reservation
from ...image.archive.segments import read_manifest
from ...image.manifest import Manifest
from ...probe.distro.profiles import Distro
from ...probe.host import xen
from ...probe.kernel import kernelimage, releases
from ...probe.kernel.kernelimage import KernelImage
from ...probe.kernel.releases import KernelRelease
from ..parts.kernelterms import terms_of
from .objections import Limits

#: An image has been seen to work this far below reservation.least(), in MiB.
_LUCK = 8


@dataclass(frozen=True)
class CapturePair:
    """The capture kernel and the capture initrd.

    ``config`` is the kernel's configuration, empty if it is not known. ``manifest`` is None for
    another tool's initrd.
    """

    kernel: Path
    image: KernelImage
    config: Mapping[str, str]
    initrd: Path
    manifest: Manifest | None

    def check_machine(self, machine: str) -> None:
        """Refuse a kernel or initrd that a kexec of an architecture cannot load or start."""
        found = {f"{self.kernel}": self.image.machine}
        if self.manifest is not None and self.manifest.machine:
            found[f"{self.initrd}"] = self.manifest.machine
        for path, theirs in found.items():
            if theirs != machine:
                raise KdumpInitrdError(
                    f"{path}: for {theirs}, but the root is {machine}",
                    hint="use a capture kernel and a capture initrd of this root's architecture",
                )

    def limits(self, *, more: int = 0) -> Limits:
        """Return what they take of the reservation; ``more`` are bytes that go with the initrd."""
        weight = reservation.weigh(self.initrd, more=more)
        terms = terms_of(self.image.machine, self.image, self.config)
        least = reservation.least(weight, terms)
        wanted = reservation.crashkernel(weight, terms)
        return Limits(max(1, least - _LUCK), least, wanted)


def find_pair(kernel: str, initrd: str, *, root: Root, profile: Distro, force: bool) -> CapturePair:
    """Find both, and check that they fit together, and this host if they are for it.

    ``kernel`` is a path or a release; ``force`` takes another tool's initrd. Raises
    KdumpInitrdError.
    """
    if root.is_host:
        xen.check()
    path = _capture_kernel(kernel, root, profile)
    image = kernelimage.read(path)
    kernelimage.check_loadable(path, image)
    config = _options(path, image.release, root, profile)
    found = root.file(root.named(initrd))
    if found is None:
        raise KdumpInitrdError(
            f"-i {initrd}: no such file", hint="mkinitrd-kdump -c DEV -f FS writes one"
        )
    manifest = read_manifest(found)
    if manifest is not None and manifest.kind != "capture":
        raise KdumpInitrdError(
            f"{found}: a first kernel's initrd, which does not save a dump",
            hint="name what mkinitrd-kdump -c has written",
        )
    if manifest is None and not force:
        raise KdumpInitrdError(
            f"{found}: not a capture initrd of kdump-initrd",
            hint="mkinitrd-kdump -c DEV -f FS writes one; --force accepts this one",
        )
    if manifest and image.release and manifest.kernel != image.release and not force:
        raise KdumpInitrdError(
            f"{found}: for kernel {manifest.kernel}, but {path} is {image.release}",
            hint=f"mkinitrd-kdump -c DEV -f FS {image.release} writes one for it",
        )
    return CapturePair(path, image, config, found, manifest)


def _capture_kernel(wanted: str, root: Root, profile: Distro) -> Path:
    if "/" in wanted:
        return root.named(wanted)
    found = releases.first(profile.kernel.image, root=root, release=wanted)
    if found is None:
        there = ", ".join(releases.releases(root=root, layout=profile.kernel)) or "none"
        raise KdumpInitrdError(
            f"-v {wanted}: no such kernel in {root}", hint=f"give a path, or one of: {there}"
        )
    return found


def _options(path: Path, release: str, root: Root, profile: Distro) -> Mapping[str, str]:
    """Return the capture kernel's configuration; refuse one that says no."""
    if not release:
        return {}
    config = releases.options_of(release, root=root, layout=profile.kernel, image=path)
    if config:
        releases.check_capture_options(KernelRelease(release, path, None, config))
    return config
