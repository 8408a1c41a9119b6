# SPDX-License-Identifier: GPL-2.0-or-later
"""How words become the values of settings; ValueError says what is wrong with a word."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from ..core import password
from ..saver.params import RANGES

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*(?=://)")
#: A parameter of the kernel's, or the beginning of several.
_NAME = re.compile(r"[\w.-]+\*?")

#: A number, and what it counts; the sizes are powers of two.
_SHARE = re.compile(r"([0-9]{1,15})(%|[KMGT]|)")
_SHIFTS = {"": 0, "%": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def as_it_is(value: object) -> object:
    """Return the value: a file has most of them as they are."""
    return value


def plain(word: str) -> str:
    """Take one line without blanks at its ends."""
    # Nobody wants a value that ends in a blank or has more than one line.
    if not word.isprintable():
        raise ValueError("expected one line of printable characters")
    if word != word.strip():
        raise ValueError("it begins or ends with a blank: remove that")
    return word


def place(word: str) -> str:
    """Take a target: its scheme becomes lower case, a password goes."""
    # Whoever writes SSH:// means ssh://.
    return _SCHEME.sub(lambda found: found[0].lower(), password.without(plain(word)))


def number(field: str) -> Callable[[str], int]:
    """Return a parser of numbers up to the largest that this field of the contract can have."""
    most, expected = RANGES[field]

    def read(word: str) -> int:
        value = int(word) if word.isdecimal() else -1
        if not 0 <= value <= most:
            raise ValueError(f"expected {expected}")
        return value

    return read


def kept_free(word: str) -> int:
    """Read what is to stay free: per cent, or a size, which comes back in bytes."""
    found = _SHARE.fullmatch(word)
    value = int(found[1]) << _SHIFTS[found[2]] if found else -1
    if found is None or (value > 99) is (found[2] in ("", "%")):
        raise ValueError(f"expected {RANGES['keep_free'][1]}")
    return number("keep_free")(str(value))


def kept_free_text(value: int) -> int | str:
    """Return what a file has for a value of kept_free(): per cent, or a size with its unit."""
    return value if value < 100 else f"{value >> 10}K"


def hook(word: str) -> str:
    """Take a stage, and the path of a program that runs in it."""
    stage, _, path = plain(word).partition(":")
    if not stage or not path.startswith("/"):
        raise ValueError("expected STAGE:/FILE")
    return word


def sets(word: str) -> tuple[str, ...]:
    """Read sets of hardware."""
    names = tuple(word.split(","))
    if not all(names):
        raise ValueError("expected host, generic or a list of sets without spaces")
    if len(names) > 1 and {"host", "generic"} & set(names):
        raise ValueError("host and generic cannot be combined with others")
    return names


def images(word: str) -> tuple[str, ...]:
    """Read kinds of images; there may be none."""
    names = tuple(word.split(",")) if word else ()
    if not set(names) <= {"capture", "first-kernel"}:
        raise ValueError("expected capture, first-kernel, both or none of them")
    return names


def kernels(word: str) -> tuple[str, ...]:
    """Read which kernels are meant."""
    names = tuple(word.split(","))
    if not all(names) or any("/" in name or name != name.strip() for name in names):
        raise ValueError("expected all, newest, running or a list of kernel releases")
    if len(names) > 1 and {"all", "newest", "running"} & set(names):
        raise ValueError("all, newest and running cannot be combined with others")
    return names


def words(word: str) -> str:
    """Take one line of words, with one blank between two."""
    if not all(char.isprintable() for char in word):
        raise ValueError("expected one line of printable characters")
    return " ".join(word.split())


def names(word: str) -> str:
    """Take names of parameters."""
    if not all(_NAME.fullmatch(name) for name in word.split()):
        raise ValueError(
            "expected names of parameters: letters, digits, dots, dashes, a * at the end"
        )
    return words(word)


def values(*members: Enum) -> tuple[str, ...]:
    """Return the values of an enumeration's members."""
    return tuple(str(member.value) for member in members)
