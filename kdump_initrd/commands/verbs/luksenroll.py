# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd luks-enroll``: a LUKS volume gets a key slot for capture kernels."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...core.errors import KdumpInitrdError, UsageError
from ..options import Arguments, Parser
from ..verb import Question, host_of
from .load import say


@dataclass(frozen=True)
class LuksEnroll(Question):
    """Add the slot to a volume, and keep its key; ``key_file`` has a passphrase, "" asks for it."""

    device: str = ""
    key_file: str = ""

    name = "luks-enroll"
    usage: ClassVar[tuple[str, ...]] = ("DEV [--key-file FILE] [--json] [--root DIR]",)
    summary = "add a key slot for capture kernels to a LUKS volume, so that it can take dumps"
    kernels = 1
    word = "DEV"

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        super().configure(parser)
        parser.add_argument(
            "--key-file", metavar="FILE", help="a file that opens the volume, instead of asking"
        )

    @classmethod
    def read(cls, arguments: Arguments) -> LuksEnroll:
        """See Verb."""
        if arguments.key_file == "":
            raise UsageError("--key-file: the value is empty", hint="give one")
        return cls(
            *host_of(arguments),
            json=arguments.json,
            device=device_of(cls, arguments),
            key_file=arguments.key_file or "",
        )

    def run(self) -> int:
        """See Verb."""
        from ...upkeep.unlocking import enrolment

        found = enrolment.enroll(self.device, top=self.root, distro=self.distro, ask=self._ask)
        return say(found, self.name, as_json=self.json)

    def _ask(self, device: Path) -> bytes | Path:
        if self.key_file:
            return Path(self.key_file)
        if sys.stdin.isatty():
            from getpass import getpass

            said = getpass(f"A passphrase of {device}: ").encode()
        else:
            said = sys.stdin.buffer.readline().rstrip(b"\n")
        if not said:
            raise KdumpInitrdError(
                "no passphrase was given", hint="type one, or name a file with one"
            )
        return said


def device_of(verb: type[Question], arguments: Arguments) -> str:
    """Return the device that was named, the verb's only word; raises UsageError."""
    found: str = next(iter(arguments.words), "")
    if not found:
        raise UsageError(f"{verb.name}: expected a device", hint="lsblk -f lists LUKS volumes")
    return found
