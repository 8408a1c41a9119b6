# SPDX-License-Identifier: GPL-2.0-or-later
"""A small core that has every kind of page, and its pages."""

from __future__ import annotations

from .vmcore import (
    PAGE,
    TEXT,
    X86_64,
    Core,
    Machine,
    noise,
    repeating,
    text,
    zero,
)

#: How a kdump-compressed dump marks each codec (makedumpfile, diskdump_mod.h).
FLAGS = {"lzo": 2, "snappy": 4, "zstd": 0x20, "zlib": 1, "none": 0}


def sample(machine: Machine = X86_64) -> tuple[Core, dict[int, bytes]]:
    """A core with zero, incompressible, repeating and text pages, a hole, and kernel text twice;
    and its pages by page frame."""
    ram = text(20) + zero(300) + noise(9) + repeating(5) + zero(1) + text(3, 2) + zero(2)
    high = noise(2, 5) + zero(7) + text(1, 9)
    base = 0xC0000000 if machine.word == 4 else 0xFFFF888000000000
    core = Core(machine, cpus=2)
    core.load(0x104000, ram[4 * PAGE : 10 * PAGE], TEXT & (1 << 8 * machine.word) - 1)
    core.load(0x100000, ram, base + 0x100000)
    core.load(0x2000000, high, base + 0x2000000)
    pages = {0x100 + n: ram[n * PAGE : (n + 1) * PAGE] for n in range(len(ram) // PAGE)}
    pages |= {0x2000 + n: high[n * PAGE : (n + 1) * PAGE] for n in range(len(high) // PAGE)}
    return core, pages
