# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around libz: RFC 1950 streams, level 1."""

from __future__ import annotations

import ctypes

from ..failure import SaverError
from .library import Codec, load

_LIBRARY = "libz.so.1"
_LEVEL = 1
_Z_BUF_ERROR = -5


class Zlib(Codec):
    """zlib through its one-call interface; the zlib module would need an extension file."""

    name = "zlib"

    def __init__(self) -> None:
        """Load the library; raises SaverError."""
        library = load(_LIBRARY)
        pointer, size = ctypes.c_void_p, ctypes.c_ulong
        self._compress = library["compress2"]
        self._compress.argtypes = (pointer, pointer, pointer, size, ctypes.c_int)
        self._decompress = library["uncompress"]
        self._decompress.argtypes = (pointer, pointer, pointer, size)
        self._size = ctypes.c_ulong()
        self._size_at = ctypes.c_void_p(ctypes.addressof(self._size))

    def room(self, length: int) -> int:
        """Return length: more is not wanted."""
        return length

    def compress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        self._size.value = capacity
        status = self._compress(dest, self._size_at, source, length, _LEVEL)
        if status == _Z_BUF_ERROR:
            return length
        if status != 0:
            raise SaverError(f"{_LIBRARY}: compression failed (error {status})")
        return self._size.value

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        self._size.value = capacity
        status = self._decompress(dest, self._size_at, source, length)
        if status != 0:
            raise SaverError(f"{_LIBRARY}: damaged data (error {status})")
        return self._size.value
