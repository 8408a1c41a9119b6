# SPDX-License-Identifier: GPL-2.0-or-later
"""``--strip IMAGE``: an initrd without the segment that was appended to it."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import exits
from ..options import Arguments
from ..verb import ImageVerb, image_of


@dataclass(frozen=True)
class Strip(ImageVerb):
    """Remove our segment from ``image``, in place or into ``output``."""

    output: str | None = None
    force: bool = False

    name = "strip"
    usage = ("--strip IMAGE [-o OUT]",)
    summary = "remove the appended segment from an initrd, in place unless -o is given"
    takes = ("output", "force")

    @classmethod
    def read(cls, arguments: Arguments) -> Strip:
        """See Verb."""
        return cls(image_of(cls, arguments), arguments.output, arguments.force)

    def run(self) -> int:
        """See Verb."""
        from ...recipes.firstkernel.appended import strip

        strip(self.image, self.output, force=self.force)
        return exits.DONE
