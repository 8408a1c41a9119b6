# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd reserve``: what crashkernel= should be, and getting it onto the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...core.errors import UsageError
from ..options import Arguments, Parser
from ..verb import Question, host_of

if TYPE_CHECKING:
    from ..answers import Answer

#: What can be asked for; one of them at most.
_ACTS = ("check", "set", "unset", "table")


@dataclass(frozen=True)
class Reserve(Question):
    """Say what to reserve, or whether it is; set it, and take it away again.

    ``act`` is one of _ACTS, "" for saying what to reserve; ``size`` are the words to set, "" for
    those that are advised.
    """

    act: str = ""
    size: str = ""
    force: bool = False

    name = "reserve"
    summary = (
        "tell which crashkernel= this machine needs, set it for the next boot, or take it away"
    )
    usage: ClassVar[Sequence[str]] = (
        "[--json] [--root DIR] [--distro ID]",
        "--check [--json] [--root DIR] [--distro ID]",
        "--set [SIZE...] [--force] [--json] [--root DIR] [--distro ID]",
        "--unset [--force] [--json] [--root DIR] [--distro ID]",
        "--table [--json] [--root DIR] [--distro ID]",
    )

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        super().configure(parser)
        add = parser.add_argument
        add("--check", action="store_true", help="tell whether the next boot reserves enough")
        add(
            *("--set",), nargs="*", metavar="SIZE",
            help="put crashkernel=SIZE on the command line of the next boot (default: as advised)",
        )  # fmt: skip
        add("--unset", action="store_true", help="take out what --set has put there")
        add("--table", action="store_true", help="print a crashkernel= for machines of any size")
        add(
            "--force", action="store_true", help="with --set and --unset: other people's words, too"
        )

    @classmethod
    def read(cls, arguments: Arguments) -> Reserve:
        """See Verb."""
        acts = [name for name in _ACTS if getattr(arguments, name) not in (None, False)]
        if len(acts) > 1:
            raise UsageError(
                f"--{acts[0]} and --{acts[1]} exclude each other", hint="leave one out"
            )
        act = "".join(acts)
        if arguments.force and act not in ("set", "unset"):
            raise UsageError("--force: is for --set and --unset", hint="leave it out")
        size = " ".join(arguments.set or ())
        if arguments.set and not size.strip():
            # Probably an unset variable of a script.
            raise UsageError("--set: the value is empty", hint="give a size, or no word at all")
        return cls(
            *host_of(arguments),
            json=arguments.json,
            act=act,
            size=size,
            force=arguments.force,
        )

    def run(self) -> int:
        """See Verb."""
        from ..answers import give

        return give(self._answer(), command=self.command, as_json=self.json)

    def _answer(self) -> Answer:
        from ...recipes.found import find_host
        from ...upkeep import record
        from ...upkeep.reserving import nextboot
        from .. import reservetext

        wanted = nextboot.wanted(self.size)
        if self.act in ("set", "unset"):
            root, _ = find_host(self.root, self.distro)
            with record.alone(root=root):
                return self._change(wanted)
        state = nextboot.look(self.root, self.distro)
        if self.act == "table":
            return reservetext.table(state)
        if self.act == "check":
            return reservetext.outcome(state, nextboot.check(state), asked=True)
        return reservetext.advice(state)

    def _change(self, wanted: Sequence[str] | None) -> Answer:
        from ...upkeep.reserving import nextboot, putting
        from .. import reservetext

        state = nextboot.look(self.root, self.distro)
        if self.act == "set":
            done = putting.put(state, wanted, force=self.force)
        else:
            done = putting.take(state, force=self.force)
        return reservetext.outcome(nextboot.look(self.root, self.distro), done, asked=False)
