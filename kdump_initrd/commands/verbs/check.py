# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd check``: everything that could lose a dump, how bad it is, and what mends it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..verb import Question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...upkeep.ready.finding import Finding
    from ..answers import Answer


@dataclass(frozen=True)
class Check(Question):
    """Look at everything that could lose a dump; a file is written to the target, and removed."""

    name = "check"
    summary = "look for everything that could lose a dump, and tell what mends it"

    def run(self) -> int:
        """See Verb."""
        from ...upkeep.ready import doctor

        return self.give(_answer(doctor.examine(self.root, self.distro)))


def _answer(found: Sequence[Finding]) -> Answer:
    from ...upkeep.ready import finding
    from ...upkeep.ready.link import NO, UNKNOWN, YES
    from ..answers import Answer

    said = finding.verdict(found)
    head = {
        YES: "nothing was found that would lose a dump",
        NO: "a dump would be lost",
        UNKNOWN: "cannot tell whether a dump would be saved",
    }[said]
    counts = Counter(each.severity for each in found)
    several = [
        f"{counts[each]} {each}{'s' if counts[each] > 1 and each != UNKNOWN else ''}"
        for each in finding.SEVERITIES
        if counts[each] and each != finding.FINE
    ]
    rows = finding.worst_first(found)
    return Answer(
        said,
        f"{head}: {', '.join(several)}" if several else head,
        rows=[(each.severity, each.name, each.text) for each in rows],
        hints=[f"{each.name}: {each.mend}" for each in rows if each.mend],
        fields={"findings": [{**vars(each), "facts": dict(each.facts)} for each in found]},
    )
