# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a segment of an initrd ends: each codec has its own way to tell."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from .meter import Meter
from .newc import MAGICS, ByteView, CorruptError, read_archive
from .stored import Bytes

_CHUNK = 1 << 16
#: Every header of a codec ends within, in bytes.
_HEAD = 1 << 12
#: A decoder may ask for its dictionary; what wants more than this is no initrd.
_MEMORY_LIMIT = 512 << 20


class Codec(str, Enum):
    """The codecs of initrd segments that Linux unpacks, and lz4's frame format."""

    NONE = "none"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    LZMA = "lzma"
    XZ = "xz"
    LZO = "lzo"
    LZ4 = "lz4"
    LZ4_FRAME = "lz4-frame"
    ZSTD = "zstd"


#: The first bytes of each, longer than lib/decompress.c of Linux asks for.
_MAGICS = (
    *((magic, Codec.NONE) for magic in MAGICS),
    (b"\x1f\x8b\x08", Codec.GZIP),
    (b"BZh", Codec.BZIP2),
    (b"\x5d\x00\x00", Codec.LZMA),
    (b"\xfd7zXZ\x00", Codec.XZ),
    (b"\x89LZO\x00\r\n\x1a\n", Codec.LZO),
    (b"\x02\x21\x4c\x18", Codec.LZ4),
    (b"\x04\x22\x4d\x18", Codec.LZ4_FRAME),
    (b"\x28\xb5\x2f\xfd", Codec.ZSTD),
)
_LONGEST = max(len(magic) for magic, _ in _MAGICS)


def detect(data: Bytes, offset: int) -> Codec | None:
    """Return the codec whose magic number is at ``offset``, or None."""
    start = data[offset : offset + _LONGEST]
    return next((codec for magic, codec in _MAGICS if start.startswith(magic)), None)


def find_end(data: Bytes, offset: int, *, codec: Codec) -> int:
    """Return the offset behind the segment that begins at ``offset``.

    Raises CorruptError when the data are cut short or are not of the codec.
    """
    return _FINDERS[codec](data, offset)


def window(data: Bytes, offset: int, *, codec: Codec) -> int:
    """Return the bytes that a decoder keeps of what it unpacked, for the segment at ``offset``.

    It is what the header says, or what the format has always; it is part of the memory that
    unpacking takes. The segment must be a sound one.
    """
    head = data[offset : offset + _HEAD]
    if codec is Codec.ZSTD:
        return _zstd_window(head)
    if codec is Codec.LZMA:
        return int.from_bytes(head[1:5], "little")
    if codec is Codec.XZ:
        return _xz_dictionary(head)
    return _FIXED_WINDOWS.get(codec, 0)


#: bzip2: 900 kB, four bytes each (lib/decompress_bunzip2.c); lz4 and lzo: a block and its room.
_FIXED_WINDOWS = {
    Codec.GZIP: 1 << 15,
    Codec.BZIP2: 3_600_000,
    Codec.LZO: 1 << 19,
    Codec.LZ4: 16 << 20,
}


def _zstd_window(head: bytes) -> int:
    # RFC 8878, section 3.1.1.1: without a window descriptor the content's size is the window.
    descriptor = head[4]
    if not descriptor & 0x20:
        exponent, mantissa = head[5] >> 3, head[5] & 7
        base = 1 << (10 + exponent)
        return base + base // 8 * mantissa
    size = (1, 2, 4, 8)[descriptor >> 6]
    start = 5 + (0, 1, 2, 4)[descriptor & 3]
    return int.from_bytes(head[start : start + size], "little") + (256 if size == 2 else 0)


def _xz_dictionary(head: bytes) -> int:
    # The .xz File Format 1.1.0, sections 3.1 and 5.3.1: the last filter is LZMA2, whose
    # properties are one byte, and the header is padded with zeros.
    start = 12
    header = head[start : start + (head[start] + 1) * 4 - 4]
    place = header.rfind(b"\x21\x01")
    bits = header[place + 2] if 0 <= place < len(header) - 2 else 22
    return (2 | bits & 1) << (bits // 2 + 11)


class _Decoder(Protocol):
    # What bz2.BZ2Decompressor and lzma.LZMADecompressor have in common.
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Cursor:
    """A place in the data; reading past their end is CorruptError."""

    def __init__(self, data: Bytes, position: int) -> None:
        self.data = data
        self.position = position

    def number(self, size: int, order: str = "little") -> int:
        start = self.position
        self.skip(size)
        raw = self.data[start : self.position]
        return int.from_bytes(raw, "big" if order == "big" else "little")

    def skip(self, size: int) -> None:
        if self.position + size > len(self.data):
            raise CorruptError("truncated")
        self.position += size


def _end_of_newc(data: Bytes, offset: int) -> int:
    stream = ByteView(data, offset)
    for _ in read_archive(stream, contents=False):
        pass
    return stream.offset


def _end_of_gzip(data: Bytes, offset: int) -> int:
    decoder = zlib.decompressobj(wbits=31)
    position = offset
    meter = Meter(len(data) - offset)
    while not decoder.eof:
        chunk = decoder.unconsumed_tail
        if not chunk:
            chunk = data[position : position + _CHUNK]
            position += len(chunk)
        if not chunk:
            raise CorruptError("truncated")
        try:
            unpacked = decoder.decompress(chunk, _CHUNK)
        except zlib.error as error:
            raise CorruptError(str(error)) from error
        meter.count(len(unpacked))
    return position - len(decoder.unused_data)


def _end_by_decoder(data: Bytes, offset: int, decoder: _Decoder) -> int:
    position = offset
    meter = Meter(len(data) - offset)
    while not decoder.eof:
        chunk = b""
        if decoder.needs_input:
            chunk = data[position : position + _CHUNK]
            position += len(chunk)
            if not chunk:
                raise CorruptError("truncated")
        try:
            unpacked = decoder.decompress(chunk, _CHUNK)
        except Exception as error:  # lzma.LZMAError is an Exception itself, and not always there
            raise CorruptError(str(error)) from error
        meter.count(len(unpacked))
    return position - len(decoder.unused_data)


def _end_of_bzip2(data: Bytes, offset: int) -> int:
    import bz2  # not every Python is built with it

    return _end_by_decoder(data, offset, bz2.BZ2Decompressor())


def _end_of_lzma(data: Bytes, offset: int) -> int:
    import lzma  # not every Python is built with it

    alone = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY_LIMIT)
    return _end_by_decoder(data, offset, alone)


def _end_of_xz(data: Bytes, offset: int) -> int:
    import lzma  # not every Python is built with it

    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY_LIMIT)
    return _end_by_decoder(data, offset, stream)


def _end_of_zstd(data: Bytes, offset: int) -> int:
    # RFC 8878, sections 3.1.1.1 (frame header) and 3.1.1.2 (blocks).
    cursor = _Cursor(data, offset)
    cursor.skip(4)
    descriptor = cursor.number(1)
    single_segment = bool(descriptor & 0x20)
    window = 0 if single_segment else 1
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    content = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    cursor.skip(window + dictionary + content)
    last = False
    while not last:
        block = cursor.number(3)
        last = bool(block & 1)
        kind = block >> 1 & 3
        if kind == 3:
            raise CorruptError("a zstd block of a reserved type")
        cursor.skip(1 if kind == 1 else block >> 3)
    cursor.skip(4 if descriptor & 4 else 0)
    return cursor.position


def _end_of_lz4(data: Bytes, offset: int) -> int:
    # The legacy format has blocks of 8 MiB and no end mark (lib/decompress_unlz4.c of Linux):
    # it ends where no block can be, or where the next segment's magic number is.
    limit = (8 << 20) + (8 << 20) // 255 + 16
    cursor = _Cursor(data, offset)
    cursor.skip(4)
    while detect(data, cursor.position) is None:
        if not data[cursor.position : cursor.position + 4].strip(b"\0"):
            break
        size = cursor.number(4)
        if size > limit:
            cursor.position -= 4
            break
        cursor.skip(size)
    return cursor.position


def _end_of_lz4_frame(data: Bytes, offset: int) -> int:
    # LZ4 Frame Format Description 1.6.
    cursor = _Cursor(data, offset)
    cursor.skip(4)
    flags = cursor.number(1)
    cursor.skip(1 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0) + 1)
    while True:
        size = cursor.number(4)
        if size == 0:
            break
        cursor.skip((size & 0x7FFFFFFF) + (4 if flags & 0x10 else 0))
    cursor.skip(4 if flags & 0x04 else 0)
    return cursor.position


def _end_of_lzo(data: Bytes, offset: int) -> int:
    # The header of lzop, as lib/decompress_unlzo.c of Linux reads it, and its checksums.
    cursor = _Cursor(data, offset)
    cursor.skip(9)
    modern = cursor.number(2, "big") >= 0x0940
    cursor.skip(2 + (2 if modern else 0) + 1 + (1 if modern else 0))
    flags = cursor.number(4, "big")
    cursor.skip(4 if flags & 0x800 else 0)
    cursor.skip(8 + (4 if modern else 0))
    cursor.skip(cursor.number(1))
    cursor.skip(4)
    if flags & 0x40:
        cursor.skip(cursor.number(4, "big") + 4)
    unpacked_sums = 4 * bool(flags & 0x1) + 4 * bool(flags & 0x100)
    packed_sums = 4 * bool(flags & 0x2) + 4 * bool(flags & 0x200)
    while True:
        unpacked = cursor.number(4, "big")
        if unpacked == 0:
            return cursor.position
        packed = cursor.number(4, "big")
        cursor.skip(unpacked_sums + (packed_sums if packed < unpacked else 0) + packed)


_FINDERS: dict[Codec, Callable[[Bytes, int], int]] = {
    Codec.NONE: _end_of_newc,
    Codec.GZIP: _end_of_gzip,
    Codec.BZIP2: _end_of_bzip2,
    Codec.LZMA: _end_of_lzma,
    Codec.XZ: _end_of_xz,
    Codec.LZO: _end_of_lzo,
    Codec.LZ4: _end_of_lz4,
    Codec.LZ4_FRAME: _end_of_lz4_frame,
    Codec.ZSTD: _end_of_zstd,
}
