# SPDX-License-Identifier: GPL-2.0-or-later
"""How kdump-initrd prints an answer: a line that says it, a table, hints; or JSON.

The JSON is described in kdump-initrd-json(5), and so is its version.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core import exits
from ..core.shown import in_a_line
from ..upkeep.ready.link import NO, UNKNOWN, YES

#: The version of the JSON: a higher one has lost or changed a field; new ones may come at any time.
SCHEMA = 1
STATUSES = {YES: exits.DONE, UNKNOWN: exits.ERROR, NO: exits.NO}
#: The words that have a colour on a terminal (ECMA-48, SGR), as the first cell of a row.
_COLOURS = {
    YES: "32",
    NO: "31",
    UNKNOWN: "33",
    "error": "31",
    "warning": "33",
    "note": "36",
    "fine": "32",
}


@dataclass(frozen=True)
class Answer:
    """What a verb answers: YES (or: done), NO or UNKNOWN decides the exit status and the colour.

    ``first`` is the line that says the answer. ``rows`` become a table, with ``heads`` above it;
    the columns ``right`` are aligned at their right, and a first cell of _COLOURS is coloured.
    ``hints`` tell what to do, as something that can be typed. ``fields`` are what JSON has beside
    answer, text and hints: whatever is in the table must be there, too.
    """

    said: str
    first: str
    rows: Sequence[Sequence[str]] = ()
    heads: Sequence[str] = ()
    right: Collection[int] = ()
    hints: Sequence[str] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


def give(answer: Answer, *, command: Sequence[str], as_json: bool) -> int:
    """Print an answer and return the exit status; ``command`` is what was asked."""
    if as_json:
        print(json_of(answer))
    else:
        for line in lines(answer, command=command, coloured=on_terminal()):
            print(line)
    return STATUSES[answer.said]


def json_of(answer: Answer) -> str:
    """Return an answer as JSON, in ASCII: whatever it has in it, and whatever the locale is."""
    table = {
        "schema": SCHEMA,
        "answer": answer.said,
        "text": answer.first,
        "hints": list(answer.hints),
        **answer.fields,
    }
    return json.dumps(table, indent=1)


def lines(answer: Answer, *, command: Sequence[str], coloured: bool) -> Iterator[str]:
    """Yield the answer, its table, and the hints."""
    yield _paint(in_a_line(answer.first), answer.said, coloured)
    heads = [answer.heads] if answer.heads else []
    rows = [[*map(in_a_line, row)] for row in (*heads, *answer.rows)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = [
            cell.rjust(width) if number in answer.right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths))
        ]
        if row[0] in _COLOURS:
            cells[0] = _paint(row[0], row[0], coloured) + cells[0][len(row[0]) :]
        yield f"  {'  '.join(cells)}".rstrip()
    for hint in answer.hints:
        yield f"hint: {in_a_line(hint)}"
    if answer.said == UNKNOWN and os.geteuid():
        yield f"hint: root can look at more: sudo {shlex.join(command)}"


def on_terminal() -> bool:
    """Tell whether standard output wants colours (https://no-color.org)."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout.isatty()


def _paint(text: str, said: str, coloured: bool) -> str:
    return f"\033[{_COLOURS[said]}m{text}\033[m" if coloured else text
