# SPDX-License-Identifier: GPL-2.0-or-later
"""``--print-cmdline IMAGE``: the command line that the capture kernel gets with an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...core import exits
from ...core.errors import KdumpInitrdError
from ..options import Arguments, Parser
from ..verb import Verb, add_option, image_of


@dataclass(frozen=True)
class PrintCmdline(Verb):
    """Print the command line for the capture kernel of ``image``."""

    image: Path

    name = "print-cmdline"
    usage = ("--print-cmdline IMAGE",)
    summary = "print the command line for the capture kernel of an image"

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        add_option(parser, cls, metavar="IMAGE")

    @classmethod
    def read(cls, arguments: Arguments) -> PrintCmdline:
        """See Verb."""
        return cls(image_of(cls, arguments.print_cmdline))

    def run(self) -> int:
        """See Verb."""
        from ...core.root import Root
        from ...image.archive.segments import read_manifest

        manifest = read_manifest(Root().named(self.image))
        if manifest is None:
            raise KdumpInitrdError(
                f"{self.image}: not an image of kdump-initrd",
                hint="mkinitrd-kdump -c DEV -f FS writes one",
            )
        print(manifest.cmdline)
        return exits.DONE
