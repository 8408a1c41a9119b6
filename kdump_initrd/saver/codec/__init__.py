# SPDX-License-Identifier: GPL-2.0-or-later
"""How are pages compressed? Each codec behind one fence, and the choice among them."""

from __future__ import annotations

import ctypes

from ..low.failure import SaverError
from .library import Codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The order in which "auto" tries, the fastest first, which every reader of dumps knows, too.
#: Microseconds for a page of 4 KiB (of the pages of a kernel that are not zero, two fifths of them
#: not compressible; the call from Python included): LZO 3.0, Snappy 3.5, zstd 5.9, zlib 17.5 by
#: libdeflate, 48 by libz.
AUTO = ("lzo", "snappy", "zstd", "zlib")
#: Flag of a page descriptor (and of the dump header) for each codec.
FLAGS = {"zlib": 0x01, "lzo": 0x02, "snappy": 0x04, "zstd": 0x20}

#: What a codec has to give back before it is used.
_TRIAL = b"a page that is compressed for a trial; "


def open_codec(name: str, page_size: int) -> Codec | None:
    """Load a codec by its name in DumpParams.compress; None for "none".

    Raises SaverError, which names the library, when it cannot be loaded or does not work.
    """
    if name == "none":
        return None
    if name != "auto":
        return _load(name, page_size)
    codec, note = open_any(name, page_size)
    if codec is None:
        raise SaverError(note)
    return codec


def open_any(name: str, page_size: int) -> tuple[Codec | None, str]:
    """Load a codec as open_codec does, or the first of the others that works, or none at all.

    The line says why it is not the wished one; "" where it is. Raises nothing.
    """
    if name == "none":
        return None, ""
    failures = []
    for candidate in AUTO if name == "auto" else dict.fromkeys((name, *AUTO)):
        try:
            codec = _load(candidate, page_size)
        except SaverError as error:
            failures.append(str(error))
            continue
        if candidate == name or name == "auto":
            return codec, ""
        return codec, f"{failures[0]}: pages are compressed by {candidate} instead of {name}"
    return None, f"{'; '.join(failures)}: pages are not compressed"


def open_by_flag(flag: int, page_size: int) -> Codec:
    """Load the codec for a descriptor's flag; raises SaverError."""
    for name, value in FLAGS.items():
        if value == flag:
            return _load(name, page_size)
    raise SaverError(f"pages are compressed by an unknown codec (flag {flag:#x})")


def _load(name: str, page_size: int) -> Codec:
    # Whatever is wrong with a library, as far as this process survives it: it is missing, it is
    # another one of that name, or it does not do what it says.
    failures = []
    for make in _makers(name):
        try:
            codec = make(page_size)
            _prove(codec, page_size)
            return codec
        except SaverError as error:
            failures.append(str(error))
        except Exception as error:
            failures.append(f"the library of {name} does not work ({error})")
    raise SaverError("; ".join(failures))


def _makers(name: str) -> Iterator[Callable[[int], Codec]]:
    # Imported when wanted only: each module costs start-up time in the capture kernel.
    if name == "lzo":
        from .lzo import Lzo

        yield Lzo
    elif name == "snappy":
        from .snappy import Snappy

        yield lambda _: Snappy()
    elif name == "zstd":
        from .zstd import Zstd

        yield lambda _: Zstd()
    else:
        from .libdeflate import LibDeflate

        yield lambda _: LibDeflate()
        from .zlib import Zlib

        yield Zlib


def _prove(codec: Codec, page_size: int) -> None:
    # A page goes in and comes out again.
    page = (_TRIAL * (page_size // len(_TRIAL) + 1))[:page_size]
    room = max(codec.room(page_size), page_size)
    source = ctypes.create_string_buffer(page, page_size)
    packed, again = ctypes.create_string_buffer(room), ctypes.create_string_buffer(page_size)
    at = ctypes.addressof(packed)
    size = codec.compress(ctypes.addressof(source), page_size, at)
    if size < page_size:
        size = codec.decompress(at, size, ctypes.addressof(again), page_size)
    if again.raw[:size] != page:
        raise SaverError(f"{codec.library}: what it has compressed is not what it gives back")
