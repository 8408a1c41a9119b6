# SPDX-License-Identifier: GPL-2.0-or-later
"""LoongArch: no more than its name."""

from __future__ import annotations

from . import Architecture


class Loongarch64(Architecture):
    """See Architecture."""

    elf = 258
    unames = ("loongarch64",)
    word = 8
    big = False


ARCHITECTURE = Loongarch64()
