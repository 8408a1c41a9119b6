# SPDX-License-Identifier: GPL-2.0-or-later
"""``--remove``: remove what was built for kernels, and only what is ours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from ..core import publish
from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..core.root import Root
from ..probe.distro.profiles import Distro
from ..probe.kernel import releases as kernel
from ..probe.kernel import versions
from ..recipes.firstkernel.appended import strip
from . import places, record, unifiedkernel
from .keep import manifest_of

logger = get_logger(__name__)


def known_releases(*, root: Root, profile: Distro) -> list[str]:
    """Return the releases for which something of ours may exist, installed or not."""
    found = {each.release for each in record.every(root=root).values()}
    found |= {*kernel.releases(root=root, layout=profile.kernel)}
    return versions.oldest_first(found | {*_named(root, profile)}, order=profile.kernel.versions)


def sweep(*, root: Root, profile: Distro) -> None:
    """Remove what killed runs have left where images and records are written."""
    layout = profile.kernel
    names = (layout.capture_image, f"boot/{layout.first_image}", f"{record.FOLDER}/x")
    for folder in {root.place(name).parent for name in names}:
        publish.sweep(folder)


def drop(release: str, *, root: Root, profile: Distro) -> None:
    """Remove the images and records of a release, and our segment from its initrds.

    An image whose manifest does not name the release stays: the name may belong to another kernel
    by now. Raises KdumpInitrdError if something cannot be written.
    """
    layout = profile.kernel
    records = {
        name: each for name, each in record.every(root=root).items() if each.release == release
    }
    paths = {Path(each.output) for each in records.values()}
    paths |= {*places.capture_images(release, root=root, profile=profile)}
    bases = {*places.initrds(release, root=root, profile=profile)}
    paths |= bases
    first_image = layout.first_image.format(release=release)
    # First what frees space, then what may need some.
    for path in sorted(paths, key=lambda path: (path in bases, path)):
        _drop_image(path, release, first_image=first_image)
    unifiedkernel.place(release, root=root).unlink(missing_ok=True)
    for name in records:
        record.forget(name, root=root)


def say_left(releases: Sequence[str], *, root: Root, profile: Distro) -> None:
    """Print which of our images in the folder of images stay, and how to remove them.

    An image that was written by hand may be in use; with ``releases``, only theirs are named.
    """
    for path in root.entries(PurePosixPath(profile.kernel.capture_image).parent):
        manifest = manifest_of(path) if root.file(path) == path else None
        if manifest is None or (releases and manifest.kernel not in releases):
            continue
        # An initrd that the kernel boots with is needed without our segment, too; a copy is not.
        ways = "rm", "removes it"
        if path in places.initrds(manifest.kernel, root=root, profile=profile):
            ways = "mkinitrd-kdump --strip", "restores it"
        logger.warning(
            "%s: stays: it is a %s initrd that --refresh has not written: %s %s %s",
            *(path, manifest.kind, ways[0], shlex.quote(str(path)), ways[1]),
        )


def _drop_image(path: Path, release: str, *, first_image: str) -> None:
    manifest = manifest_of(path) if path.is_file() else None
    if manifest is None or manifest.kernel != release:
        return
    try:
        if manifest.kind == "first-kernel" and path.name != first_image:
            if manifest.base_size:
                strip(path, None, force=True)
            return
        publish.remove(path)
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}") from error
    logger.info("%s: removed", path)


def _named(root: Root, profile: Distro) -> Iterator[str]:
    """Yield the releases in the names of the existing capture initrds."""
    pattern = PurePosixPath(profile.kernel.capture_image)
    before, _, behind = pattern.name.partition("{release}")
    for path in root.entries(pattern.parent, f"{before}*{behind}"):
        match = re.fullmatch(f"{re.escape(before)}(.+){re.escape(behind)}", path.name)
        if match and manifest_of(path) is not None:
            yield match[1]
