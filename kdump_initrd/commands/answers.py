# SPDX-License-Identifier: GPL-2.0-or-later
"""How kdump-initrd prints an answer: a line that says it, a table, hints; or JSON.

The JSON is described in kdump-initrd-json(5), and so is its version.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence

from ..core import exits
from ..upkeep.link import NO, UNKNOWN, YES, Link, answer

#: The version of the JSON: a higher one has lost or changed a field; new ones may come at any time.
SCHEMA = 1
STATUSES = {YES: exits.DONE, UNKNOWN: exits.ERROR, NO: exits.NO}
#: The colours of the answers on a terminal (ECMA-48, SGR).
_COLOURS = {YES: "32", NO: "31", UNKNOWN: "33"}
_HEADS = {YES: "ready", NO: "not ready", UNKNOWN: "cannot tell"}


def as_json(links: Sequence[Link]) -> str:
    """Return the links and their answer as JSON."""
    table = {
        "schema": SCHEMA,
        "answer": answer([*links]),
        "links": [{**vars(link), "facts": dict(link.facts)} for link in links],
    }
    return json.dumps(table, indent=1, ensure_ascii=False)


def lines(links: Sequence[Link], *, command: Sequence[str], coloured: bool) -> Iterator[str]:
    """Yield the answer, a row for each link, and the hints; ``command`` is what was asked."""
    whole = answer([*links])
    yield _paint(f"{_HEADS[whole]}: {_why(links, whole)}", whole, coloured)
    widths = [max(map(len, _COLOURS)), max(len(link.name) for link in links)]
    for link in links:
        said = _paint(f"{link.answer:<{widths[0]}}", link.answer, coloured)
        yield f"  {said}  {link.name:<{widths[1]}}  {link.text}"
    for link in links:
        if link.hint:
            yield f"hint: {link.name}: {link.hint}"
    if whole == UNKNOWN and os.geteuid():
        yield f"hint: root can look at more: sudo {shlex.join(command)}"


def on_terminal() -> bool:
    """Tell whether standard output wants colours (https://no-color.org)."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout.isatty()


def _why(links: Sequence[Link], whole: str) -> str:
    found = [link for link in links if link.decides and link.answer == whole]
    if whole == YES:
        return "a crash of this machine would be saved"
    if len(found) == 1:
        return f"{found[0].name}: {found[0].text}"
    return ", ".join(link.name for link in found)


def _paint(text: str, said: str, coloured: bool) -> str:
    return f"\033[{_COLOURS[said]}m{text}\033[m" if coloured else text
