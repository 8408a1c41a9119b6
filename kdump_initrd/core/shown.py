# SPDX-License-Identifier: GPL-2.0-or-later
"""Text as people may see it: names and files of a root may have what a terminal would obey."""

from __future__ import annotations


def shown(text: str) -> str:
    """Return ``text`` with an escape in place of all that cannot be printed; blanks stay."""
    return "".join(map(_shown, text))


def in_a_line(text: str) -> str:
    """Return ``text`` as shown() does, in one line."""
    return shown(text).replace("\n", r"\n")


def _shown(character: str) -> str:
    return character if character.isprintable() or character in "\n\t" else ascii(character)[1:-1]
