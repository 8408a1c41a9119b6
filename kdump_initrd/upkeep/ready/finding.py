# SPDX-License-Identifier: GPL-2.0-or-later
"""What `check` finds: how bad it is, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .link import NO, UNKNOWN, YES, Fact, Link

#: How bad a finding is, the worst first. An error loses the dump; what is unknown may be one; a
#: warning may cost something of it, or another time; a note is a choice that a person has.
ERROR, WARNING, NOTE, FINE = "error", "warning", "note", "fine"
SEVERITIES = (ERROR, UNKNOWN, WARNING, NOTE, FINE)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``mend`` can be typed, "" where there is nothing to mend."""

    name: str
    severity: str
    text: str
    mend: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)


def of_link(link: Link) -> Finding:
    """Return what a link of the chain is here: one that holds, and has a hint, is a warning."""
    if link.answer == YES:
        severity = WARNING if link.hint else FINE
    elif link.answer == NO:
        severity = ERROR if link.decides else WARNING
    else:
        severity = UNKNOWN if link.decides else NOTE
    return Finding(link.name, severity, link.text, link.hint, link.facts)


def verdict(findings: Sequence[Finding]) -> str:
    """Return whether a crash would be saved, as far as the findings tell."""
    said = {each.severity for each in findings}
    return NO if ERROR in said else UNKNOWN if UNKNOWN in said else YES


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings by severity, otherwise in their order."""
    return sorted(findings, key=lambda each: SEVERITIES.index(each.severity))
