# SPDX-License-Identifier: GPL-2.0-or-later
"""MIPS: no more than its name."""

from __future__ import annotations

from . import Architecture


class Mips(Architecture):
    """See Architecture."""

    elf = 8
    unames = ("mips", "mips64")


ARCHITECTURE = Mips()
