# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command line asks for, in any grammar."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import exits
from ..verb import Request


@dataclass(frozen=True)
class Print(Request):
    """Print a text of ours: the help, the version."""

    text: str

    def run(self) -> int:
        """See Request."""
        print(self.text)
        return exits.DONE


@dataclass(frozen=True)
class Command:
    """A command line, understood: what to do, how much to print, and what to warn of first.

    ``level`` is one of logging's.
    """

    requests: tuple[Request, ...]
    level: int
    warnings: tuple[str, ...] = ()
