# SPDX-License-Identifier: GPL-2.0-or-later
"""modprobe's indexes as depmod of kmod 34 and later writes them: each node before its children."""

from __future__ import annotations

import struct

_PREFIX, _VALUES, _CHILDS, _OFFSET = 0x80000000, 0x40000000, 0x20000000, 0x0FFFFFFF


def top_first(index: bytes) -> bytes:
    """Return an index in that order, whichever it has; modprobe reads both."""
    if not index:
        return index
    (top,) = struct.unpack_from(">I", index, 8)
    start = 12
    return index[:8] + struct.pack(">I", top & ~_OFFSET | start) + _written(index, top, start)


def _written(index: bytes, node: int, start: int) -> bytes:
    """Return a node of the index and all below it, as they are written from ``start`` on."""
    at = node & _OFFSET
    prefix, children, values = b"", b"", b""
    offsets: tuple[int, ...] = ()
    if node & _PREFIX:
        prefix = index[at : index.index(b"\0", at) + 1]
        at += len(prefix)
    if node & _CHILDS:
        first, last = index[at : at + 2]
        offsets = struct.unpack_from(f">{last - first + 1}I", index, at + 2)
        children = index[at : at + 2]
        at += 2 + 4 * len(offsets)
    if node & _VALUES:
        (count,) = struct.unpack_from(">I", index, at)
        end = at + 4
        for _ in range(count):
            end = index.index(b"\0", end + 4) + 1
        values = index[at:end]
    below, place = b"", start + len(prefix) + len(children) + 4 * len(offsets) + len(values)
    for child in offsets:
        children += struct.pack(">I", child & ~_OFFSET | place + len(below) if child else 0)
        below += _written(index, child, place + len(below)) if child else b""
    return prefix + children + values + below
