# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of which the table of a peer's file is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..findings import Findings, Said

#: Adds the meaning of a key and its value to the findings.
Use = Callable[[Findings, Said], None]


@dataclass(frozen=True)
class Key:
    """One key of a peer's file.

    ``becomes`` tells people what becomes of it: what it sets or, if ``use`` is None, why it is not
    used. In that case there is a warning, unless the value is one of ``idle``: those that the peer
    ships, or that ask for what is done here anyway.
    """

    name: str
    becomes: str
    use: Use | None = None
    idle: tuple[str, ...] = ()

    def apply(self, findings: Findings, said: Said) -> None:
        """Add the meaning of the key."""
        if self.use is not None:
            self.use(findings, said)
        elif said.value not in self.idle:
            findings.warn(said, f"not used: {self.becomes}")


#: Adds the meaning of a file's text, by the rows of its table.
Reader = Callable[[Findings, Path, str, Sequence[Key]], None]


@dataclass(frozen=True)
class PeerFile:
    """A file of a peer: its path in the root, the reader of its syntax, and its keys.

    The keys are applied in the order of the table, not of the file.
    """

    name: str
    read: Reader
    keys: tuple[Key, ...]
