# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the parts of a kdump-compressed dump fit together: headers, bitmaps, descriptors."""

from __future__ import annotations

import struct

from ...codec.rows import ROWS
from ...memory.vmcoreinfo import VmcoreInfo
from .kdumpformat import DESCRIPTOR_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .kdumpread import KdumpDump

_LOOK = 64 << 10
#: The flags that a page descriptor may have; 0 is for a page that is stored as it is.
_FLAGS = (0, *[row.flag for row in ROWS])


def disagreement(dump: KdumpDump, pages: int) -> str:
    """Return a line on what does not fit; "" when nothing is found.

    pages is the count of bits in the second bitmap. Each page of a dump is found by counting
    those, so one wrong bit gives wrong contents to all pages behind it. Raises OSError.
    """
    block = dump.header.geometry.block
    size = VmcoreInfo(dump.notes.vmcoreinfo).page_size() or block
    if size != block:
        return f"pages have {block} bytes by its header, and {size} by its VMCOREINFO"
    return _bitmaps(dump) or _descriptors(dump, pages)


def _bitmaps(dump: KdumpDump) -> str:
    geometry, window = dump.header.geometry, dump.window
    length = -(-geometry.end // 8)
    # A header can say anything; behind the file's end is nothing.
    size = min(geometry.bitmap_size, window.size - geometry.bitmap2)
    at = 0
    while at < size:
        # Only where the second one has bits is there something to compare.
        at = max(at, window.skip(geometry.bitmap2 + at) - geometry.bitmap2)
        step = min(_LOOK, size - at)
        if step <= 0:
            break
        first, second = [
            int.from_bytes(window.read(start + at, step), "little")
            for start in (geometry.bitmap1, geometry.bitmap2)
        ]
        if second & ~first:
            return "its second bitmap has pages that its first one lacks"
        if at + step > length and first >> max(0, geometry.end - 8 * at):
            return f"its bitmaps have pages beyond its {geometry.end} page frames"
        at += step
    return ""


def _descriptors(dump: KdumpDump, pages: int) -> str:
    # The table is followed by the first page in the file: some descriptor must point there.
    table, window = dump.header.geometry.descriptors, dump.window
    data = table + pages * DESCRIPTOR_SIZE
    least = window.size
    step = _LOOK // DESCRIPTOR_SIZE * DESCRIPTOR_SIZE
    for at in range(table, data, step):
        raw = window.read(at, min(step, data - at))
        count = len(raw) // DESCRIPTOR_SIZE * 3
        words = struct.unpack_from(f"{dump.abi.order}{count}Q", raw)
        least = min([least, *filter(None, words[::3])])
        if least <= data:
            break
    if least < data:
        return f"its bitmap has {pages} pages, but there are descriptors for fewer"
    end = min(least, data + _LOOK)
    for at in range(data, end - DESCRIPTOR_SIZE + 1, DESCRIPTOR_SIZE):
        if _is_descriptor(dump, window.read(at, DESCRIPTOR_SIZE), least):
            return f"its bitmap has {pages} pages, but there are descriptors for more"
    return ""


def _is_descriptor(dump: KdumpDump, raw: bytes, least: int) -> bool:
    if len(raw) < DESCRIPTOR_SIZE:
        return False
    offset, size, flags, more = dump.layout.unpack(raw)
    block, end = dump.header.geometry.block, dump.window.size
    known = 0 < size <= block and flags in _FLAGS and not more
    return known and bool(least <= offset <= end - size)
