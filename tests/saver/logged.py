# SPDX-License-Identifier: GPL-2.0-or-later
"""A short kernel log with a panic, to put into a core."""

from __future__ import annotations

from .printk import Printk, add_log
from .vmcore import Core

LOG = [
    "Linux version 6.1.0-test",
    "Command line: root=/dev/vda quiet",
    "Kernel panic - not syncing: a test",
]


def logged(core: Core) -> Core:
    ring = Printk()
    for line in LOG:
        ring.add(0, line.encode())
    return add_log(core, ring, 0x8000000, 0xFFFF888008000000)
