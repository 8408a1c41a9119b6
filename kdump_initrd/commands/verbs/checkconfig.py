# SPDX-License-Identifier: GPL-2.0-or-later
"""``--check-config``: the settings, where each comes from, and the errors in them."""

from __future__ import annotations

from dataclasses import dataclass

from ..verb import HostVerb


@dataclass(frozen=True)
class CheckConfig(HostVerb):
    """Check the configuration, and print what is in effect."""

    name = "check-config"
    usage = ("--check-config",)
    summary = "check the configuration, and print the settings in effect and their sources"

    def run(self) -> int:
        """See Verb."""
        from .. import configuration

        lines, status = configuration.check(self.root, self.distro)
        for line in lines:
            print(line)
        return status
