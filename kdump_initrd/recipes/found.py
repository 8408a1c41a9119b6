# SPDX-License-Identifier: GPL-2.0-or-later
"""What a recipe has found out before it decides anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config.settings import CommonSettings
from ..core.errors import KdumpInitrdError, UsageError
from ..core.resources import search_path
from ..core.root import Root
from ..probe.distro import profiles as distro
from ..probe.distro.profiles import Distro
from ..probe.host.thinpool import pools_below
from ..probe.kernel.releases import KernelRelease
from ..targets.target import Needs, Target
from .parts.layers import Layer


@dataclass(frozen=True)
class Site:
    """What was found: the root, its distribution, the capture kernel, the targets.

    ``needs`` are those of each target. ``watchdogs`` are the drivers of this host's running
    hardware watchdogs; ``makedumpfile`` is the root's, if it is to write the dump. For
    ``layers`` the image brings the tools.
    """

    root: Root
    profile: Distro
    kernel: KernelRelease
    targets: tuple[Target, ...]
    needs: tuple[Needs, ...]
    watchdogs: tuple[str, ...]
    makedumpfile: Path | None = None
    layers: tuple[Layer, ...] = ()

    @property
    def pools(self) -> tuple[str, ...]:
        """The thin pools that targets lie on, as /dev/mapper/NAME."""
        found = (pools_below(each.hardware) for each in self.needs if each.hardware)
        return tuple(dict.fromkeys(pool for pools in found for pool in pools))


def find_host(top: Path, distro: str | None) -> tuple[Root, Distro]:
    """Return a system's root and profile, to look at it or to change it; raises as find_root()."""
    return find_root(CommonSettings(root=str(top), distro=distro, dry_run=True), target=None)


def find_root(settings: CommonSettings, *, target: str | None) -> tuple[Root, Distro]:
    """Return the root that the image is built from, and the profile of its distribution.

    ``target`` is the file that the user has named as the output, or as the file beside which to
    write.

    Raises KdumpInitrdError if the root or the profile does not exist, UsageError if the image would
    be written into another root.
    """
    root = Root(Root().named(settings.root))
    if not root.path.is_dir():
        raise KdumpInitrdError(f"--root {root}: no such directory", hint="mount that root first")
    if not root.is_host and not target and not settings.dry_run:
        raise UsageError("--root requires -o: nothing is written into that root", hint="-o FILE")
    profiles = search_path("distros", root=root)
    if settings.distro:
        return root, distro.load(settings.distro, search_path=profiles, root=root)
    return root, distro.detect(root, search_path=profiles)
