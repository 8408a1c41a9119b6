# SPDX-License-Identifier: GPL-2.0-or-later
"""The codecs of pages, each behind one fence, and the choice among them."""

from __future__ import annotations

from ..failure import SaverError
from .library import Codec

#: The order in which "auto" tries, the fastest first, which every reader of dumps knows, too.
#: Microseconds for a page of 4 KiB (of the pages of a kernel that are not zero, two fifths of them
#: not compressible; the call from Python included): LZO 3.0, Snappy 3.5, zstd 5.9, zlib 17.5 by
#: libdeflate, 48 by libz.
AUTO = ("lzo", "snappy", "zstd", "zlib")
#: Flag of a page descriptor (and of the dump header) for each codec.
FLAGS = {"zlib": 0x01, "lzo": 0x02, "snappy": 0x04, "zstd": 0x20}


def open_codec(name: str, page_size: int) -> Codec | None:
    """Load a codec by its name in SaverParams.dump_compress; None for "none".

    Raises SaverError, which names the library, when it cannot be loaded.
    """
    if name == "none":
        return None
    if name != "auto":
        return _load(name, page_size)
    failures = []
    for candidate in AUTO:
        try:
            return _load(candidate, page_size)
        except SaverError as error:
            failures.append(str(error))
    raise SaverError("; ".join(failures))


def open_by_flag(flag: int, page_size: int) -> Codec:
    """Load the codec for a descriptor's flag; raises SaverError."""
    for name, value in FLAGS.items():
        if value == flag:
            return _load(name, page_size)
    raise SaverError(f"pages are compressed by an unknown codec (flag {flag:#x})")


def _load(name: str, page_size: int) -> Codec:
    # Imported when wanted only: each module costs start-up time in the capture kernel.
    if name == "lzo":
        from .lzo import Lzo

        return Lzo(page_size)
    if name == "snappy":
        from .snappy import Snappy

        return Snappy()
    if name == "zstd":
        from .zstd import Zstd

        return Zstd()
    try:
        from .libdeflate import LibDeflate

        return LibDeflate()
    except SaverError:
        from .zlib import Zlib

        return Zlib(page_size)
