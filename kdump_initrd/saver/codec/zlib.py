# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around libz: RFC 1950 streams, level 1."""

from __future__ import annotations

import ctypes

from ..failure import SaverError
from .library import Codec, load

_LIBRARY = "libz.so.1"
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

    name = "zlib"

    def __init__(self, page_size: int) -> None:
        """Load the library; raises SaverError."""
        library = load(_LIBRARY)
        pointer, size = ctypes.c_void_p, ctypes.c_ulong
        self._stream = _Stream()
        self._stream_at = ctypes.c_void_p(ctypes.addressof(self._stream))
        version = library["zlibVersion"]
        version.restype = ctypes.c_char_p
        init = library["deflateInit2_"]
        number = ctypes.c_int
        init.argtypes = (pointer, *[number] * 5, ctypes.c_char_p, number)
        bits, memory = _SMALL if page_size <= _SMALL_PAGE else _LARGE
        end = (0, version(), ctypes.sizeof(_Stream))
        status = init(self._stream_at, _LEVEL, _Z_DEFLATED, bits, memory, *end)
        if status != 0:
            raise SaverError(f"{_LIBRARY}: deflateInit2 failed (error {status})")
        self._reset = library["deflateReset"]
        self._reset.argtypes = (pointer,)
        self._deflate = library["deflate"]
        self._deflate.argtypes = (pointer, number)
        self._decompress = library["uncompress"]
        self._decompress.argtypes = (pointer, pointer, pointer, size)
        self._size = ctypes.c_ulong()
        self._size_at = ctypes.c_void_p(ctypes.addressof(self._size))

    def room(self, length: int) -> int:
        """Return length: more is not wanted."""
        return length

    def compress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        stream, at = self._stream, self._stream_at
        if self._reset(at) != 0:
            raise SaverError(f"{_LIBRARY}: deflateReset failed")
        stream.next_in = source
        stream.avail_in = length
        stream.next_out = dest
        stream.avail_out = capacity
        status = self._deflate(at, _Z_FINISH)
        if status < 0:
            raise SaverError(f"{_LIBRARY}: compression failed (error {status})")
        # Otherwise the room did not suffice.
        return stream.total_out if status == _Z_STREAM_END else length

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        self._size.value = capacity
        status = self._decompress(dest, self._size_at, source, length)
        if status != 0:
            raise SaverError(f"{_LIBRARY}: damaged data (error {status})")
        return self._size.value
