# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables of a shell file that a generator of menus reads: GRUB's, and u-boot-menu's.

Debian's grub-mkconfig reads the files in /etc/default/grub.d behind /etc/default/grub, and so does
u-boot-update those in /etc/u-boot-menu/conf.d: a file there is ours alone. Elsewhere the variable
is changed where it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import editing
from .changes import Edit, Kept
from .loader import Loader

_HEAD = (
    "# Written by `kdump-initrd reserve --set`; `kdump-initrd reserve --unset` removes it, and\n"
    "# `kdump-initrd reserve --set SIZE` changes it.\n"
)
#: What we write, whatever somebody else may have added.
_OURS = re.compile(rf"^{re.escape(_HEAD)}.*\n?", re.MULTILINE)


class DropIn(Loader):
    """A file of our own, in which the variable gets words more: they are the last, and so count.

    Its name sorts behind those that packages use, so that it is read behind them.
    """

    @property
    def own(self) -> Path:
        """See Loader."""
        return self.place(self.facts.file)

    def owned(self) -> list[Path]:
        """See Loader: what --set has written there may be under an earlier name."""
        places = [self.own, *(self.place(name) for name in self.facts.formerly)]
        return [path for path in places if _OURS.search(self.present(path) or "")]

    def bare(
        self, words: Sequence[str], kept: Mapping[Path, Kept], hands: Sequence[str] = ()
    ) -> Loader:
        """See Loader: without what is ours, even if nothing is known of the file."""
        texts = {path: _OURS.search(self.present(path) or "") for path in self.owned()}
        ours = {path: Kept(None, (match[0],)) for path, match in texts.items() if match}
        return super().bare(words, {**ours, **kept}, hands)

    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader; ``remove`` are words in other files, which ours does not replace."""
        others = [each.path for each in self.found() if each.word in remove]
        edits = [
            Edit.of(path, editing.without(self.read(path), remove, sourced=True))
            for path in dict.fromkeys(others)
        ]
        if not add:
            return edits
        name, usual = self.facts.variable, self.facts.usual
        value = f"${{{name}:-{usual}}}" if usual else f"${name}"
        line = f'{name}="{value} {" ".join(add)}"\n'
        return [*edits, Edit.of(self.own, f"{self.read(self.own)}{_HEAD}{line}")]

    def overruling(self) -> list[Path]:
        """See Loader: what a file of a later name says of the variable counts instead."""
        sets = re.compile(rf"^\s*(export\s+)?{self.facts.variable}\+?=", re.MULTILINE)
        behind = self.root.entries(self.own.parent, f"*{self.own.suffix}")
        return [
            path
            for path in behind
            if path.name > self.own.name and sets.search(self.root.read_text(path))
        ]


class Variable(Loader):
    """The variable itself, in the file that people write."""

    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader."""
        path = self.place(self.facts.file)
        text = editing.without(self.read(path), remove, sourced=True)
        if add:
            text = editing.in_assignment(text, self.facts.variable, add)
        return [Edit.of(path, text)]
