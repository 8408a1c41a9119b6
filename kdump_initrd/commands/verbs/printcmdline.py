# SPDX-License-Identifier: GPL-2.0-or-later
"""``--print-cmdline IMAGE``: the command line that the capture kernel gets with an image."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import exits
from ...core.errors import KdumpInitrdError
from ..verb import ImageVerb


@dataclass(frozen=True)
class PrintCmdline(ImageVerb):
    """Print the command line for the capture kernel of ``image``."""

    name = "print-cmdline"
    usage = ("--print-cmdline IMAGE",)
    summary = "print the command line for the capture kernel of an image"

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
