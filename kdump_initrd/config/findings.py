# SPDX-License-Identifier: GPL-2.0-or-later
"""What reading configuration files yields: values with their origin, errors and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core import trust
from ..core.errors import UsageError
from ..core.files import TEXT
from ..core.password import hidden
from ..core.root import Root
from ..core.schema import nearest
from .settings import HOST, SETTINGS, Setting, parse
from .targetsettings import OF_TARGET, TargetSettings

#: How many complaints are printed, and how many characters of each: nobody reads more.
_MANY, _LONGEST_LINE = 100, 500
#: The rows of the table by the names of their attributes.
ROWS = {row.name: row for row in (*SETTINGS, *HOST)}
#: The rows of one target by the names of its attributes.
TARGET = {"to": ROWS["target"], **{name: ROWS[name] for name in OF_TARGET}}


@dataclass(frozen=True)
class Place:
    """A line of a file; lines count from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Said:
    """A key and its value, in one place of a file."""

    key: str
    value: str
    place: Place


@dataclass
class Findings:
    """Collects what files say; if several say the same thing, the last one wins.

    ``errors`` are texts that begin with the place. For some of them, ``mended_by`` has the setting
    that makes the error irrelevant if it is set elsewhere.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    mended_by: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def take(self, name: str, words: str | Sequence[str] | bool, said: Said) -> None:
        """Set the row ``name`` to the value of ``words``, or note an error."""
        try:
            self.put(name, parsed(ROWS[name], words), said.place)
        except ValueError as error:
            self.fail(said, str(error))

    def put(self, name: str, value: object, place: Place) -> None:
        """Set the row ``name`` to a value, which is said in that place."""
        self.values[name] = value
        self.origins[name] = str(place)

    def aim(self, targets: Sequence[TargetSettings]) -> None:
        """Replace all targets of earlier files with these."""
        self.values["targets"] = tuple(targets)
        self.origins["targets"] = targets[-1].origin

    def add_target(self, said: Said, **words: str) -> None:
        """Add a target; ``words`` are the values of TARGET's rows."""
        try:
            values = {name: parsed(TARGET[name], word) for name, word in words.items()}
        except ValueError as error:
            self.fail(said, str(error), mended_by="targets")
            return
        target = TargetSettings(**values, origin=str(said.place), key=said.key)
        self.aim((*self.values.get("targets", ()), target))

    def forget(self, name: str) -> None:
        """Undo what was said of the row ``name``."""
        self.values.pop(name, None)
        self.origins.pop(name, None)

    def warn(self, said: Said, text: str) -> None:
        """Note that a key has another effect than its author may expect."""
        self.warn_at(said.place, f"{said.key}: {text}")

    def warn_at(self, place: Place | Path, text: str) -> None:
        """Note the same about a line, or about a whole file."""
        _add(self.warnings, _printable(f"{place}: {text}"))

    def fail(self, said: Said, text: str, *, mended_by: str = "") -> None:
        """Note an error about a key."""
        self.fail_at(said.place, f"{said.key}: {text}", mended_by=mended_by)

    def fail_at(self, place: Place | Path, text: str, *, mended_by: str = "") -> None:
        """Note an error about a place, or about a whole file."""
        line = _printable(f"{place}: {text}")
        _add(self.errors, line)
        if mended_by:
            self.mended_by[line] = mended_by

    def near(self, word: str, known: Sequence[str], *, cutoff: float = 0.6) -> str:
        """Return the one of ``known`` that ``word`` resembles, "" if none does.

        It is slow, so after a hundred complaints it returns "".
        """
        if max(len(self.errors), len(self.warnings)) > _MANY:
            return ""
        return nearest(word, known, cutoff=cutoff)

    def open(self, name: str, *, root: Root) -> tuple[Path, bytes] | None:
        """Return the path of the file ``name`` of ``root`` and its bytes; None if there is none.

        If it exists but cannot be read, an error is noted and the result is None, too.
        """
        path = root.real_path(root.path / name)
        try:
            content = root.read(path, limit=TEXT)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.files.append(path)
            self.fail_at(path, error.strerror or str(error))
            return None
        self.files.append(path)
        self.mistrust(path)
        return path, content

    def mistrust(self, path: Path) -> None:
        """Warn of a file or folder that users other than root can change."""
        text = trust.warning(path)
        if text:
            self.warn_at(path, text)


def _add(lines: list[str], line: str) -> None:
    if len(lines) <= _MANY:
        lines.append(line if len(lines) < _MANY else f"{line} (further ones are not listed)")


def _printable(text: str) -> str:
    # A file may contain anything, and a terminal executes some of it.
    text = hidden(text)
    if len(text) > _LONGEST_LINE:
        text = f"{text[:_LONGEST_LINE]}…"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def parsed(row: Setting, words: str | Sequence[str] | bool) -> Any:  # noqa: ANN401
    """Return the value of ``words`` for a row; raises ValueError with what is wrong with them.

    Rows that can be repeated take a list of words, switches a bool, and the others one word.
    """
    if isinstance(words, bool):
        return words
    if not isinstance(words, str):
        return tuple(parsed(row, word) for word in words)
    if row.is_text and not words:
        raise ValueError("the value is empty")
    if not words.isprintable():
        raise ValueError("expected one line of printable characters")
    try:
        return parse(row, words)
    except UsageError as error:
        raise ValueError(error.hint or error.message) from error
