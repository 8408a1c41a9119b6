# SPDX-License-Identifier: GPL-2.0-or-later
"""The codecs of initrds, one row each: whatever reads, writes or offers them asks here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum


class Codec(str, Enum):
    """The codecs of initrds that Linux can unpack, and lz4's frame format, which it cannot.

    Those that whole images are packed with come first, in the order of the reservation that such
    an image needs, the smallest first (docs/architecture.md); NONE is the last resort.
    """

    ZSTD = "zstd"
    XZ = "xz"
    GZIP = "gzip"
    LZ4 = "lz4"
    NONE = "none"
    BZIP2 = "bzip2"
    LZMA = "lzma"
    LZO = "lzo"
    LZ4_FRAME = "lz4-frame"

    @property
    def row(self) -> Row:
        """What there is to know about it."""
        return _ROWS[self]


@dataclass(frozen=True)
class Row:
    """What there is to know about a codec.

    ``magics`` are the first bytes of what it packs, longer than lib/decompress.c of Linux asks
    for. ``kernel_option`` is what a kernel must be built with to unpack it; "" if every kernel can,
    or none. ``reader`` is libarchive's name for it. ``program`` packs a whole image with
    ``options`` ("" if no image is packed so), and with ``fast`` what is mostly packed already,
    quickly; without a program, libarchive packs, and they are options of its filter. ``window``
    returns, from the first bytes of a sound segment, the bytes that a decoder keeps of what it has
    unpacked.
    """

    magics: tuple[bytes, ...]
    kernel_option: str = ""
    reader: str = ""
    program: str = ""
    options: str = ""
    fast: str = ""
    window: Callable[[bytes], int] = lambda head: 0


def _always(size: int) -> Callable[[bytes], int]:
    return lambda head: size


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


def _lzma_dictionary(head: bytes) -> int:
    return int.from_bytes(head[1:5], "little")


#: Programs pack what libarchive's own filters would pack so that Linux cannot unpack it (xz: CRC64,
#: lz4: frames) or differently from run to run. zstd's result depends on its version, not on the
#: number of threads, and so does xz's from two threads on.
_ROWS: Mapping[Codec, Row] = {
    # The window is what costs reserved memory. Tables as small as it stay in the processor's cache.
    # Level 17 would store 2 % less in more than three times the time.
    Codec.ZSTD: Row(
        (b"\x28\xb5\x2f\xfd",), "CONFIG_RD_ZSTD", "zstd", "zstd",
        options="-q -T0 -15 --zstd=wlog=17,clog=17,hlog=17,slog=4,mml=3 -c",
        fast="-q -T0 -1 -c", window=_zstd_window,
    ),
    Codec.XZ: Row(
        (b"\xfd7zXZ\x00",), "CONFIG_RD_XZ", "xz", "xz",
        options="-q -T2 --check=crc32 --lzma2=preset=6,dict=128KiB -c",
        fast="-q -T2 --check=crc32 --lzma2=preset=0,mf=hc3,nice=8 -c", window=_xz_dictionary,
    ),
    Codec.GZIP: Row(
        (b"\x1f\x8b\x08",), "CONFIG_RD_GZIP", "gzip",
        options="gzip:compression-level=6,gzip:!timestamp",
        fast="gzip:compression-level=1,gzip:!timestamp", window=_always(1 << 15),
    ),
    # A block of 8 MiB and its room.
    Codec.LZ4: Row(
        (b"\x02\x21\x4c\x18",), "CONFIG_RD_LZ4", "lz4", "lz4",
        options="-q -l -9 -c", fast="-q -l -1 -c", window=_always(16 << 20),
    ),
    # cpio(5), "New ASCII Format" and "New CRC Format".
    Codec.NONE: Row((b"070701", b"070702"), reader="none"),
    # 900 kB, four bytes each (lib/decompress_bunzip2.c).
    Codec.BZIP2: Row(
        (b"BZh",), "CONFIG_RD_BZIP2", "bzip2", "bzip2",
        fast="-q -1 -c", window=_always(3_600_000),
    ),
    Codec.LZMA: Row(
        (b"\x5d\x00\x00",), "CONFIG_RD_LZMA", "lzma", "xz",
        fast="-q --format=lzma -0 -c", window=_lzma_dictionary,
    ),
    # A block and its room.
    Codec.LZO: Row(
        (b"\x89LZO\x00\r\n\x1a\n",), "CONFIG_RD_LZO", "lzop", "lzop",
        fast="-q -1 -c", window=_always(1 << 19),
    ),
    Codec.LZ4_FRAME: Row((b"\x04\x22\x4d\x18",), reader="lz4"),
}  # fmt: skip
#: The codecs that an image is packed with, the best first.
PACKED = tuple(codec for codec in Codec if codec.row.options)
