# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel image that a user names: where it is in a root, and the release that it is of."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath, PurePosixPath

from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ..distro.profilekeys import Kernel as Layout
from . import kernelimage

_RELEASE = "{release}"
#: A word in braces, as re.escape() leaves it.
_WORD = re.compile(r"\\\{\w+\\\}")


def understood(word: str, *, root: Root, layout: Layout) -> str:
    """Return the release that ``word`` stands for: itself, or that of the kernel image it names.

    An image is a path of the host, or the name of a file in /boot of ``root``. If it is gone, its
    name tells the release. Raises KdumpInitrdError if nothing tells it.
    """
    if "/" not in word:
        named = root.file(f"boot/{word}") is not None
        return release_of(word, boot="/boot", root=root, layout=layout) if named else word
    if not os.path.lexists(word):
        known = _by_name(PurePath(word), layout)
        if known:
            return known
    return release_of(word, boot="/boot", root=root, layout=layout)


def release_of(name: str, *, boot: str, root: Root, layout: Layout) -> str:
    """Return the release of the kernel image ``name``: by its header, else by its name.

    ``name`` is a path of the host where it has a slash, else a file in the folder ``boot`` of
    ``root``. Raises KdumpInitrdError where there is no such image, or neither tells the release.
    """
    path = _find(name, boot, root)
    release = kernelimage.read(path).release
    # The name may be a link to one that tells more, as "vmlinuz" is; or the other way round.
    release = release or _by_name(path, layout) or _by_name(PurePath(name), layout)
    if not release:
        raise KdumpInitrdError(
            f"{path}: neither its header nor its name tells the kernel release",
            hint="name the file as the distribution does, vmlinuz-RELEASE for example",
        )
    return release


def _find(name: str, boot: str, root: Root) -> Path:
    if "/" in name:
        return root.named(name)
    path = root.file(f"{boot}/{name}")
    if path is None:
        there = [each.name for each in root.entries(boot)]
        raise KdumpInitrdError(
            f"{name}: no such kernel in {root.path / boot.lstrip('/')}",
            hint=f"present: {', '.join(there) or 'nothing'}; or give a path, with a slash in it",
        )
    return path


def _by_name(path: PurePath, layout: Layout) -> str:
    """Return the part of an image's name that stands for {release}, "" for another kind of name."""
    for pattern in layout.image:
        last = PurePosixPath(pattern).name
        shape = re.escape(last if _RELEASE in last else pattern)
        named = re.escape(_RELEASE) in shape
        # Other words in braces match any name of a folder.
        shape = _WORD.sub("[^/]+", shape.replace(re.escape(_RELEASE), "([^/]+)"))
        match = re.search(f"(?:^|/){shape}$", str(path))
        if named and match:
            return match[1]
    return ""
