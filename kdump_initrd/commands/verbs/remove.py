# SPDX-License-Identifier: GPL-2.0-or-later
"""``--remove``: remove what was built for some kernels, or everything that was built."""

from __future__ import annotations

from dataclasses import dataclass

from ..options import Arguments
from ..verb import MANY, HostVerb, host_of


@dataclass(frozen=True)
class Remove(HostVerb):
    """Remove what was built for ``releases``, or everything of ours."""

    releases: tuple[str, ...] = ()

    name = "remove"
    usage = ("--remove [KERNEL_VERSION]...",)
    summary = "remove what was built for these kernels, or everything that was built"
    kernels = MANY

    @classmethod
    def read(cls, arguments: Arguments) -> Remove:
        """See Verb."""
        return cls(*host_of(arguments), tuple(arguments.words))

    def run(self) -> int:
        """See Verb."""
        from ...upkeep import renewal

        return renewal.remove(self.root, releases=self.releases, distro=self.distro)
