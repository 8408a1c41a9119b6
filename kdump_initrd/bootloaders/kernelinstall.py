# SPDX-License-Identifier: GPL-2.0-or-later
"""/etc/kernel/cmdline, from which entries are made: by kernel-install, or SUSE's sdbootutil.

kernel-install(8) takes the command line of new entries from there, else from
/usr/lib/kernel/cmdline, else from the running kernel, without BOOT_IMAGE= and initrd=
(90-loaderentry.install). sdbootutil does the same (create_boot_options).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import KdumpInitrdError
from . import commandlines, crashwords, editing
from .changes import Edit
from .loader import Loader

_ELSEWHERE, _RUNNING = "usr/lib/kernel/cmdline", "proc/cmdline"
_DROPPED = ("BOOT_IMAGE=", "initrd=", "systemd.machine_id=", crashwords.NAME)
_SHORT = 1 << 16


class KernelInstall(Loader):
    """The file for entries that are made, and the entries that people have written themselves."""

    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader."""
        edits = [self._cmdline(remove, add)]
        for entry in self._by_hand():
            text = editing.without(self.read(entry), remove, sourced=False)
            edits.append(Edit.of(entry, editing.in_line(text, add, key="options") if add else text))
        return edits

    def _cmdline(self, remove: Sequence[str], add: Sequence[str]) -> Edit:
        path = self.place(self.facts.file)
        there = self.text(path)
        # Entries that are made from blanks only do not boot, and without a file kernel-install
        # takes the running command line, with the words that it has.
        if (add or self.root.is_host) and not (there or "").strip():
            there = self._usual()
        if there is None:
            return Edit(path, None)
        text = editing.without(there, remove, sourced=False)
        return Edit.of(path, _ended(editing.in_line(text, add)) if add else text)

    def later(self) -> list[Edit]:
        """See Loader: no file, or a blank one, as it was."""
        path = self.place(self.facts.file)
        there = self.text(path)
        return [] if (there or "").strip() else [Edit.of(path, there)]

    def commands(self, remove: Sequence[str], add: Sequence[str]) -> list[list[str]]:
        """See Loader; with words in braces it is once for each kernel that has an entry."""
        if not any("{" in word for word in self.facts.run):
            return super().commands(remove, add)
        return [
            [
                word.replace("{release}", release).replace("{image}", f"{self.root.inside(image)}")
                for word in self.facts.run
            ]
            for release, image in self.kernels.items()
            if any(_is_of(entry, release) for entry in self._entries())
        ]

    def _entries(self) -> list[Path]:
        patterns = self.facts.reads
        return [path for each in patterns for path in commandlines.files(each, self.root)]

    def _by_hand(self) -> list[Path]:
        """Return the entries of this system that no tool will write anew."""
        return [
            entry
            for entry in self._entries()
            if not any(_is_of(entry, release) for release in self.kernels)
            and any(boot.place == entry for boot in self.boots())
        ]

    def _usual(self) -> str:
        """Return what entries are made from where the file is not there, or is empty."""
        running = self.root.file(_RUNNING) if self.root.is_host else None
        path = self.root.file(_ELSEWHERE) or running
        text = self.root.read_text(path, limit=_SHORT) if path else ""
        words = [word for word in text.split() if not word.startswith(_DROPPED)]
        if not words:
            raise KdumpInitrdError(
                f"{self.place(self.facts.file)}: there is none, and nothing to make it from",
                hint="write the kernel's command line into it",
            )
        return f"{' '.join(words)}\n"


def _is_of(entry: Path, release: str) -> bool:
    """Tell whether kernel-install has written an entry: TOKEN-RELEASE.conf, perhaps with tries."""
    return re.search(rf"-{re.escape(release)}(\+\d+(-\d+)?)?\.conf$", entry.name) is not None


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
