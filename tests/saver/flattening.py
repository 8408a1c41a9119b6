# SPDX-License-Identifier: GPL-2.0-or-later
"""Flattened dumps, taken apart and put together in other ways."""

from __future__ import annotations

import random
import struct
from pathlib import Path

#: Offset in the dump, and data.
Record = tuple[int, bytes]
HEADER = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
END = struct.pack(">qq", -1, -1)


def records(path: Path) -> list[Record]:
    """Return the records of a flattened dump in their order."""
    raw, at = path.read_bytes(), 4096
    assert raw.startswith(HEADER) and raw.endswith(END)
    found = []
    while raw[at : at + 16] != END:
        offset, size = struct.unpack_from(">qq", raw, at)
        found.append((offset, raw[at + 16 : at + 16 + size]))
        at += 16 + size
    assert at + 16 == len(raw)
    return found


def flatten(found: list[Record], *, end: bytes = END) -> bytes:
    """Return a flattened dump of some records."""
    parts = [struct.pack(">qq", offset, len(data)) + data for offset, data in found]
    return HEADER.ljust(4096, b"\0") + b"".join(parts) + end


def plain(found: list[Record]) -> bytes:
    """Return the dump that records describe; later ones win."""
    raw = bytearray(max(offset + len(data) for offset, data in found))
    for offset, data in found:
        raw[offset : offset + len(data)] = data
    return bytes(raw)


def cut(raw: bytes, rng: random.Random) -> list[Record]:
    """Return records that describe a dump: in disorder, of all sizes, with lies below them."""
    found: list[Record] = []
    at = 0
    while at < len(raw):
        size = rng.choice((1, 7, 100, 4096, 50000))
        found.append((at, raw[at : at + size]))
        at += size
    rng.shuffle(found)
    lies = [(rng.randrange(len(raw)), b"lie" * rng.choice((1, 30, 40000))) for _ in range(20)]
    lies = [(at, data[: len(raw) - at]) for at, data in lies]
    return [*lies, *found]
