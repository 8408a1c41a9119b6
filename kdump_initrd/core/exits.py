# SPDX-License-Identifier: GPL-2.0-or-later
"""The exit statuses of every command and verb; --help and the man pages say the same.

The saver in a capture kernel has its own, which /init tells apart.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Done, or the answer is yes.
DONE = 0
#: Something is wrong, or the answer is not known.
ERROR = 1
#: The command line itself is wrong.
USAGE = 2
#: The answer is no: something would be changed, is not ready, is not there.
NO = 3
#: Status → what it means, as a person reads it.
MEANINGS = {
    DONE: "done, or the answer is yes",
    ERROR: "an error, or the answer is not known",
    USAGE: "wrong usage",
    NO: "the answer is no",
}


def sentence(statuses: Iterable[int]) -> str:
    """Return what --help says of the statuses that a command has."""
    meanings = (f"{status} {MEANINGS[status]}" for status in statuses)
    return f"Exit status: {'; '.join(meanings)}; 128 + N: ended by signal N."


def by_signal(number: int) -> int:
    """Return the status of a command that signal ``number`` has ended, as shells give it."""
    return 128 + number
