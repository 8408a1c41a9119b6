# SPDX-License-Identifier: GPL-2.0-or-later
"""``--list IMAGE``: what is in an initrd, ours or not."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import exits
from ..verb import ImageVerb


@dataclass(frozen=True)
class ListImage(ImageVerb):
    """Print what is in ``image``."""

    name = "list"
    usage = ("--list IMAGE",)
    summary = "print the contents of any initrd"

    def run(self) -> int:
        """See Verb."""
        from ...image.listing import list_image

        for line in list_image(self.image):
            print(line)
        return exits.DONE
