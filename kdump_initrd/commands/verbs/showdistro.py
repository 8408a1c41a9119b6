# SPDX-License-Identifier: GPL-2.0-or-later
"""``--show-distro``: the effective profile of a distribution, and where each value is from."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import exits
from ...core.errors import UsageError
from ..options import Arguments, Parser
from ..verb import HostVerb, add_option, host_of


@dataclass(frozen=True)
class ShowDistro(HostVerb):
    """Print the profile ``distro``, or that of the root."""

    name = "show-distro"
    usage = ("--show-distro [ID]",)
    summary = "print a distribution's profile, and the source of each value (default: the root's)"

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        add_option(parser, cls, nargs="?", const="", metavar="ID")

    @classmethod
    def read(cls, arguments: Arguments) -> ShowDistro:
        """See Verb."""
        if arguments.show_distro and arguments.distro:
            raise UsageError(
                "--show-distro ID and --distro are mutually exclusive", hint="say it once"
            )
        root, distro = host_of(arguments)
        return cls(root, arguments.show_distro or distro)

    def run(self) -> int:
        """See Verb."""
        from .. import profiletext

        for line in profiletext.lines(self.root, self.distro):
            print(line)
        return exits.DONE
