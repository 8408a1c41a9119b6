# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot loader of a host, by what its distribution's profile knows of it."""

from __future__ import annotations

from ...bootloaders import ways
from ...bootloaders.loader import Loader
from ...core.root import Root
from ...probe.distro.profiles import Distro
from ...probe.kernel import releases as kernel


def of(root: Root, profile: Distro) -> Loader | None:
    """Return the boot loader, None where none is known, or what tells of it may not be read."""
    layout = profile.kernel
    images = {
        release: kernel.first(layout.image, root=root, release=release)
        for release in kernel.releases(root=root, layout=layout)
    }
    try:
        there = {name: path for name, path in images.items() if path}
        return ways.find(profile.bootloaders, root, there)
    except OSError:
        return None


def places(loader: Loader) -> list[str]:
    """Return where words are of which boot loader entries are made; raises OSError."""
    found = [str(each) for each in loader.found()]
    own = loader.own
    if own is not None and own.exists():
        found.append(str(own))
    return found
