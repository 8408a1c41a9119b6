# SPDX-License-Identifier: GPL-2.0-or-later
"""``--strip IMAGE``: an initrd without the segment that was appended to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...core import exits
from ..options import Arguments, Parser
from ..verb import Verb, add_option, image_of


@dataclass(frozen=True)
class Strip(Verb):
    """Take the segment of ours off ``image``: in place, or to ``output``."""

    image: Path
    output: str | None = None
    force: bool = False

    name = "strip"
    usage = ("--strip IMAGE [-o OUT]",)
    summary = "remove the appended segment from an initrd, in place unless -o is given"
    takes = ("output", "force")

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        add_option(parser, cls, metavar="IMAGE")

    @classmethod
    def read(cls, arguments: Arguments) -> Strip:
        """See Verb."""
        return cls(image_of(cls, arguments.strip), arguments.output, arguments.force)

    def run(self) -> int:
        """See Verb."""
        from ...recipes.firstkernel.appended import strip

        strip(self.image, self.output, force=self.force)
        return exits.DONE
