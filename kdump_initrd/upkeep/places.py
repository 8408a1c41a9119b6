# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a host's images are: in /boot, or beside their records where /boot is not ours to write.

A file system that is mounted read-only cannot be written, and where a tool replaces /boot as a
whole (ostree), what is written there is lost. No initrd is changed on such a host, and none that
is part of a unified kernel image: the capture kernel is loaded by the service instead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ..core.root import Root
from ..probe.distro.profiles import Distro
from ..probe.kernel import releases as kernel
from ..probe.kernel import unifiedimage
from . import record


def is_ours(*, root: Root, profile: Distro) -> bool:
    """Tell whether images can be kept in /boot."""
    layout = profile.kernel
    if root.first_file(layout.managed) is not None:
        return False
    with suppress(OSError):
        return not os.statvfs(root.place(layout.capture_image).parent).f_flag & os.ST_RDONLY
    return True  # whoever writes there says what is wrong


def capture_image(release: str, *, root: Root, profile: Distro) -> Path:
    """Return where a kernel's capture initrd is kept."""
    usual, other = capture_images(release, root=root, profile=profile)
    return usual if is_ours(root=root, profile=profile) else other


def capture_images(release: str, *, root: Root, profile: Distro) -> tuple[Path, Path]:
    """Return where it is kept in /boot, and where otherwise."""
    usual = profile.kernel.capture_image.format(release=release)
    return root.place(usual), root.place(f"{record.FOLDER}/{PurePosixPath(usual).name}")


def initrds(release: str, *, root: Root, profile: Distro) -> list[Path]:
    """Return a release's own initrds: one, or also copies of it in the place it boots from."""
    names = profile.kernel.initrd
    found = (kernel.first([name], root=root, release=release) for name in names)
    return list(dict.fromkeys(path for path in found if path is not None and path.is_file()))


def kept(images: Sequence[str], release: str, *, root: Root, profile: Distro) -> tuple[str, ...]:
    """Return which of the ``images`` of the settings a host can have for a release."""
    ours = is_ours(root=root, profile=profile)
    if ours and not initrds(release, root=root, profile=profile):
        # One that lacks its initrd for no such reason is an error.
        ours = unifiedimage.find(release, profile.kernel.uki, root=root) is None
    return tuple(image for image in images if ours or image != "first-kernel")
