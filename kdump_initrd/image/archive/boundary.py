# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a segment of an initrd ends: each codec has its own way to tell."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

from ...core.compression import Codec
from .meter import Meter
from .newc import ByteView, CorruptError, read_archive
from .stored import Bytes

_CHUNK = 1 << 16
#: The header of every codec ends within so many bytes.
_HEAD = 1 << 12
#: The most memory for a decoder's dictionary, in bytes; what needs more is not an initrd.
_MEMORY_LIMIT = 512 << 20


_LONGEST = max(len(magic) for codec in Codec for magic in codec.row.magics)


def detect(data: Bytes, offset: int) -> Codec | None:
    """Return the codec whose magic number is at ``offset``, or None."""
    start = data[offset : offset + _LONGEST]
    return next((codec for codec in Codec if start.startswith(codec.row.magics)), None)


def find_end(data: Bytes, offset: int, *, codec: Codec) -> int:
    """Return the offset behind the segment that begins at ``offset``.

    Raises CorruptError when the data are cut short or are not of the codec.
    """
    return _FINDERS[codec](data, offset)


def window(data: Bytes, offset: int, *, codec: Codec) -> int:
    """Return the bytes that a decoder keeps of what it unpacked, for the segment at ``offset``.

    It is what the header says, or a constant of the format; unpacking takes that much memory, too.
    The segment must be a sound one.
    """
    return codec.row.window(data[offset : offset + _HEAD])


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
        except Exception as error:  # lzma.LZMAError derives from Exception, and may not exist
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
