# SPDX-License-Identifier: GPL-2.0-or-later
"""32-bit PowerPC: no more than its name."""

from __future__ import annotations

from . import Architecture


class Ppc(Architecture):
    """See Architecture."""

    elf = 20
    unames = ("ppc",)
    word = 4
    big = True


ARCHITECTURE = Ppc()
