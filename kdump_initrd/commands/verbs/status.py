# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd status``: is a machine ready to save a crash, and if not, what is missing?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..verb import Question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...upkeep.ready.link import Link
    from ..answers import Answer


@dataclass(frozen=True)
class Status(Question):
    """Say whether a crash would be saved, and look at each link of the chain."""

    name = "status"
    summary = "tell whether a crash of this machine would be saved, and what is missing"

    def run(self) -> int:
        """See Verb."""
        from ...upkeep.ready import chain

        return self.give(_answer(chain.look(self.root, self.distro)))


def _answer(links: Sequence[Link]) -> Answer:
    from ...upkeep.ready.link import NO, UNKNOWN, YES, answer
    from ..answers import Answer

    said = answer([*links])
    head = {YES: "ready", NO: "not ready", UNKNOWN: "cannot tell"}[said]
    found = [link for link in links if link.decides and link.answer == said]
    why = ", ".join(link.name for link in found)
    if said == YES:
        why = "a crash of this machine would be saved"
    elif len(found) == 1:
        why = f"{found[0].name}: {found[0].text}"
    return Answer(
        said,
        f"{head}: {why}",
        rows=[(link.answer, link.name, link.text) for link in links],
        hints=[f"{link.name}: {link.hint}" for link in links if link.hint],
        fields={"links": [{**vars(link), "facts": dict(link.facts)} for link in links]},
    )
