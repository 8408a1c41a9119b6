# SPDX-License-Identifier: GPL-2.0-or-later
"""A core of more PT_LOADs than 16 bits count."""

from __future__ import annotations

import struct
from pathlib import Path

from .vmcore import PAGE, Core, text


def many_at(number: int) -> int:
    """Return the physical address of a PT_LOAD of many_loads."""
    return 0x1000000 + number * 2 * PAGE


def many_loads(path: Path, count: int) -> Path:
    """Write a core of so many PT_LOADs of a page each, all in the same place of the file."""
    core = Core().load(many_at(0), text())
    raw = bytearray(core.build())
    entry = struct.unpack_from("<IIQQQQQQ", raw, 64 + 56)
    note = bytes(raw[64 : 64 + 56])
    at = len(raw)
    struct.pack_into("<QQ", raw, 32, at, at + (count + 1) * 56)  # e_phoff, e_shoff
    struct.pack_into("<HHH", raw, 56, 0xFFFF, 64, 1)
    raw += note
    for number in range(count):
        place = many_at(number)
        vaddr = entry[3] + place - many_at(0)
        raw += struct.pack("<IIQQQQQQ", *entry[:3], vaddr, place, *entry[5:])
    raw += bytes(44) + struct.pack("<I", count + 1) + bytes(16)
    path.write_bytes(raw)
    return path
