# SPDX-License-Identifier: GPL-2.0-or-later
"""Assignments of a shell file, read as a shell would and without running anything.

The grammar is that of POSIX's Shell Command Language (2.2 Quoting, 2.3 Token Recognition, 2.6
Word Expansions), as far as a file of assignments needs it, and bash's ``+=``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .shelltokens import Literal, Problem, Token, Unknown, Variable, Word, tokens

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_DECLARED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\+?=|$)")
#: What may precede an assignment, which remains one.
_DECLARATIONS = ("export", "readonly", "declare", "typeset")
#: Reserved words (2.4): a command follows on the same line; some begin what may or may not be run.
_OPENING = ("if", "while", "until", "{")
_INTRODUCING = (*_OPENING, "then", "else", "elif", "do", "!")
#: Those that begin it and are followed by words.
_LISTING = ("case", "for", "select", "function")
_CLOSING = ("fi", "esac", "done", "}")
#: Variables made of variables could grow without end; a kernel's command line has at most 4096.
_LONGEST = 65536
#: The command after it may not be run, or not in this shell; a new line does not change that.
_JOINING = ("&&", "||", "|", "|&")
#: The command before it is run in a shell of its own.
_FORKING = ("|", "|&", "&")


@dataclass(frozen=True)
class Assignment:
    """An assignment to ``name``; ``problem`` says why the value cannot be told, "" if it can.

    ``line`` counts from 1; ``extends`` says that the value contains the previous one.
    """

    name: str
    value: str
    line: int
    problem: str = ""
    extends: bool = False


@dataclass(frozen=True)
class Command:
    """Something that is not an assignment, represented by its first word."""

    word: str
    line: int


@dataclass(frozen=True)
class Script:
    """The contents of a file, in order; ``used`` are the variables that values are made of.

    ``problem`` is why the rest from ``line`` on cannot be read, "" if all of it could.
    """

    assignments: tuple[Assignment, ...]
    commands: tuple[Command, ...]
    used: frozenset[str]
    problem: str = ""
    line: int = 0


def read(text: str) -> Script:
    """Read a file of assignments; nothing in it is run, and nothing is raised."""
    return _Reader().read(text)


class _Reader:
    """The variables, as far as the file has been read."""

    def __init__(self) -> None:
        self._values: dict[str, Assignment] = {}
        self._assignments: list[Assignment] = []
        self._commands: list[Command] = []
        self._used: set[str] = set()
        self._depth = 0

    def read(self, text: str) -> Script:
        problem, line = "", 0
        try:
            for words, certain in _commands(tokens(text.replace("\r\n", "\n"))):
                self._command(words, certain)
        except Problem as error:
            problem, line = error.text, error.line
        return Script(
            assignments=tuple(self._assignments),
            commands=tuple(self._commands),
            used=frozenset(self._used),
            problem=problem,
            line=line,
        )

    def _command(self, words: Sequence[Word], certain: bool) -> None:
        outside = self._depth == 0
        rest = self._unwrap(words)
        assignments = _assignments(rest)
        if assignments is not None:
            self._assign(assignments, certain)
        # A single line says that the part from `if` to `fi` is not followed.
        told = bool(self._commands) and self._commands[-1].line == words[0].line
        if outside and not told and (assignments is None or rest != words):
            self._commands.append(Command(words[0].bare() or "?", words[0].line))

    def _unwrap(self, words: Sequence[Word]) -> Sequence[Word]:
        """Remove the reserved words that a command begins with."""
        first = 0
        while first < len(words) and words[first].bare() in (*_INTRODUCING, *_CLOSING):
            self._depth += words[first].bare() in _OPENING
            self._depth -= words[first].bare() in _CLOSING and self._depth > 0
            first += 1
        self._depth += first < len(words) and words[first].bare() in _LISTING
        return words[first:]

    def _assign(self, words: Sequence[Word], certain: bool) -> None:
        for word in words:
            found = _ASSIGNMENT.match(word.bare())
            assert found is not None  # the callers have asked
            name, append = found[1], bool(found[2])
            value, problem = self._expand(word.after(found.end()), name)
            if append and name in self._values:
                value = self._values[name].value + value
                problem = problem or self._values[name].problem
            if not problem and len(value) > _LONGEST:
                problem = "it is too long"
            if not problem and (self._depth or not certain):
                problem = "whether it is set depends on a command, and none is run"
            extends = append or Variable(name) in word.parts
            made = Assignment(name, "" if problem else value, word.line, problem, extends)
            self._values[name] = made
            self._assignments.append(made)

    def _expand(self, word: Word, name: str) -> tuple[str, str]:
        """Return (value, problem) of the word after ``name=``."""
        value, problem = "", ""
        if word.parts and word.bare().startswith("~"):
            problem = "a ~ that a shell would expand"
        for part in word.parts:
            if len(value) > _LONGEST:
                break
            if isinstance(part, Literal):
                value += part.text
            elif isinstance(part, Unknown):
                problem = problem or part.text
            else:
                self._used.add(part.name)
                known = self._values.get(part.name)
                # A variable that is not set yet is empty in its own value: A="$A more".
                if known is None and part.name != name:
                    problem = problem or f"${part.name} is not set in this file"
                elif known is not None:
                    value += known.value
                    problem = problem or known.problem
        if len(value) > _LONGEST:
            return "", problem or "it is too long"
        if not problem and not value.replace("\t", "").replace("\n", "").isprintable():
            problem = "it has characters that are not text"
        return value, problem


def _assignments(words: Sequence[Word]) -> Sequence[Word] | None:
    """Return the assigning words of a command that does nothing else."""
    allowed = _ASSIGNMENT
    if words and words[0].bare() in _DECLARATIONS:
        words = [word for word in words[1:] if not word.bare().startswith("-")]
        allowed = _DECLARED
    if not all(allowed.match(word.bare()) for word in words):
        return None
    return [word for word in words if _ASSIGNMENT.match(word.bare())]


def _commands(stream: Iterator[Token]) -> Iterator[tuple[list[Word], bool]]:
    """Yield each command's words, and whether it is certainly run, and in this shell."""
    words: list[Word] = []
    before, nested = "\n", 0
    for token in stream:
        if isinstance(token, Word):
            words.append(token)
            continue
        if words:
            yield words, not nested and before not in _JOINING and token.text not in _FORKING
        # A pattern of `case` has a closing parenthesis only.
        nested = max(0, nested + (token.text == "(") - (token.text == ")"))
        before = token.text if words or before not in _JOINING else before
        words = []
