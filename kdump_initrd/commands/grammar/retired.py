# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of the replaced tools that no longer have a meaning: accepted, with a warning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..options import HIDDEN, Arguments, Group


@dataclass(frozen=True)
class Retired:
    """An option that no longer does anything; ``metavar`` is "" for a switch.

    ``why`` ends the sentence "FLAG no longer has a meaning: ".
    """

    flag: str
    metavar: str
    why: str

    @property
    def dest(self) -> str:
        """The name of its value, which no other option has."""
        return f"retired {self.flag}"


def add_retired(group: Group, rows: Sequence[Retired]) -> None:
    """Add the options of the rows to a parser: accepted, but not in the help."""
    for row in rows:
        if row.metavar:
            group.add_argument(
                row.flag,
                dest=row.dest,
                action="append",
                metavar=row.metavar,
                help=HIDDEN,
            )
        else:
            group.add_argument(row.flag, dest=row.dest, action="store_true", help=HIDDEN)


def warnings(arguments: Arguments, rows: Sequence[Retired]) -> Iterator[str]:
    """Yield a sentence for each row whose option was given."""
    for row in rows:
        if getattr(arguments, row.dest):
            yield f"{row.flag} no longer has a meaning: {row.why}"
