# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd unload``: no capture kernel is loaded any more."""

from __future__ import annotations

from dataclasses import dataclass

from ..options import Arguments, Parser
from ..verb import HostVerb
from .load import add_switches, say


@dataclass(frozen=True)
class Unload(HostVerb):
    """Unload the capture kernel that kdump-initrd has loaded."""

    json: bool = False
    force: bool = False

    name = "unload"
    usage = ("[--force] [--json]",)
    summary = "unload the capture kernel"

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        add_switches(parser, "unload what another tool has loaded, too")

    @classmethod
    def read(cls, arguments: Arguments) -> Unload:
        """See Verb."""
        return cls(json=arguments.json, force=arguments.force)

    def run(self) -> int:
        """See Verb."""
        from ...upkeep.loading import loadwork

        found = loadwork.unload(top=self.root, distro=self.distro, force=self.force)
        return say(found, self.name, as_json=self.json)
