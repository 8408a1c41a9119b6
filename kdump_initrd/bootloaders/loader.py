# SPDX-License-Identifier: GPL-2.0-or-later
"""What a way to the kernel's command line is: where words are, what to write, what to run."""

from __future__ import annotations

import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import KdumpInitrdError
from ..core.root import Root
from ..core.run import run
from . import commandlines, crashwords, editing
from .changes import Edit, Kept
from .commandlines import Boot
from .editing import Found

if TYPE_CHECKING:
    from ..probe.distro.profilekeys import BootLoader

#: What a boot loader's tool may take, in seconds: some look at all disks, or make initrds.
_PATIENCE = 900.0
#: Where files are read by a shell.
_SHELL = ("etc/default/", "etc/u-boot-menu/")
#: The largest file that is changed, in bytes: its text is kept.
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Loader(ABC):
    """One way, on one root; ``kernels`` are its releases with their images, oldest first.

    ``name`` is what people call it, and ``facts`` are what a distribution's profile tells of it.
    ``ours`` are words that do not count, and ``undone`` are texts, None for no file, that count
    instead of what is there: bare() gives them.
    """

    name: str
    facts: BootLoader
    root: Root
    kernels: Mapping[str, Path]
    ours: tuple[str, ...] = ()
    undone: Mapping[Path, str | None] = field(default_factory=dict)

    @property
    def own(self) -> Path | None:
        """The file that is ours alone, None where there is none."""
        return None

    def boots(self) -> list[Boot]:
        """Return the command lines that the next boot may have; raises OSError."""
        return commandlines.read(self.facts.reads, self.root)

    def found(self) -> list[Found]:
        """Return the words in what people write, or the loader's tool for them; raises OSError.

        Our own files are left out.
        """
        owned = self.owned()
        return [
            found
            for path, sourced in self._sources()
            if path not in owned
            for found in editing.find(path, self.root, sourced=sourced)
        ]

    def owned(self) -> list[Path]:
        """Return the files that are there and ours alone; raises OSError."""
        return [self.own] if self.own and self.own.exists() else []

    def own_words(self) -> list[str]:
        """Return the words in the files that are ours alone; raises OSError."""
        found = (editing.find(path, self.root, sourced=True) for path in self.owned())
        return [each.word for file in found for each in file]

    def bare(
        self, words: Sequence[str], kept: Mapping[Path, Kept], hands: Sequence[str] = ()
    ) -> Loader:
        """Return the same, with files as if these words had not been put there.

        ``hands`` are words of other people that are not there either. Raises OSError.
        """
        undone = {path: self._undone(path, each, words, hands) for path, each in kept.items()}
        return replace(self, ours=(*words, *hands), undone=undone)

    def _undone(
        self, path: Path, kept: Kept, words: Sequence[str], hands: Sequence[str]
    ) -> str | None:
        sourced = self._is_sourced(path)
        text = kept.undone(self.present(path), words, sourced=sourced)
        return None if text is None else editing.without(text, hands, sourced=sourced)

    @abstractmethod
    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """Return what to write; raises KdumpInitrdError and OSError."""

    def commands(self, remove: Sequence[str], add: Sequence[str]) -> list[list[str]]:
        """Return what to run when that is written."""
        return [[*self.facts.run]] if self.facts.run else []

    def touched(self) -> list[Path]:
        """Return the files beside them that a command changes, and that people write, too."""
        return []

    def later(self) -> list[Edit]:
        """Return what undoing writes only when the commands have run; raises OSError."""
        return []

    def plan(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """Return what to write before that: what is undone, too. Raises as edits() does."""
        undone = {path: Edit.of(path, text) for path, text in self.undone.items()}
        return [*{**undone, **{each.path: each for each in self.edits(remove, add)}}.values()]

    def change(
        self,
        plan: Sequence[Edit],
        remove: Sequence[str],
        add: Sequence[str],
        *,
        later: Sequence[Edit] = (),
    ) -> list[str]:
        """Carry out a plan, run the commands, and write what is for ``later``.

        Returns the commands that are left to a person. These are all of them where the root is not
        this machine's: nothing of it is run. Raises KdumpInitrdError; what was done until then
        stays, and the next run goes on from there.
        """
        for edit in plan:
            edit.apply()
        try:
            commands = self.commands(remove, add)
        except OSError as error:
            raise KdumpInitrdError(f"{error.filename}: {error.strerror}") from error
        for command in commands if self.root.is_host else ():
            run(command, timeout=_PATIENCE)
        for edit in later:
            edit.apply()
        return [] if self.root.is_host else [shlex.join(command) for command in commands]

    def has(self, word: str) -> bool:
        """Tell whether a word is in what is undone."""
        return any(word in re.split(r"[\s\"']+", text or "") for text in self.undone.values())

    def overruling(self) -> list[Path]:
        """Return the files that may undo ours, since they are read behind it; raises OSError."""
        return []

    def present(self, path: Path) -> str | None:
        """Return what is in a file now, as editing.text_of() does; None for none, or OSError."""
        there = path.exists()
        return editing.text_of(self.root.read(path, limit=_LARGEST)) if there else None

    def text(self, path: Path) -> str | None:
        """Return what counts of a file, None for none; raises OSError."""
        if path in self.undone:
            return self.undone[path]
        text = self.present(path)
        if text is None or not self.ours:
            return text
        return editing.without(text, self.ours, sourced=self._is_sourced(path))

    def read(self, path: Path) -> str:
        """Return the same, "" for no file."""
        return self.text(path) or ""

    def _sources(self) -> list[tuple[Path, bool]]:
        """Return the files of the sources, each with whether a shell reads it."""
        return [
            (path, pattern.startswith(_SHELL))
            for pattern in self.facts.sources
            for path in commandlines.files(pattern, self.root)
        ]

    def _is_sourced(self, path: Path) -> bool:
        return (path, True) in self._sources()

    def place(self, name: str) -> Path:
        """Return the path of a file in the root, free of links."""
        return self.root.real_path(self.root.path / name)


class Absent(Loader):
    """None that is known: files get their text back all the same."""

    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader."""
        return []


def lacking(boots: Sequence[Boot], words: Sequence[str]) -> list[Boot]:
    """Return the command lines of which the kernel does not take exactly these words."""
    wanted = crashwords.taken(words)
    return [boot for boot in boots if crashwords.taken(crashwords.words_of(boot.cmdline)) != wanted]
