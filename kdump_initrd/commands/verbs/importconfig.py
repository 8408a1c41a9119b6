# SPDX-License-Identifier: GPL-2.0-or-later
"""``--import-config``: our configuration file, from that of the distribution's own tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...core import exits
from ..options import Arguments
from ..verb import HostVerb, host_of


@dataclass(frozen=True)
class ImportConfig(HostVerb):
    """Write our configuration file from the distribution's own: to ``output`` ("-": stdout)."""

    output: Path | None = None
    force: bool = False

    name = "import-config"
    usage = ("--import-config [-o FILE]",)
    summary = "write /etc/kdump-initrd.toml from the distribution's own configuration"
    takes = (*HostVerb.takes, "output", "force")

    @classmethod
    def read(cls, arguments: Arguments) -> ImportConfig:
        """See Verb."""
        output = Path(arguments.output) if arguments.output is not None else None
        return cls(*host_of(arguments), output, arguments.force)

    def run(self) -> int:
        """See Verb."""
        from .. import configuration

        lines = configuration.import_config(self.root, self.distro, self.output, force=self.force)
        for line in lines:
            print(line)
        return exits.DONE
