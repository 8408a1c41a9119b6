# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of docs/ports.md, made from the records: ``python -m tests.ports.docs`` writes it."""

from __future__ import annotations

import sys
from pathlib import Path

from .record import Proof, Record, read
from .table import PORTS, Port

PAGE = Path(__file__).resolve().parents[2] / "docs/ports.md"
#: What the table lies between.
BEGIN, END = "<!-- from the records of make test-full GROUP=ports -->\n", "<!-- end -->\n"
COLUMNS = (
    *("Machine", "Kernel", "Pages", "Loaded by", "Dump level", "Read back by"),
    *("Levels compared", "With"),
)


#: What was not proven.
NOTHING = "–"


class NotProven(Exception):
    """A port's records contradict the table of ports, or one another; the text says which."""


def row(name: str, port: Port, records: list[Record]) -> tuple[str, ...]:
    """Return the cells of a port's row, of which there is at least one record; raises NotProven."""
    cycle = next((each for each in records if each.proof is Proof.CYCLE), None)
    compared = [each for each in records if each.proof is Proof.PAGES]
    kernel, architecture = records[0].kernel, records[0].architecture
    for each in records:
        if (each.kernel, each.page) != (kernel, port.page):
            raise NotProven(f"{name}: {each} is not of {kernel}")
    if cycle is not None and cycle.level != port.level:
        raise NotProven(f"{name}: its dump is of level {cycle.level}, not {port.level}")
    variant = port.architecture.variant.upper()
    return (
        f"{architecture} ({variant})" if variant else architecture,
        kernel,
        f"{port.page >> 10} KiB",
        *((cycle.load, str(cycle.level), cycle.reader) if cycle else (NOTHING,) * 3),
        ", ".join(str(each.level) for each in compared) or NOTHING,
        ", ".join(sorted({each.reader for each in compared})) or NOTHING,
    )


def table(rows: list[tuple[str, ...]]) -> str:
    """Return the text of a table."""
    lines = [COLUMNS, tuple("-" * len(column) for column in COLUMNS), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def cells(text: str) -> list[tuple[str, ...]]:
    """Return the cells of the page's table, the row of column names first, without the rule."""
    inside = text.partition(BEGIN)[2].partition(END)[0]
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in inside.splitlines()
        if line
    ]
    return [rows[0], *rows[2:]]


def main() -> int:
    """Write the table into the page; returns the exit status."""
    try:
        found = {name: read(name) for name in PORTS}
        rows = [row(name, PORTS[name], records) for name, records in found.items() if records]
    except NotProven as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    before, _, rest = PAGE.read_text().partition(BEGIN)
    for name, records in found.items():
        if not records:
            print(f"nothing is recorded of {name}", file=sys.stderr)
    PAGE.write_text(before + BEGIN + table(rows) + END + rest.partition(END)[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
