# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around libz: RFC 1950 streams, where libdeflate is not there."""

from __future__ import annotations

import ctypes

from ..low.failure import SaverError
from .library import Codec, load, words
from .rows import BY_NAME
from .rows import LIBZ as _LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .library import Bare

#: A page of 4 KiB takes 48 us and becomes 55.5 % of its size.
_LEVEL = 1
# zlib.h
_Z_FINISH, _Z_STREAM_END, _Z_DEFLATED = 4, 1, 8
#: Bits of window and size of the tables for small pages: the tables are cleared for each page.
_SMALL_PAGE, _SMALL, _LARGE = 8192, (13, 6), (15, 8)


class _Stream(ctypes.Structure):
    # z_stream of zlib.h
    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_uint),
        ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint),
        ("total_out", ctypes.c_ulong),
        ("msg", ctypes.c_char_p),
        ("state", ctypes.c_void_p),
        ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p),
        ("opaque", ctypes.c_void_p),
        ("data_type", ctypes.c_int),
        ("adler", ctypes.c_ulong),
        ("reserved", ctypes.c_ulong),
    )


class Zlib(Codec):
    """One stream that is reset for every page: compress2 would allocate 256 KiB each time."""

    row = BY_NAME["zlib"]
    library = "libz"

    def __init__(self, page_size: int) -> None:
        """Load the library; raises SaverError."""
        library = load(_LIBRARY)
        pointer, size = ctypes.c_void_p, ctypes.c_ulong
        self._stream, self._at = _open_stream(library, page_size)
        self._reset, self._deflate = library["deflateReset"], library["deflate"]
        self._decompress = library["uncompress"]
        self._decompress.argtypes = (pointer, pointer, pointer, size)
        self._size = size()

    def room(self, length: int) -> int:
        """Return length: a page that does not get smaller is stored as it is."""
        return length

    def bare(self, length: int) -> Bare:
        """See Codec."""
        slots, _ = words(3)
        stream, at, reset, deflate = self._stream, self._at, self._reset, self._deflate
        finish = ctypes.c_int(_Z_FINISH)

        def compress() -> int:
            if reset(at):
                return length
            stream.next_in = slots[0]
            stream.next_out = slots[1]
            stream.avail_in = stream.avail_out = length
            # Anything else: the room did not suffice.
            size: int = stream.total_out if deflate(at, finish) == _Z_STREAM_END else length
            return size

        return compress, (), slots

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        self._size.value = capacity
        status = self._decompress(dest, ctypes.byref(self._size), source, length)
        if status != 0:
            raise SaverError(f"{_LIBRARY}: damaged data (error {status})")
        return self._size.value


def _open_stream(library: ctypes.PyDLL, page_size: int) -> tuple[_Stream, ctypes.c_void_p]:
    stream = _Stream()
    at = ctypes.c_void_p(ctypes.addressof(stream))
    version = library["zlibVersion"]
    version.restype = ctypes.c_char_p
    init = library["deflateInit2_"]
    number = ctypes.c_int
    init.argtypes = (ctypes.c_void_p, *[number] * 5, ctypes.c_char_p, number)
    bits, memory = _SMALL if page_size <= _SMALL_PAGE else _LARGE
    end = (0, version(), ctypes.sizeof(_Stream))
    status = init(at, _LEVEL, _Z_DEFLATED, bits, memory, *end)
    if status != 0:
        raise SaverError(f"{_LIBRARY}: deflateInit2 failed (error {status})")
    return stream, at
