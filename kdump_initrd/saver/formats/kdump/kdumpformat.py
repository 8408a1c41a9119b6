# SPDX-License-Identifier: GPL-2.0-or-later
"""Layout of kdump-compressed dumps, header version 6: what writer and reader must agree on."""

from __future__ import annotations

import struct

from ...arch import of_uname
from ...low.failure import SaverError
from ...memory.vmcoreinfo import UTS_FIELDS, UTS_LENGTH

SIGNATURE = b"KDUMP   "
VERSION = 6
#: Flag of the header's status: not every page is in the dump.
INCOMPLETE = 0x08
#: dump_level bit: zero pages share one page.
LEVEL_ZERO = 1
#: offset, size, flags, page_flags of a page descriptor
DESCRIPTOR = "QIIQ"
DESCRIPTOR_SIZE = 24
#: The largest value of the 32-bit fields that newer 64-bit ones replace.
_SATURATED = (1 << 32) - 1

# Main header: signature, version, utsname, time, status, block size, sub header's blocks,
# blocks of both bitmaps, max_mapnr, four unused, count of CPUs.
_MAIN = {8: "8si390s6xqqIiiIIIIIIi", 4: "8si390s2xiiIiiIIIIIIi"}
# Sub header: phys_base, dump_level, split, start_pfn, end_pfn, (offset, size) of VMCOREINFO, notes
# and erase info, then 64-bit start_pfn, end_pfn, max_mapnr.
_SUB = {8: "QiiQQqQqQqQQQQ", 4: "IiiII4xqI4xqI4xqI4xQQQ"}
_SUB_PACKED = "IiiIIqIqIqIQQQ"
_BLOCK_SIZES = [1 << shift for shift in range(12, 19)]


class Geometry:
    """Where the parts of a dump lie, in bytes from its start; block is the page size.

    notes and bitmap1, bitmap2, descriptors are file offsets; bitmap_size is one bitmap's bytes.
    """

    def __init__(self, abi: Abi, *, block: int, end: int, notes_size: int) -> None:
        """Lay out a dump of the page frames below end."""
        self.block = block
        self.end = end
        self.notes = block + sub_layout(abi).size
        self.notes_size = notes_size
        self.sub_blocks = -(-(sub_layout(abi).size + notes_size) // block)
        self.bitmap_size = -(-end // (8 * block)) * block
        self.bitmap1 = block * (1 + self.sub_blocks)
        self.bitmap2 = self.bitmap1 + self.bitmap_size
        self.descriptors = self.bitmap2 + self.bitmap_size


class Facts:
    """What the headers say besides the geometry.

    time is seconds since 1970, phys_base a signed number, vmcoreinfo its (offset, bytes) in the
    notes.
    """

    def __init__(
        self,
        *,
        uts: dict[str, str],
        time: int,
        cpus: int,
        phys_base: int,
        level: int,
        vmcoreinfo: tuple[int, int],
    ) -> None:
        self.uts = uts
        self.time = time
        self.cpus = cpus
        self.phys_base = phys_base
        self.level = level
        self.vmcoreinfo = vmcoreinfo


def main_layout(abi: Abi) -> struct.Struct:
    """Return the main header's layout."""
    return struct.Struct(abi.order + _MAIN[abi.word])


def sub_layout(abi: Abi) -> struct.Struct:
    """Return the sub header's layout."""
    return struct.Struct(abi.order + (_SUB_PACKED if abi.packed else _SUB[abi.word]))


def pack_main(abi: Abi, geometry: Geometry, *, facts: Facts, status: int) -> bytes:
    """Return the main header; status is the codec's flag, INCOMPLETE with it or not."""
    names = [facts.uts[field].encode("ascii", "replace") for field in UTS_FIELDS]
    return main_layout(abi).pack(
        SIGNATURE,
        VERSION,
        b"".join([name[: UTS_LENGTH - 1].ljust(UTS_LENGTH, b"\0") for name in names]),
        facts.time if abi.word == 8 else facts.time & 0x7FFFFFFF,
        0,  # microseconds: other values make libkdumpfile take the file for a 32-bit one
        status,
        geometry.block,
        geometry.sub_blocks,
        2 * geometry.bitmap_size // geometry.block,
        min(geometry.end, _SATURATED),
        *(0, 0, 0, 0),
        facts.cpus,
    )


def pack_sub(abi: Abi, geometry: Geometry, *, facts: Facts) -> bytes:
    """Return the sub header."""
    at, size = facts.vmcoreinfo
    return sub_layout(abi).pack(
        facts.phys_base & abi.mask,
        facts.level,
        *(0, 0, 0),  # split, start_pfn, end_pfn: of dumps in several files
        geometry.notes + at if size else 0,
        size,
        geometry.notes if geometry.notes_size else 0,
        geometry.notes_size,
        *(0, 0),  # no erase info
        *(0, 0, geometry.end),
    )


class Header:
    """The headers of a dump as they are read: abi, geometry, status, and (offset, size) of notes.

    phys_base is signed; level is the dump level. damage is a line on what does not fit together,
    "" for nothing.
    """

    def __init__(self, raw: bytes, read_sub: ReadSub) -> None:
        """Take the main header's bytes; read_sub(offset, size) gives the sub header's.

        Raises SaverError for another format, version or damage.
        """
        if raw[: len(SIGNATURE)] != SIGNATURE:
            raise SaverError("not a kdump-compressed dump")
        uname = raw[272:337].partition(b"\0")[0].decode("ascii", "replace")
        for abi in of_uname(uname).abis():
            layout = main_layout(abi)
            if len(raw) < layout.size:
                continue
            fields = layout.unpack_from(raw)
            version, block, sub_blocks, bitmap_blocks = fields[1], *fields[6:9]
            if 1 <= version <= 99 and block in _BLOCK_SIZES and sub_blocks > 0:
                break
        else:
            raise SaverError("the dump's header is damaged")
        if version < VERSION:
            raise SaverError(f"header version {version} is older than {VERSION}")
        layout = sub_layout(abi)
        sub_raw = read_sub(block, layout.size)
        if len(sub_raw) < layout.size:
            raise SaverError("truncated: the dump's sub header is not complete")
        sub = layout.unpack(sub_raw)
        if sub[2] or any((*sub[3:5], *sub[11:13])):
            raise SaverError("a part of a dump that was split: its other pages are elsewhere")
        bitmap_size = bitmap_blocks // 2 * block
        end = _frames(fields[9], sub[13], bitmap_size * 8)
        self.damage = ""
        if min(sub[13], _SATURATED) != fields[9]:
            self.damage = f"its headers disagree: {fields[9]} and {sub[13]} page frames"
        elif bitmap_blocks % 2 or bitmap_size != -(-end // (8 * block)) * block:
            self.damage = f"{bitmap_blocks} blocks of bitmaps do not match {end} page frames"
        self.abi = abi
        self.status = fields[5]
        self.level = sub[1] & 31
        self.phys_base = sub[0] - (abi.mask + 1 if sub[0] >> (8 * abi.word - 1) else 0)
        self.notes = (sub[7], sub[8])
        self.geometry = Geometry(abi, block=block, end=end, notes_size=sub[8])
        self.geometry.bitmap1 = block * (1 + sub_blocks)
        self.geometry.bitmap_size = bitmap_size
        self.geometry.bitmap2 = self.geometry.bitmap1 + self.geometry.bitmap_size
        self.geometry.descriptors = self.geometry.bitmap1 + bitmap_blocks * block


def _frames(main: int, sub: int, room: int) -> int:
    # The page frames of memory, by both headers; if they disagree, the most that there is room for.
    found = [count for count in (main, sub) if count <= room]
    if not found or (sub > room and main == _SATURATED):
        raise SaverError("the dump's header is damaged: its bitmaps are smaller than memory")
    return max(found)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...memory.abi import Abi

    ReadSub = Callable[[int, int], bytes]
