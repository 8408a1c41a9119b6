# SPDX-License-Identifier: GPL-2.0-or-later
"""The names of a crash's files, and the replacements for names that cannot be used."""

from __future__ import annotations

import time

from ..low.failure import SaverError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..params import NameParams

#: The file that says how it went, and what is added to the names of a dump that is not complete,
#: of its helper while it is written, and of a text that is about to replace another.
REPORT, UNFINISHED, SCRATCH, BESIDE = "report.json", "-incomplete", ".pages", ".new"

_PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
_MAX_PLAIN = 80


class Names:
    """The names of one crash's things: patterns, and a time in seconds since 1970."""

    def __init__(self, patterns: NameParams, seconds: int) -> None:
        self._patterns = patterns
        self._seconds = seconds

    def of(self, kind: str) -> tuple[str, str]:
        """Return the name for a field of the patterns, and the name to be tried last.

        Raises SaverError.
        """
        last = "crash" if kind == "directory" else kind
        return expand(getattr(self._patterns, kind), self._seconds), f"{last}-{self._seconds}"


def expand(pattern: str, seconds: int) -> str:
    """Return a strftime pattern's name for a time in seconds since 1970, in UTC.

    Raises SaverError when that is not the name of one file.
    """
    try:
        name = time.strftime(pattern, time.gmtime(seconds))
    except ValueError:  # a NUL in it
        name = ""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise SaverError(f"{pattern!r} does not give the name of one file: {name!r}")
    return name


def candidates(name: str, last: str) -> list[str]:
    """Return the names to be tried: as it is, with "-" for all but letters, digits and "._-", last.

    A store that refuses the first one takes one of the others.
    """
    plain = "".join([letter if letter in _PLAIN else "-" for letter in name])[:_MAX_PLAIN]
    return list(dict.fromkeys((name, plain.strip(".") or last, last)))


def refusal(name: str, used: str, error: OSError | UnicodeError) -> str:
    """Return a line on a name that was not taken, and on the one that is used."""
    why = error.strerror if isinstance(error, OSError) else "not a name"
    shown = name.encode("ascii", "backslashreplace").decode()
    return f"the file system does not take the name {shown} ({why}): {used} is used"
