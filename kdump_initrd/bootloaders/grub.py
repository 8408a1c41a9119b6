# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables of a shell file that a generator of menus reads: GRUB's, and u-boot-menu's.

Debian's grub-mkconfig reads the files in /etc/default/grub.d behind /etc/default/grub, and so does
u-boot-update those in /etc/u-boot-menu/conf.d: a file there is ours alone. Elsewhere the variable
is changed where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import editing
from .editing import Edit
from .loader import Loader

_HEAD = (
    "# Written by `kdump-initrd reserve --set`; `kdump-initrd reserve --unset` removes it, and\n"
    "# `kdump-initrd reserve --set SIZE` changes it.\n"
)


class DropIn(Loader):
    """A file of our own, in which the variable gets words more: they are the last, and so count."""

    @property
    def own(self) -> Path:
        """See Loader."""
        return self.place(self.facts.file)

    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader; ``remove`` are words in other files, which ours does not replace."""
        others = [each.path for each in self.found() if each.word in remove]
        edits = [
            Edit(path, editing.bytes_of(editing.without(self.read(path), remove, sourced=True)))
            for path in dict.fromkeys(others)
        ]
        if not add:
            return [*edits, Edit(self.own, None)]
        name, usual = self.facts.variable, self.facts.usual
        value = f"${{{name}:-{usual}}}" if usual else f"${name}"
        line = f'{name}="{value} {" ".join(add)}"\n'
        return [*edits, Edit(self.own, f"{_HEAD}{line}".encode())]


class Variable(Loader):
    """The variable itself, in the file that people write."""

    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader."""
        path = self.place(self.facts.file)
        text = editing.without(self.read(path), remove, sourced=True)
        if add:
            text = editing.in_assignment(text, self.facts.variable, add)
        return [Edit(path, editing.bytes_of(text))]
