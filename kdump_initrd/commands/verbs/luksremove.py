# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd luks-remove``: a LUKS volume loses its key slot for capture kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...core.errors import UsageError
from ..options import Arguments, Parser
from ..verb import Question, host_of
from .load import say
from .luksenroll import device_of


@dataclass(frozen=True)
class LuksRemove(Question):
    """Take slot and key of a volume away; with ``device`` "", those of all volumes."""

    device: str = ""

    name = "luks-remove"
    usage: ClassVar[tuple[str, ...]] = ("DEV [--json] [--root DIR]", "--all [--json] [--root DIR]")
    summary = "take the key slot for capture kernels away from a LUKS volume, and its key"
    kernels = 1
    word = "DEV"

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        super().configure(parser)
        parser.add_argument("--all", action="store_true", help="those of all volumes")

    @classmethod
    def read(cls, arguments: Arguments) -> LuksRemove:
        """See Verb."""
        if arguments.all and arguments.words:
            raise UsageError("--all: not with a device", hint="leave one out")
        device = "" if arguments.all else device_of(cls, arguments)
        return cls(*host_of(arguments), json=arguments.json, device=device)

    def run(self) -> int:
        """See Verb."""
        from ...upkeep.unlocking import enrolment

        if self.device:
            found = enrolment.remove(self.device, top=self.root, distro=self.distro)
        else:
            found = enrolment.remove_all(top=self.root, distro=self.distro)
        return say(found, self.name, as_json=self.json)
