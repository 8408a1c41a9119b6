# SPDX-License-Identifier: GPL-2.0-or-later
"""64-bit s390 (IBM Z)."""

from __future__ import annotations

from . import Architecture


class S390x(Architecture):
    """See Architecture."""

    elf = 22
    unames = ("s390x", "s390")
    word = 8
    big = True
    page = 4096
    finit_module = 344


ARCHITECTURE = S390x()
