# SPDX-License-Identifier: GPL-2.0-or-later
"""The words and operators of a shell file: what is quoted in them, and what would be expanded."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

_BLANK = re.compile(r"(?:[ \t]|\\\n)+")
_COMMENT = re.compile(r"#[^\n]*")
_OPERATOR = re.compile(r"\n|;;&|;;|;&|;|&&|&(?!>)|\|\||\|&|\||\(|\)")
#: Among them bash's here-string; here-documents are not.
_REDIRECTION = re.compile(r"<<<|&>>?|[<>]&[0-9-]*|>>|>\||<>|<(?!<)|>")
_HERE_DOCUMENT = re.compile(r"<<-?(?!<)")
_PLAIN = re.compile(r"[^ \t\n\\'\"$`;&|()<>]+")
_SINGLE = re.compile(r"'([^']*)'")
_IN_DOUBLE = re.compile(r'[^\\"$`]+')
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_SPECIAL = re.compile(r"\$[0-9@*#?$!-]")
_ARRAY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
#: What opens a nested part inside `$(…)`, `${…}` and the like, and what closes it.
_CLOSING = {"$(": ")", "${": "}", "(": ")", '"': '"', "`": "`"}


class Problem(Exception):
    """The rest of the file cannot be read, from ``line`` on; never leaves the parser."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


@dataclass(frozen=True)
class Literal:
    """Text that stands for itself."""

    text: str
    quoted: bool


@dataclass(frozen=True)
class Variable:
    """The value of a variable."""

    name: str


@dataclass(frozen=True)
class Unknown:
    """Something that only a shell can evaluate, described in a few words."""

    text: str


Part = Union[Literal, Variable, Unknown]


@dataclass(frozen=True)
class Word:
    """A word, and the line (from 1) on which it begins."""

    parts: tuple[Part, ...]
    line: int

    def bare(self) -> str:
        """Return the text at the beginning of the word, up to the first quote or expansion."""
        first = self.parts[0]
        return first.text if isinstance(first, Literal) and not first.quoted else ""

    def after(self, length: int) -> Word:
        """Return the word without the first ``length`` characters of its bare text."""
        rest = Literal(self.bare()[length:], quoted=False)
        return Word((*((rest,) if rest.text else ()), *self.parts[1:]), self.line)


@dataclass(frozen=True)
class Operator:
    """What separates commands: an end of line, ``;``, ``&&``, ``(`` and the like."""

    text: str


Token = Union[Word, Operator]


def tokens(text: str) -> Iterator[Token]:
    """Yield the words and operators of ``text`` (lines end with LF), and a final end of line.

    Raises Problem for a quote that is not closed, and for a here-document.
    """
    return _Lexer(text).tokens()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        # The line of the last place asked for; places only increase.
        self._place, self._number = 0, 1

    def tokens(self) -> Iterator[Token]:
        while self._skip_blank():
            operator = self._take(_OPERATOR)
            if operator:
                yield Operator(operator)
                continue
            line = self._line()
            if _HERE_DOCUMENT.match(self._text, self._at):
                raise Problem("a here-document: what follows is not read", line)
            if self._take(_REDIRECTION):
                yield Word((Unknown("a redirection"),), line)
                continue
            yield Word(tuple(_joined(self._word())), line)
        yield Operator("\n")

    def _skip_blank(self) -> bool:
        while self._take(_BLANK) or self._take(_COMMENT):
            pass
        return self._at < len(self._text)

    def _word(self) -> Iterator[Part]:
        start = self._at
        while self._at < len(self._text):
            if self._text[self._at] == "(" and _ARRAY.fullmatch(self._text, start, self._at):
                self._skip("(")
                yield Unknown("an array")
            plain = self._take(_PLAIN)
            if plain:
                yield Literal(plain, quoted=False)
                continue
            char = self._text[self._at : self._at + 1]
            if char == "\\":
                yield from self._escaped()
            elif char == "'":
                yield self._single()
            elif char == '"':
                yield from self._double()
            elif char in ("$", "`") and char:
                yield self._expansion(quoted=False)
            else:
                return

    def _escaped(self) -> Iterator[Part]:
        escaped = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if escaped != "\n":
            yield Literal(escaped, quoted=True)

    def _single(self) -> Part:
        line = self._line()
        text = self._take(_SINGLE)
        if not text:
            raise Problem("a quote that does not end", line)
        return Literal(text[1:-1], quoted=True)

    def _double(self) -> Iterator[Part]:
        line = self._line()
        self._at += 1
        yield Literal("", quoted=True)
        while self._at < len(self._text):
            plain = self._take(_IN_DOUBLE)
            if plain:
                yield Literal(plain, quoted=True)
                continue
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return
            if char == "\\":
                escaped = self._text[self._at + 1 : self._at + 2]
                self._at += 2
                # Before any other character, the backslash is an ordinary one.
                kept = escaped if escaped and escaped in '$`"\\' else char + escaped
                yield Literal("" if escaped == "\n" else kept, quoted=True)
            else:
                yield self._expansion(quoted=True)
        raise Problem("a quote that does not end", line)

    def _expansion(self, *, quoted: bool) -> Part:
        """Read what begins with `$` or a backquote here."""
        variable = _VARIABLE.match(self._text, self._at)
        if variable:
            self._at = variable.end()
            return Variable(variable[1] or variable[2])
        if self._text.startswith(("$(", "`"), self._at):
            arithmetic = self._text.startswith("$((", self._at)
            self._skip("`" if self._text[self._at] == "`" else "$(")
            return Unknown("arithmetic" if arithmetic else "the output of a command")
        if self._text.startswith("${", self._at):
            self._skip("${")
            return Unknown("an expansion other than $NAME and ${NAME}")
        special = self._take(_SPECIAL)
        if special:
            return Unknown(f"the shell's parameter {special}")
        self._at += 1
        if not quoted and self._text.startswith("'", self._at):
            self._skip_ansi()
            return Unknown("bash's $'…'")
        return Literal("$", quoted=True)

    def _skip_ansi(self) -> None:
        found = re.compile(r"'(?:\\.|[^'\\])*'", re.DOTALL).match(self._text, self._at)
        if not found:
            raise Problem("a quote that does not end", self._line())
        self._at = found.end()

    def _skip(self, opening: str) -> None:
        """Skip the nested part that begins with ``opening`` here."""
        line = self._line()
        closing = [_CLOSING[opening]]
        self._at += len(opening)
        while closing:
            if self._at >= len(self._text):
                raise Problem(f"{opening} that does not end", line)
            self._step(closing)

    def _step(self, closing: list[str]) -> None:
        """Advance by at least one character; ``closing`` is what is open, the innermost last."""
        text, at = self._text, self._at
        self._at += 1
        if text[at] == "\\":
            self._at += 1
        elif text[at] == closing[-1]:
            closing.pop()
        elif text[at] == "'" and closing[-1] != '"':
            end = text.find("'", at + 1)
            self._at = end + 1 if end >= 0 else len(text)
        elif text.startswith(("$(", "${"), at):
            closing.append(_CLOSING[text[at : at + 2]])
            self._at += 1
        elif text[at] in ('"', "`") or (text[at] == "(" and closing[-1] == ")"):
            closing.append(_CLOSING[text[at]])

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found[0] if found else ""

    def _line(self) -> int:
        self._number += self._text.count("\n", self._place, self._at)
        self._place = self._at
        return self._number


def _joined(parts: Iterator[Part]) -> Iterator[Part]:
    """Join adjacent literals; a word has at least one part."""
    kinds = itertools.groupby(parts, lambda part: isinstance(part, Literal) and part.quoted + 1)
    empty = True
    for kind, group in kinds:
        empty = False
        if kind:
            text = "".join(part.text for part in group if isinstance(part, Literal))
            yield Literal(text, quoted=kind == 2)
        else:
            yield from group
    if empty:
        yield Literal("", quoted=True)
