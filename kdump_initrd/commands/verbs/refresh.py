# SPDX-License-Identifier: GPL-2.0-or-later
"""``--refresh``: rebuild the images whose kernels or configuration changed."""

from __future__ import annotations

from dataclasses import dataclass

from ..options import Arguments
from ..verb import MANY, HostVerb, host_of


@dataclass(frozen=True)
class Refresh(HostVerb):
    """Rebuild the configured images whose inputs changed, of ``releases`` or of all kernels."""

    releases: tuple[str, ...] = ()
    force: bool = False
    dry_run: bool = False

    name = "refresh"
    usage = ("--refresh [--force] [--dry-run] [KERNEL_VERSION]...",)
    summary = "rebuild the configured images whose inputs changed, and print why"
    takes = (*HostVerb.takes, "force", "dry_run")
    kernels = MANY
    way_out = "leave it out: --refresh builds what /etc/kdump-initrd.toml says"

    @classmethod
    def read(cls, arguments: Arguments) -> Refresh:
        """See Verb."""
        return cls(
            *(*host_of(arguments), tuple(arguments.words)),
            force=arguments.force,
            dry_run=arguments.dry_run,
        )

    def run(self) -> int:
        """See Verb."""
        from ...upkeep import renewal

        return renewal.run(
            self.root,
            releases=self.releases,
            distro=self.distro,
            force=self.force,
            dry_run=self.dry_run,
        )
