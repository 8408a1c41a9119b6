# SPDX-License-Identifier: GPL-2.0-or-later
"""A grammar, and what it makes of some words: options, or what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...core.errors import UsageError
from ..options import Parser
from .requests import Request

#: The name under which every grammar has the words that are no options.
WORDS = "words"


@dataclass(frozen=True)
class Grammar:
    """One way to say things.

    ``marks`` are the options that no other grammar has, flags by the names of their values: one
    of them in the parsed options says that this grammar is meant. ``requests`` and ``warnings``
    take parsed options; ``requests`` raises UsageError. ``hint`` is for words it does not know.
    """

    parser: Callable[[], Parser]
    marks: Mapping[str, str]
    requests: Callable[[argparse.Namespace], Sequence[Request]]
    warnings: Callable[[argparse.Namespace], Iterable[str]]
    hint: str


@dataclass(frozen=True)
class Reading:
    """What a grammar makes of the words.

    ``problem`` is why the parser gave up, "" if it did not: then ``arguments`` are those that it
    had come to. ``unknown`` are the words that it does not know; ``marked`` says whether one of
    the grammar's marks is among the words.
    """

    grammar: Grammar
    arguments: argparse.Namespace
    problem: str
    unknown: tuple[str, ...]
    marked: bool

    @property
    def words(self) -> list[str]:
        """The words that are neither options nor their values."""
        return list(getattr(self.arguments, WORDS, None) or ())

    def check(self, *, elsewhere: Container[str] = ()) -> None:
        """Raise UsageError for words that do not fit; ``elsewhere`` are other grammars' options."""
        if self.problem:
            raise UsageError(self.problem, hint=self.grammar.hint)
        if self.unknown:
            raise self.grammar.parser().unknown(
                self.unknown, self.grammar.hint, elsewhere=elsewhere
            )

    def requests(self) -> tuple[Request, ...]:
        """Return what is asked for; raises UsageError."""
        self.check()
        return tuple(self.grammar.requests(self.arguments))


def read(grammar: Grammar, words: Sequence[str]) -> Reading:
    """Read ``words`` by ``grammar``; whatever they are, it does not raise."""
    parser = grammar.parser()
    arguments, problem, at, unknown = _parse(parser, words)
    reading = Reading(grammar, arguments, problem, unknown, _has(grammar, arguments, at))
    while at and at in words and not reading.marked:
        # What was meant may come behind the word that is wrong.
        words = [*words[: words.index(at)], *words[words.index(at) + 1 :]]
        behind, _, at, _ = _parse(parser, words)
        if _has(grammar, behind, at):
            return Reading(grammar, arguments, problem, unknown, marked=True)
    return reading


def _parse(
    parser: Parser, words: Sequence[str]
) -> tuple[argparse.Namespace, str, str, tuple[str, ...]]:
    """Return (options, problem, the option that has the problem, unknown words)."""
    arguments = argparse.Namespace()
    # Behind "--" there are no options: argparse forgets that when options and words are mixed.
    end = words.index("--") if "--" in words else len(words)
    try:
        _, unknown = parser.parse_known_intermixed_args(words[:end], arguments)
        setattr(arguments, WORDS, [*getattr(arguments, WORDS), *words[end + 1 :]])
    except argparse.ArgumentError as error:
        # "-f/--force" where an option has several names: the one that was said is not told.
        names = (error.argument_name or "").split("/")
        at = next((name for name in names if name in words), "")
        return arguments, str(error), at, ()
    return arguments, "", "", tuple(unknown)


def _has(grammar: Grammar, arguments: argparse.Namespace, at: str) -> bool:
    said = (getattr(arguments, name, None) for name in grammar.marks)
    return at in grammar.marks.values() or any(value not in (None, False) for value in said)
