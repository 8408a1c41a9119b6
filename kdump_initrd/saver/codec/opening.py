# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening a codec: it is loaded, and proves itself, before a page is given to it."""

from __future__ import annotations

import ctypes

from ..low.failure import SaverError
from .rows import BY_NAME, ROWS, Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .library import Codec

#: What a codec has to give back before it is used.
_TRIAL = b"a page that is compressed for a trial; "


def open_codec(name: str, page_size: int) -> Codec | None:
    """Load a codec by its name in DumpParams.compress; None for "none".

    Raises SaverError, which names the library, when it cannot be loaded or does not work.
    """
    if name == "none":
        return None
    if name != "auto":
        return _load(BY_NAME[name], page_size)
    codec, note = open_any(name, page_size)
    if codec is None:
        raise SaverError(note)
    return codec


def open_any(name: str, page_size: int) -> tuple[Codec | None, str]:
    """Load a codec as open_codec does, or the first of the others that works, or none at all.

    The line says why it is not the one that was asked for; "" if it is. Raises nothing.
    """
    if name == "none":
        return None, ""
    failures = []
    for candidate in BY_NAME if name == "auto" else dict.fromkeys((name, *BY_NAME)):
        try:
            codec = _load(BY_NAME[candidate], page_size)
        except SaverError as error:
            failures.append(str(error))
            continue
        if candidate == name or name == "auto":
            return codec, ""
        return codec, f"{failures[0]}: pages are compressed by {candidate} instead of {name}"
    return None, f"{'; '.join(failures)}: pages are not compressed"


def open_by_flag(flag: int, page_size: int) -> Codec:
    """Load the codec for a descriptor's flag; raises SaverError."""
    for row in ROWS:
        if row.flag == flag:
            return _load(row, page_size)
    raise SaverError(f"pages are compressed by an unknown codec (flag {flag:#x})")


def _load(row: Row, page_size: int) -> Codec:
    # Whatever is wrong with a library, as far as this process survives it: it is missing, it is
    # another one of that name, or it does not do what it says.
    failures = []
    for make in row.libraries.values():
        try:
            codec = make(page_size)
            _prove(codec, page_size)
            return codec
        except SaverError as error:
            failures.append(str(error))
        except Exception as error:
            failures.append(f"the library of {row.name} does not work ({error})")
    raise SaverError("; ".join(failures))


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
        raise SaverError(f"{codec.library}: it does not give back what it has compressed")
