# SPDX-License-Identifier: GPL-2.0-or-later
"""``--list IMAGE``: what any initrd holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...core import exits
from ..options import Arguments, Parser
from ..verb import Verb, add_option, image_of


@dataclass(frozen=True)
class ListImage(Verb):
    """Print what ``image`` holds."""

    image: Path

    name = "list"
    usage = ("--list IMAGE",)
    summary = "print the contents of any initrd"

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        add_option(parser, cls, metavar="IMAGE")

    @classmethod
    def read(cls, arguments: Arguments) -> ListImage:
        """See Verb."""
        return cls(image_of(cls, arguments.list))

    def run(self) -> int:
        """See Verb."""
        from ...image.listing import list_image

        for line in list_image(self.image):
            print(line)
        return exits.DONE
