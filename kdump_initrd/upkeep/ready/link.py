# SPDX-License-Identifier: GPL-2.0-or-later
"""One link of the chain from a panic to a saved dump: whether it holds, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

#: The answers; the last one: it could not be looked at.
YES, NO, UNKNOWN = "yes", "no", "unknown"

Fact = Union[str, int, bool]


@dataclass(frozen=True)
class Link:
    """A link and its answer.

    ``text`` is the reason in a line, ``hint`` what mends it, "" where there is nothing to mend.
    ``facts`` are what was seen, by name; sizes are in bytes or, with such a name, in MiB. Where the
    link does not decide, a crash may be saved whatever its answer.
    """

    name: str
    answer: str
    text: str
    hint: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    decides: bool = True


def unseen(name: str, why: str) -> Link:
    """Return a link that could not be looked at, and why not."""
    return Link(name, UNKNOWN, f"not looked at: {why}")


def answer(links: list[Link]) -> str:
    """Return the answer of the whole chain: it is as good as the worst of those that decide."""
    said = {link.answer for link in links if link.decides}
    return next((each for each in (NO, UNKNOWN) if each in said), YES)
