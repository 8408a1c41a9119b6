# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd load``: the capture kernel of this machine is loaded, if it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...core.errors import UsageError
from ..options import Arguments, Parser
from ..verb import HostVerb

if TYPE_CHECKING:
    from ...upkeep.ready.link import Link


@dataclass(frozen=True)
class Load(HostVerb):
    """Load the capture kernel, unless what is loaded is just that."""

    json: bool = False
    force: bool = False
    kernel: str | None = None

    name = "load"
    usage = ("[--force] [--json] [KERNEL]",)
    summary = "load the capture kernel, with the present image and settings"
    kernels = 1
    #: Whether it is loaded even if nothing has changed.
    again: ClassVar[bool] = False

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        add_switches(parser, "replace what another tool has loaded, or load another tool's image")

    @classmethod
    def read(cls, arguments: Arguments) -> Load:
        """See Verb."""
        kernel = next(iter(arguments.words), None)
        if kernel == "":
            raise UsageError("KERNEL: the value is empty", hint="uname -r prints one")
        return cls(json=arguments.json, force=arguments.force, kernel=kernel)

    def run(self) -> int:
        """See Verb."""
        from ...upkeep.loading import loadwork
        from ...upkeep.loading.loadwork import Wish

        wish = Wish(kernel=self.kernel, again=self.again, force=self.force)
        found = loadwork.load(wish, top=self.root, distro=self.distro)
        return say(found, self.name, as_json=self.json)


def say(found: Link, verb: str, *, as_json: bool) -> int:
    """Print what has come of a verb, and return the exit status."""
    from ..answers import Answer, give

    hints = [found.hint] if found.hint else []
    answer = Answer(found.answer, found.text, hints=hints, fields={"facts": dict(found.facts)})
    return give(answer, command=["kdump-initrd", verb], as_json=as_json)


def add_switches(parser: Parser, force: str) -> None:
    """Add the options that the verbs which load and unload share; ``force`` is its help."""
    parser.add_argument("--force", action="store_true", help=force)
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
