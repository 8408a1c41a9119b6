# SPDX-License-Identifier: GPL-2.0-or-later
"""Words in texts that people write, too: found with their lines, taken out, and put in.

Whatever else there is in a text stays as it is, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import KdumpInitrdError
from ..core.files import TEXT
from ..core.root import Root
from . import crashwords

#: A word of a command line, in quotes or not.
_WORD = re.compile(rf"(?<![\w.-]){re.escape(crashwords.NAME)}[^\s\"'#\\]+")
_COMMENT = re.compile(r"[ \t]*#")
#: A line that is a comment; and whatever has one in a shell file, where "#" begins one at the
#: beginning of a word, if it is not in quotes.
_COMMENT_LINE = re.compile(r"^[ \t]*(?P<comment>#[^\n]*)", re.MULTILINE)
_SHELL = re.compile(
    r"""\\.|"(?:[^"\\]|\\.)*"|'[^']*'|(?<![^\s;&|()])(?P<comment>#[^\n]*)""", re.DOTALL
)
#: The value of a shell's assignment: one text in quotes, or one without.
_VALUE = re.compile(
    r"""(?P<quote>["'])(?P<in>(?:(?!(?P=quote))[^\\]|\\.)*)(?P=quote)(?=\s|;|$)"""
    r"""|(?P<bare>[^\s"'#\\;`()]*)(?=\s|;|$)"""
)


@dataclass(frozen=True)
class Found:
    """A crashkernel= word in a file, and its line, which counts from 1."""

    path: Path
    line: int
    word: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def text_of(content: bytes) -> str:
    """Return the text of a file; what is not UTF-8 in it comes back with bytes_of()."""
    return content.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Return the bytes of a text of text_of()."""
    return text.encode("utf-8", "surrogateescape")


def find(path: Path, root: Root, *, sourced: bool) -> list[Found]:
    """Return the crashkernel= words of a text, ``sourced`` by a shell or not; raises OSError."""
    text = root.read_text(path, limit=TEXT)
    return [
        Found(path, text.count("\n", 0, match.start()) + 1, match[0])
        for match in _words(_WORD, text, sourced)
    ]


def without(text: str, words: Sequence[str], *, sourced: bool) -> str:
    """Return a text, ``sourced`` by a shell or not, without these words, where they are no comment.

    One blank goes with each: that before it, else that behind it.
    """
    for word in words:
        alone = rf"{re.escape(word)}(?![^\s\"'])"
        pattern = re.compile(rf"[ \t]{alone}|(?<![\w.-]){alone}[ \t]?")
        for match in reversed(_words(pattern, text, sourced)):
            text = text[: match.start()] + text[match.end() :]
    return text


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with their ends; only a line feed ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _words(pattern: re.Pattern[str], text: str, sourced: bool) -> list[re.Match[str]]:
    """Return where a pattern matches, but for comments."""
    found = (_SHELL if sourced else _COMMENT_LINE).finditer(text)
    comments = [match.span("comment") for match in found if match["comment"]]
    return [
        match
        for match in pattern.finditer(text)
        if not any(start < match.end() <= end for start, end in comments)
    ]


def in_assignment(text: str, variable: str, words: Sequence[str]) -> str:
    """Return a shell file's text in which ``variable`` ends with these words, too.

    Raises KdumpInitrdError for an assignment that does not end on its line, and for one that is not
    a line of its own: another one behind it would drop what it says.
    """
    more = " ".join(words)
    lines = lines_of(text)
    other = re.compile(rf"[^#]*(?<!\w){re.escape(variable)}\+?=")
    begin = re.compile(rf"(\s*(?:export\s+)?{re.escape(variable)}=)(.*)", re.DOTALL)
    there = [number for number, line in enumerate(lines) if begin.match(line)]
    for number, line in enumerate(lines):
        if number not in there and other.match(line):
            raise KdumpInitrdError(
                f"line {number + 1} sets {variable} in a way that is not known here",
                hint=f"add {more} to it by hand",
            )
    if not there:
        end = "" if not text or text.endswith("\n") else "\n"
        return f'{text}{end}{variable}="{more}"\n'
    match = begin.match(lines[there[-1]])
    assert match is not None
    value = _VALUE.match(match[2])
    if value is None:
        raise KdumpInitrdError(
            f"{variable} is not one text in quotes", hint=f"add {more} to it by hand"
        )
    quote, old = value["quote"] or '"', (value["in"] or value["bare"] or "").rstrip()
    rest = match[2][value.end() :]
    lines[there[-1]] = f"{match[1]}{quote}{f'{old} {more}'.lstrip()}{quote}{rest}"
    return "".join(lines)


def in_line(text: str, words: Sequence[str], *, key: str = "") -> str:
    """Return a text with these words added to its last line that begins with ``key``.

    Comments do not count; if there is no such line, one is added.
    """
    lines = lines_of(text)
    wanted = re.compile(rf"\s*{key}\s+\S" if key else r"\s*\S")
    there = [n for n, line in enumerate(lines) if wanted.match(line) and not _COMMENT.match(line)]
    if not there:
        end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{end}{' '.join([key, *words]).lstrip()}\n"
    lines[there[-1]] = with_words(lines[there[-1]], words)
    return "".join(lines)


def with_words(line: str, words: Sequence[str]) -> str:
    """Return a line with words at its end, before a quote and the line's own end."""
    match = re.fullmatch(r"(.*?)(\s*[\"']?\s*)", line, re.DOTALL)
    assert match is not None
    return " ".join([match[1], *words]) + match[2].lstrip(" \t")
