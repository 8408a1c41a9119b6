# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of kernel releases, as the distribution's package manager orders versions."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import TypeVar

_Comparable = TypeVar("_Comparable", str, tuple[int, str])
#: What rpm compares: numbers, words, and the two separators that have a meaning.
_RPM_PARTS = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
#: What dpkg compares in turn: text, then a number.
_DPKG_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
#: A release candidate comes before the release, as in packages that the kernel's own build makes
#: (scripts/package/mkdebian).
_CANDIDATE = re.compile(r"-(?=rc[0-9])")


def oldest_first(releases: Iterable[str], *, order: str) -> list[str]:
    """Return kernel releases in the order of a package manager, a name of ORDERS."""
    key = functools.cmp_to_key(ORDERS[order])
    return sorted(sorted(releases), key=lambda release: key(_CANDIDATE.sub("~", release)))


def compare_rpm(one: str, two: str) -> int:
    """Compare as rpm's labelCompare(): below 0 if ``one`` is older, 0 if neither is.

    A kernel release is VERSION-RELEASE, and its version has no dash.
    """
    first, _, second = one.partition("-")
    other, _, last = two.partition("-")
    return _rpm(first, other) or _rpm(second, last)


def compare_dpkg(one: str, two: str) -> int:
    """Compare as ``dpkg --compare-versions`` (deb-version(7)); no epochs: kernels have none."""
    first, _, second = one.rpartition("-") if "-" in one else (one, "", "")
    other, _, last = two.rpartition("-") if "-" in two else (two, "", "")
    return _dpkg(first, other) or _dpkg(second, last)


#: The orders by the name that a profile has for them.
ORDERS: dict[str, Callable[[str, str], int]] = {"rpm": compare_rpm, "dpkg": compare_dpkg}


def _rpm(one: str, two: str) -> int:
    """Compare by rpmvercmp() (rpmio/rpmvercmp.c): the first part that differs decides."""
    for mine, other in zip_longest(_RPM_PARTS.findall(one), _RPM_PARTS.findall(two), fillvalue=""):
        difference = _rpm_rank(mine) - _rpm_rank(other)
        if difference or (mine.isdecimal() and _compare(_number(mine), _number(other))):
            return difference or _compare(_number(mine), _number(other))
        if mine != other and not mine.isdecimal():
            return _compare(mine, other)
    return 0


def _rpm_rank(part: str) -> int:
    # ~ is older than nothing, ^ newer than that, and both are older than any text.
    if part in ("~", "", "^"):
        return ("~", "", "^").index(part)
    return 4 if part[0].isdecimal() else 3


def _dpkg(one: str, two: str) -> int:
    """Compare by verrevcmp() (lib/dpkg/version.c)."""
    for mine, other in zip_longest(_DPKG_PARTS.findall(one), _DPKG_PARTS.findall(two),
                                   fillvalue=("", "")):  # fmt: skip
        for left, right in zip_longest(map(_weight, mine[0]), map(_weight, other[0]), fillvalue=0):
            if left != right:
                return left - right
        found = _compare(_number(mine[1]), _number(other[1]))
        if found:
            return found
    return 0


def _weight(char: str) -> int:
    if char == "~":
        return -1
    return ord(char) if char.isascii() and char.isalpha() else ord(char) + 256


def _number(digits: str) -> tuple[int, str]:
    # Not int(): that refuses numbers that are too long.
    digits = digits.lstrip("0")
    return len(digits), digits


def _compare(one: _Comparable, two: _Comparable) -> int:
    return int(one > two) - int(one < two)
