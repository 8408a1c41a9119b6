# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel that a host has only inside of a unified kernel image, as a file that kexec loads."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..core.publish import new_file
from ..core.root import Root
from ..probe.distro.profiles import Distro
from ..probe.kernel import releases as kernel
from ..probe.kernel import unifiedimage
from . import record

logger = get_logger(__name__)


def place(release: str, *, root: Root) -> Path:
    """Return where it is kept; a profile's ``image`` names the same file, behind all others."""
    return root.place(f"{record.FOLDER}/vmlinuz-{release}")


def is_installed(release: str, *, root: Root, profile: Distro) -> bool:
    """Tell whether a host has a kernel's image, whatever we have taken out of one before."""
    found = kernel.first(profile.kernel.image, root=root, release=release)
    if found is not None and found != place(release, root=root):
        return True
    return unifiedimage.find(release, profile.kernel.uki, root=root) is not None


def take_out(release: str, *, root: Root, profile: Distro, dry_run: bool) -> bool:
    """Keep the file as the kernel in the image is; return whether it had to be written.

    Where the host has the kernel as a file of its own, there is nothing to do. Raises
    KdumpInitrdError.
    """
    out = place(release, root=root)
    found = kernel.first(profile.kernel.image, root=root, release=release)
    if found is not None and found != out:
        return False
    image = unifiedimage.find(release, profile.kernel.uki, root=root)
    if image is None:
        return False
    try:
        data = image.kernel()
        if found == out and root.read(out) == data:
            return False
    except OSError as error:
        raise KdumpInitrdError(f"{image.path}: {error.strerror or error}") from error
    if dry_run:
        logger.info("%s: would be taken out of %s", out, image.path)
        return True
    with new_file(out, force=True) as new:
        new.write(data)
    logger.info("%s: taken out of %s", out, image.path)
    return True
