# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways on which only a tool writes files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from . import editing
from .changes import Edit, Kept
from .loader import Loader


class ByTool(Loader):
    """A tool that knows where words are; what it has changed gets its old text in the end.

    It may write what it has taken words out of in another way, with other blanks.
    """

    def bare(
        self, words: Sequence[str], kept: Mapping[Path, Kept], hands: Sequence[str] = ()
    ) -> Loader:
        """See Loader: what somebody has changed since is the tool's alone."""
        same = {
            path: each
            for path, each in kept.items()
            if self.present(path) in (each.before, *each.wrote)
        }
        return super().bare(words, same, hands)

    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader."""
        return []

    def plan(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader."""
        return []

    def touched(self) -> list[Path]:
        """See Loader."""
        return [
            path
            for path, sourced in self._sources()
            if path in self.undone or not self._has_ours(path, sourced)
        ]

    def later(self) -> list[Edit]:
        """See Loader."""
        return [Edit.of(path, text) for path, text in self.undone.items()]

    def _has_ours(self, path: Path, sourced: bool) -> bool:
        found = editing.find(path, self.root, sourced=sourced)
        return any(each.word in self.ours for each in found)
