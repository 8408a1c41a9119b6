# SPDX-License-Identifier: GPL-2.0-or-later
"""32-bit ARM."""

from __future__ import annotations

from . import Architecture


class Arm(Architecture):
    """See Architecture."""

    elf = 40
    unames = ("armv7l", "arm*")
    word = 4
    page = 4096
    finit_module = 379


ARCHITECTURE = Arm()
