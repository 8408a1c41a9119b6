# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be loaded on a host: which kernel, with which image, and its command line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...config.effective import Effective
from ...config.firstsettings import first_settings
from ...config.settings import HOST, HostSettings
from ...core import files
from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...probe.distro.profiles import Distro
from ...probe.kernel import kernelname, releases
from ...recipes.firstkernel.captureline import line_of
from ...recipes.firstkernel.capturepair import CapturePair, find_pair
from .. import places, record, unifiedkernel
from ..ready import readiness
from .loadedfile import HERE, Loaded

#: Read at once, in bytes.
_CHUNK = 1 << 20


@dataclass(frozen=True)
class LoadPlan:
    """What is to be loaded; ``dropped`` are words that the command line has no room for."""

    release: str
    pair: CapturePair
    cmdline: str
    dropped: tuple[str, ...]


def plan(
    root: Root, profile: Distro, configured: Effective, *, kernel: str | None, force: bool
) -> LoadPlan:
    """Decide it for the capture kernel ``kernel``, else the configured one, else the running one.

    ``force`` takes another tool's image. Raises KdumpInitrdError.
    """
    settings = first_settings(configured.values, {"root": str(root)})
    word = kernel or settings.capture_kernel
    regular = readiness.release(root)
    release = (
        kernelname.understood(kernel, root=root, layout=profile.kernel)
        if kernel
        else capture_release(regular, configured, root=root, profile=profile)
    )
    image = image_of(release, root=root, profile=profile)
    if image is None and not unifiedkernel.is_installed(release, root=root, profile=profile):
        there = ", ".join(releases.releases(root=root, layout=profile.kernel)) or "none"
        raise KdumpInitrdError(f"{release}: no such kernel in {root}", hint=f"present: {there}")
    if image is None:
        raise KdumpInitrdError(
            f"there is no capture initrd for {release}", hint=_way_to_get_it(configured, release)
        )
    name = word if "/" in word else release
    pair = find_pair(name, str(image), root=root, profile=profile, force=force)
    cmdline, dropped = line_of(pair, settings, profile).beside(_running(root))
    return LoadPlan(release, pair, cmdline, tuple(dropped))


def capture_release(regular: str, configured: Effective, *, root: Root, profile: Distro) -> str:
    """Return the release of the kernel that saves the crashes of the kernel ``regular``.

    Raises KdumpInitrdError where nothing tells the release of a configured image.
    """
    word = configured.values.get("capture_kernel")
    if word:
        return kernelname.understood(word, root=root, layout=profile.kernel)
    plain = (regular.removesuffix(end) for end in profile.kernel.debug if regular.endswith(end))
    images = profile.kernel.image
    there = (each for each in plain if releases.first(images, root=root, release=each) is not None)
    return next(there, regular)


def image_of(release: str, *, root: Root, profile: Distro) -> Path | None:
    """Return a kernel's capture initrd: where --refresh has written it, else where it would."""
    made = record.load(f"capture-{release}", root=root)
    there = places.capture_images(release, root=root, profile=profile)
    return root.first_file([*([Path(made.output)] if made else []), *there])


@contextmanager
def opened(found: LoadPlan) -> Iterator[tuple[int, int]]:
    """Yield descriptors of kernel and image: what is hashed is what is loaded."""
    with files.open_file(found.pair.kernel) as kernel, files.open_file(found.pair.initrd) as image:
        yield kernel.fileno(), image.fileno()


def loaded_of(found: LoadPlan, kernel: int, image: int, segment: bytes) -> Loaded:
    """Return what will be said of it when it is loaded, from those descriptors."""
    return Loaded(
        by=HERE,
        kernel=_digest(kernel),
        image=_digest(image),
        segment=hashlib.sha256(segment).hexdigest() if segment else "",
        cmdline=found.cmdline,
    )


def _digest(descriptor: int) -> str:
    digest = hashlib.sha256()
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()


def _running(root: Root) -> str:
    return os.fsdecode(root.read("proc/cmdline"))


def _way_to_get_it(configured: Effective, release: str) -> str:
    images = HostSettings(**configured.settings(HOST)).images
    if "capture" in images:
        return f"mkinitrd-kdump --refresh {release}"
    return f"mkinitrd-kdump -c DEV -f FS {release}"
