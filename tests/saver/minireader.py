# SPDX-License-Identifier: GPL-2.0-or-later
"""An independent reader of kdump-compressed dumps, from the format's description alone."""

from __future__ import annotations

import ctypes
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from .vmcore import Machine


class Descriptor(NamedTuple):
    """A page descriptor's fields."""

    offset: int
    size: int
    flags: int
    page_flags: int


class MiniReader:
    """All of a dump at once: header fields by name, and a Descriptor for each page frame."""

    def __init__(self, path: Path, machine: Machine) -> None:
        self.raw = raw = path.read_bytes()
        order = machine.order
        wide = machine.word == 8
        assert raw[:8] == b"KDUMP   "
        self.version = struct.unpack_from(order + "i", raw, 8)[0]
        self.uts = [raw[12 + 65 * i : 77 + 65 * i].rstrip(b"\0").decode() for i in range(6)]
        time_at, rest = (408, 424) if wide else (404, 412)
        self.time = struct.unpack_from(order + ("qq" if wide else "ii"), raw, time_at)
        (
            self.status,
            self.block,
            self.sub_blocks,
            self.bitmap_blocks,
            self.max_mapnr,
            *self.unused,
            self.cpus,
        ) = struct.unpack_from(order + "IiiIIIIIIi", raw, rest)
        sub = raw[self.block :]
        self.phys_base = struct.unpack_from(order + ("q" if wide else "I"), sub)[0]
        self.level = struct.unpack_from(order + "i", sub, machine.word)[0]
        # Offsets of the pairs VMCOREINFO, notes, erase info and of the 64-bit page frames.
        if wide:
            places, size, self.sub_size = (32, 48, 64, 80), "Q", 104
        elif machine.number == 3:
            places, size, self.sub_size = (20, 32, 44, 56), "I", 80
        else:
            places, size, self.sub_size = (24, 40, 56, 72), "I", 96
        pairs = [struct.unpack_from(order + "Q" + size, sub, place) for place in places[:3]]
        self.vmcoreinfo, self.notes, self.erase = [raw[at : at + length] for at, length in pairs]
        self.notes_at = pairs[1][0]
        self.frames = struct.unpack_from(order + "QQQ", sub, places[3])
        start = self.block * (1 + self.sub_blocks)
        half = self.bitmap_blocks // 2 * self.block
        self.first, self.second = _bits(raw[start:][:half]), _bits(raw[start + half :][:half])
        self.table = start + 2 * half
        table = raw[self.table : self.table + 24 * len(self.second)]
        fields = struct.iter_unpack(order + "QIIQ", table)
        self.pages = dict(zip(self.second, map(Descriptor._make, fields)))
        assert len(self.pages) == len(self.second)

    def page(self, pfn: int) -> bytes:
        """The contents of a page frame."""
        desc = self.pages[pfn]
        assert desc.offset and desc.size <= self.block and desc.page_flags == 0
        data = self.raw[desc.offset : desc.offset + desc.size]
        assert len(data) == desc.size
        if desc.flags == 1:
            data = zlib.decompress(data)
        elif desc.flags == 2:
            data = _lzo(data, self.block)
        elif desc.flags == 4:
            data = _snappy(data, self.block)
        elif desc.flags == 0x20:
            data = _zstd(data, self.block)
        else:
            assert desc.flags == 0
        assert len(data) == self.block
        return data


def _bits(bitmap: bytes) -> list[int]:
    return [8 * at + bit for at, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1]


def _lzo(data: bytes, size: int) -> bytes:
    target = ctypes.create_string_buffer(size)
    length = ctypes.c_size_t(size)
    library = ctypes.CDLL("liblzo2.so.2")
    status = library.lzo1x_decompress_safe(
        data, ctypes.c_size_t(len(data)), target, ctypes.byref(length), None
    )
    assert status == 0
    return target.raw[: length.value]


def _snappy(data: bytes, size: int) -> bytes:
    target = ctypes.create_string_buffer(size)
    length = ctypes.c_size_t(size)
    function = ctypes.CDLL("libsnappy.so.1").snappy_uncompress
    assert function(data, ctypes.c_size_t(len(data)), target, ctypes.byref(length)) == 0
    return target.raw[: length.value]


def _zstd(data: bytes, size: int) -> bytes:
    target = ctypes.create_string_buffer(size)
    function = ctypes.CDLL("libzstd.so.1").ZSTD_decompress
    function.restype = ctypes.c_size_t
    length = function(target, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    return target.raw[:length]
