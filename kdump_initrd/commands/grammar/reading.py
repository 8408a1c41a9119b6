# SPDX-License-Identifier: GPL-2.0-or-later
"""A grammar, and how it reads arguments: as options, or as an error."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...core.errors import UsageError
from ..options import Arguments, Attempt, Parser
from ..verb import Request

#: The name that every grammar has for the words that are not options.
WORDS = "words"


@dataclass(frozen=True)
class Grammar:
    """One way to write a command line.

    ``marks`` are the options that no other grammar has: their flags by the names of their values.
    If one of them was used, this grammar is meant. ``requests`` and ``warnings`` take parsed
    options; ``requests`` raises UsageError. ``hint`` is for words that the grammar does not know.
    """

    parser: Callable[[], Parser]
    marks: Mapping[str, str]
    requests: Callable[[Arguments], Sequence[Request]]
    warnings: Callable[[Arguments], Iterable[str]]
    hint: str


@dataclass(frozen=True)
class Reading:
    """What a grammar makes of the words; ``marked`` says whether one of its marks was used."""

    grammar: Grammar
    found: Attempt
    marked: bool

    @property
    def arguments(self) -> Arguments:
        """The options that were given."""
        return self.found.arguments

    @property
    def wrong(self) -> bool:
        """Whether there are words that do not fit."""
        return bool(self.found.problem or self.found.unknown)

    @property
    def words(self) -> list[str]:
        """The words that are neither options nor their values."""
        return list(getattr(self.arguments, WORDS, None) or ())

    def check(self, *, elsewhere: Container[str] = ()) -> None:
        """Raise UsageError for words that do not fit; ``elsewhere`` are other grammars' options."""
        found, hint = self.found, self.grammar.hint
        if found.problem:
            raise UsageError(found.problem, hint=hint)
        if found.unknown:
            raise self.grammar.parser().unknown(found.unknown, hint, elsewhere=elsewhere)

    def requests(self) -> tuple[Request, ...]:
        """Return what is asked for; raises UsageError."""
        self.check()
        return tuple(self.grammar.requests(self.arguments))


def read(grammar: Grammar, words: Sequence[str]) -> Reading:
    """Read ``words`` by ``grammar``; it never raises."""
    parser = grammar.parser()
    first = found = parser.attempt(words, WORDS)
    marked = _has(grammar, found)
    while found.at and found.at in words and not marked:
        # The option that tells which grammar was meant may follow the wrong word.
        words = [*words[: words.index(found.at)], *words[words.index(found.at) + 1 :]]
        found = parser.attempt(words, WORDS)
        marked = _has(grammar, found)
    return Reading(grammar, first, marked)


def _has(grammar: Grammar, found: Attempt) -> bool:
    said = (getattr(found.arguments, name, None) for name in grammar.marks)
    return found.at in grammar.marks.values() or any(each not in (None, False) for each in said)
