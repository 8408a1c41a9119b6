# SPDX-License-Identifier: GPL-2.0-or-later
"""What the table of a peer's file is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..findings import Findings, Said

#: Adds to the findings what a key and its value mean.
Use = Callable[[Findings, Said], None]


@dataclass(frozen=True)
class Key:
    """One key of a peer's file.

    ``becomes`` says for people what becomes of it: what it sets, or, where ``use`` is None, why
    it is not honoured; then there is a warning, unless its value is one of ``idle``: those that
    the peer ships, or that ask for nothing else than what is done here anyway.
    """

    name: str
    becomes: str
    use: Use | None = None
    idle: tuple[str, ...] = ()

    def apply(self, findings: Findings, said: Said) -> None:
        """Add what the key means."""
        if self.use is not None:
            self.use(findings, said)
        elif said.value not in self.idle:
            findings.warn(said, f"not used: {self.becomes}")


#: Adds what the text of a file says, by the rows of its table.
Reader = Callable[[Findings, Path, str, Sequence[Key]], None]


@dataclass(frozen=True)
class PeerFile:
    """A file of a peer: its path in the root, what reads its syntax, and its keys.

    The keys are applied in the order of the table, whatever theirs is in the file.
    """

    name: str
    read: Reader
    keys: tuple[Key, ...]
