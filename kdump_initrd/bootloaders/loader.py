# SPDX-License-Identifier: GPL-2.0-or-later
"""What a way to the kernel's command line is: where words are, what to write, what to run."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import KdumpInitrdError
from ..core.files import TEXT
from ..core.root import Root
from ..core.run import run
from . import commandlines, crashwords, editing
from .commandlines import Boot
from .editing import Edit, Found

#: What a boot loader's tool may take, in seconds: some look at all disks, or make initrds.
_PATIENCE = 900.0
#: Where files are read by a shell.
_SHELL = ("etc/default/", "etc/u-boot-menu/")


@dataclass(frozen=True)
class Facts:
    """A boot loader, as a distribution's profile tells of it; all paths are of the root.

    It is there if all of ``marks`` are, and one of ``any``, if that has any. ``file`` is what is
    written, ``variable`` the name in it, ``usual`` what that means where it is empty, ``run`` the
    command that makes it count. ``sources`` are files in which a person may have a word, and
    ``reads`` those that the boot loader reads: the first that has a command line counts. Of a path
    in the last three and in ``any`` the last part may have wildcards.
    """

    name: str
    way: str
    marks: tuple[str, ...]
    any: tuple[str, ...] = ()
    file: str = ""
    variable: str = ""
    usual: str = ""
    run: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loader(ABC):
    """One way, on one root; ``kernels`` are its releases with their images, oldest first."""

    facts: Facts
    root: Root
    kernels: Mapping[str, Path]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.facts.name

    @property
    def own(self) -> Path | None:
        """The file that is ours alone, None where there is none."""
        return None

    def boots(self) -> list[Boot]:
        """Return the command lines that the next boot may have; raises OSError."""
        return commandlines.read(self.facts.reads, self.root)

    def found(self) -> list[Found]:
        """Return the words in what people write, or the loader's tool for them; raises OSError.

        Our own file is left out.
        """
        return [
            found
            for pattern in self.facts.sources
            for path in commandlines.files(pattern, self.root)
            if path != self.own
            for found in editing.find(path, self.root, sourced=pattern.startswith(_SHELL))
        ]

    def own_words(self) -> list[str]:
        """Return the words in the file that is ours alone; raises OSError."""
        own = self.own
        found = editing.find(own, self.root, sourced=True) if own and own.exists() else []
        return [each.word for each in found]

    @abstractmethod
    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """Return what to write; raises KdumpInitrdError and OSError."""

    def commands(self, remove: Sequence[str], add: Sequence[str]) -> list[list[str]]:
        """Return what to run when that is written."""
        return [[*self.facts.run]] if self.facts.run else []

    def change(self, remove: Sequence[str], add: Sequence[str]) -> list[str]:
        """Take words out and put words in; return the commands that are left to a person.

        These are all of them where the root is not this machine's: nothing of it is run. Raises
        KdumpInitrdError; what was done until then stays, and the next run goes on from there.
        """
        try:
            for edit in self.edits(remove, add):
                edit.apply()
        except OSError as error:
            raise KdumpInitrdError(f"{error.filename}: {error.strerror}") from error
        commands = self.commands(remove, add)
        if not self.root.is_host:
            return [shlex.join(command) for command in commands]
        for command in commands:
            run(command, timeout=_PATIENCE)
        return []

    def read(self, path: Path) -> str:
        """Return the text of a file as editing.text_of() does, "" for none; raises OSError."""
        return editing.text_of(self.root.read(path, limit=TEXT)) if path.exists() else ""

    def place(self, name: str) -> Path:
        """Return the path of a file in the root, free of links."""
        return self.root.real_path(self.root.path / name)


def lacking(boots: Sequence[Boot], words: Sequence[str]) -> list[Boot]:
    """Return the command lines of which the kernel does not take exactly these words."""
    wanted = crashwords.taken(words)
    return [boot for boot in boots if crashwords.taken(crashwords.words_of(boot.cmdline)) != wanted]
