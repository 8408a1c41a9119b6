# SPDX-License-Identifier: GPL-2.0-or-later
"""crashkernel= words: what may be said, and what the kernel takes of several.

Grammar: Documentation/admin-guide/kdump/kdump.rst; the kernel reads it in kernel/crash_reserve.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..core.errors import UsageError

NAME = "crashkernel="
#: A size as memparse() (lib/cmdline.c) takes it: a number and a unit.
_SIZE = r"\d+[KMGTkmgt]?"
_PLAIN = re.compile(rf"({_SIZE})(?:@{_SIZE})?")
_SUFFIXED = re.compile(rf"({_SIZE}),(high|low|cma)")
_RANGE = re.compile(rf"({_SIZE})-({_SIZE})?:({_SIZE})")
#: A smaller size, in bytes, lacks its unit.
_SMALLEST = 1 << 20
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_EXPECTED = (
    "expected SIZE, SIZE,high, SIZE,low, SIZE,cma or ranges such as 1G-4G:160M,4G-:256M; "
    "a SIZE is a number with K, M, G or T behind it"
)


@dataclass(frozen=True)
class Demand:
    """What the kernel takes of its crashkernel= words, in bytes.

    ``fixed`` is None where the words do not tell (crashkernel=auto of some distributions), ``low``
    is what is asked for below 4 GiB beside a part above it, and ``cma`` what is shared with the
    running system until the crash (Linux 6.17).
    """

    fixed: int | None
    low: int = 0
    cma: int = 0

    @property
    def mib(self) -> int:
        """All of it in MiB, as far as the words tell."""
        return ((self.fixed or 0) + self.cma) >> 20


def parse(text: str) -> tuple[str, ...]:
    """Return the words that a person asks for; each may lack its "crashkernel=".

    Several are separated by blanks. Raises UsageError.
    """
    words = tuple(f"{NAME}{word.removeprefix(NAME)}" for word in text.split())
    for word in words:
        if _kind(word) is None:
            raise UsageError(f"{word.removeprefix(NAME)}: not a reservation", hint=_EXPECTED)
        single = _SUFFIXED.fullmatch(word, len(NAME)) or _PLAIN.fullmatch(word, len(NAME))
        if single and size(single[1]) < _SMALLEST:
            raise UsageError(f"{word.removeprefix(NAME)}: less than 1 MiB", hint=_EXPECTED)
    kinds = [_kind(word) for word in words]
    if not words or len(set(kinds)) < len(kinds):
        raise UsageError(f"{text!r}: expected each kind of reservation once", hint=_EXPECTED)
    if "low" in kinds and "high" not in kinds:
        raise UsageError(f"{text}: ,low is a part of what ,high reserves", hint=_EXPECTED)
    if "high" in kinds and "" in kinds:
        raise UsageError(f"{text}: beside a plain size the kernel ignores ,high", hint=_EXPECTED)
    return words


def words_of(cmdline: str) -> list[str]:
    """Return the crashkernel= words of a command line, in their order."""
    return [word for word in cmdline.split() if word.startswith(NAME)]


def taken(words: Iterable[str]) -> dict[str, str]:
    """Return the words that count, by their kind: the last one of each.

    Where there is a plain size, high and low do not count.
    """
    found = {_kind(word) or "": word for word in words}
    if "" in found:
        found.pop("high", None)
        found.pop("low", None)
    return found


def demand(words: Iterable[str], *, memory: int) -> Demand | None:
    """Return what words reserve on a machine with that much memory in bytes; None for no word."""
    found = taken(words)
    sizes = {kind: _bytes(word, memory) for kind, word in found.items()}
    if not found:
        return None
    fixed = sizes.get("", sizes.get("high", 0))
    return Demand(fixed, sizes.get("low") or 0, sizes.get("cma") or 0)


def _kind(word: str) -> str | None:
    """Return the kind of a word: "", high, low or cma; None for one that is not known."""
    value = word.removeprefix(NAME)
    suffixed = _SUFFIXED.fullmatch(value)
    if suffixed:
        return suffixed[2]
    ranges, _, offset = value.partition("@")
    if all(_RANGE.fullmatch(each) for each in ranges.split(",")) and (
        not offset or _PLAIN.fullmatch(offset)
    ):
        return ""
    return "" if _PLAIN.fullmatch(value) else None


def _bytes(word: str, memory: int) -> int | None:
    value = word.removeprefix(NAME).partition("@")[0]
    match = _SUFFIXED.fullmatch(value) or _PLAIN.fullmatch(value)
    if match:
        return size(match[1])
    ranges = [_RANGE.fullmatch(each) for each in value.split(",")]
    for each in ranges:
        if each is None:
            return None
        if size(each[1]) <= memory and (not each[2] or memory < size(each[2])):
            return size(each[3])
    return 0


def size(text: str) -> int:
    """Return the bytes of a size such as 160M."""
    number = text.rstrip("KMGTkmgt")
    return int(number) << _UNITS[text[len(number) :].lower()]
