# SPDX-License-Identifier: GPL-2.0-or-later
"""The man pages: where they are, and what one says of an option."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs/man"


def option_paragraph(page: str, flag: str) -> str:
    """Return what a man page, its hyphens plain, says of an option; it must say something."""
    start = re.search(rf"^\.TP\n\.B[IR]? {flag}(?![\w-])", page, re.MULTILINE)
    assert start, f"{flag} is not in the man page"
    return page[start.start() :].split("\n.TP", 1)[0].split("\n.S", 1)[0]
