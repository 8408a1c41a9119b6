# SPDX-License-Identifier: GPL-2.0-or-later
"""One small table on stdout: what was measured, and the figure demanded of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measured value with its unit.

    ``limit`` is the most that is allowed, or with ``at_least`` the least; None for no demand.
    """

    what: str
    value: float | None
    unit: str
    limit: float | None = None
    note: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is within its limit; no value meets no limit."""
        if self.limit is None or self.value is None:
            return self.limit is None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def report(title: str, rows: Sequence[Row]) -> int:
    """Print the table and return an exit status: 1 if a demand is not met."""
    width = max(len(row.what) for row in rows)
    print(f"\n{title}")
    print(f"{'':<{width}}  {'measured':>14}  {'demanded':>14}")
    for row in rows:
        value = f"{row.value:.2f} {row.unit}" if row.value is not None else "fails"
        sign = ">=" if row.at_least else "<="
        limit = f"{sign} {row.limit:g} {row.unit}" if row.limit is not None else ""
        verdict = "" if row.limit is None else "ok" if row.met else "MISSED"
        line = f"{row.what:<{width}}  {value:>14}  {limit:>14}  {verdict:<6}  {row.note}"
        print(line.rstrip())
    return 0 if all(row.met for row in rows) else 1
