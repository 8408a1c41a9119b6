# SPDX-License-Identifier: GPL-2.0-or-later
"""Passwords in URLs, and in USER:PASSWORD@HOST: nobody may read one in an image or in a message."""

from __future__ import annotations

import re

#: The password of a URL, after the user's name. It may contain "@" or "/", but digits before a "/"
#: are a port, and what is in brackets is an address.
_IN_URL = re.compile(r"(?<=://)(?!\[)([^/:@]*):(?:[^/]*|(?!\d*/)[^@]*)@")
#: All of a URL that could be one: from the first ":" to the last "@" before the next URL.
_ANYWHERE = re.compile(r"(?<=:/|//)([^:\s]*):(?!\s)(?:(?!\s\S*:/).)*@")
#: The same without a scheme, from the beginning of a word. A path is not one, nor is what precedes
#: ": ", which separates the parts of a message.
_IN_WORD = re.compile(
    r"(?<![^\s\"'=(\[,])(?!/)([^:\s]*):(?!\s|//|/\S*:\*{3}@)(?:(?!:\s|\s\S*:/).)*@"
)


def without(url: str) -> str:
    """Return ``url`` without its password; what can be a port and a folder stays."""
    return _IN_URL.sub(r"\1@", url)


def hidden(text: str) -> str:
    """Return ``text`` as it may be printed: with "***" for all that could be a password.

    That can also be a port and a folder, or a folder on another host, with an "@" in its name:
    nothing tells them apart.
    """
    return _IN_WORD.sub(r"\1:***@", _ANYWHERE.sub(r"\1:***@", text))
