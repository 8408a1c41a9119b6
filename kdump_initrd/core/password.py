# SPDX-License-Identifier: GPL-2.0-or-later
"""Passwords in URLs: nobody is to read one in an image or in a message."""

from __future__ import annotations

import re

#: Behind the user's name. It may have an "@" or a "/" in it, but digits before a "/" are a port,
#: and what is in brackets is an address.
_IN_URL = re.compile(r"(?<=://)(?!\[)([^/:@]*):(?:[^/]*|(?!\d*/)[^@]*)@")
#: All that could be one: from the first ":" to the last "@" before the next URL.
_ANYWHERE = re.compile(r"(?<=:/|//)([^:\s]*):(?!\s)(?:(?!\s\S*:/).)*@")


def without(url: str) -> str:
    """Return ``url`` without its password; what can be a port and a folder stays."""
    return _IN_URL.sub(r"\1@", url)


def hidden(text: str) -> str:
    """Return ``text`` as it may be printed: with "***" for all that could be a password.

    That can be a port and a folder with an "@" in its name, which nothing tells apart.
    """
    return _ANYWHERE.sub(r"\1:***@", text)
