# SPDX-License-Identifier: GPL-2.0-or-later
"""The codecs of a dump's pages, one row each: whatever reads, writes or offers them asks here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .library import Codec


LIBLZO2 = "liblzo2.so.2"
LIBSNAPPY = "libsnappy.so.1"
LIBZSTD = "libzstd.so.1"
LIBDEFLATE = "libdeflate.so.0"  # from its first release to 1.25
LIBZ = "libz.so.1"


class Row:
    """What there is to know about a codec.

    name       in settings, parameters and reports
    flag       of a page's descriptor, and of the dump's header (diskdump.h, DUMP_DH_COMPRESSED_*)
    option     makedumpfile's option for it
    libraries  the shared libraries that do the work, the better one first, each with what makes its
               Codec for a page size. Its module is imported then: each costs start-up time in the
               capture kernel
    """

    def __init__(
        self, name: str, flag: int, option: str, libraries: Mapping[str, Callable[[int], Codec]]
    ) -> None:
        self.name = name
        self.flag = flag
        self.option = option
        self.libraries = libraries


def _lzo(page_size: int) -> Codec:
    from .lzo import Lzo

    return Lzo(page_size)


def _snappy(_page_size: int) -> Codec:
    from .snappy import Snappy

    return Snappy()


def _zstd(_page_size: int) -> Codec:
    from .zstd import Zstd

    return Zstd()


def _libdeflate(_page_size: int) -> Codec:
    from .libdeflate import LibDeflate

    return LibDeflate()


def _zlib(page_size: int) -> Codec:
    from .zlib import Zlib

    return Zlib(page_size)


#: The order in which "auto" tries: first the fastest, which every reader of dumps knows, too (what
#: a distribution's readers know is in its profile). Microseconds for a page of 4 KiB (of a kernel's
#: pages that are not zero, two fifths of them not compressible; the call from Python included):
#: LZO 3.0, Snappy 3.5, zstd 5.9, zlib 17.5 by libdeflate, 48 by libz.
ROWS = (
    Row("lzo", 0x02, "-l", {LIBLZO2: _lzo}),
    Row("snappy", 0x04, "-p", {LIBSNAPPY: _snappy}),
    Row("zstd", 0x20, "-z", {LIBZSTD: _zstd}),
    Row("zlib", 0x01, "-c", {LIBDEFLATE: _libdeflate, LIBZ: _zlib}),
)
#: The rows by their names.
BY_NAME = {row.name: row for row in ROWS}
#: What a setting may say: a codec, the first that works, or none.
WORDS = ("auto", *BY_NAME, "none")
