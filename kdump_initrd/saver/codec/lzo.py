# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around liblzo2: LZO1X."""

from __future__ import annotations

import ctypes

from ..failure import SaverError
from .library import Codec, load

_LIBRARY = "liblzo2.so.2"
_VERSION = 0x2000  # the oldest with this interface
#: The variants differ in the dictionary, which is cleared for each page: the small one is 9 %
#: faster on pages of 4 KiB, and loses 0.4 % of size. All write what lzo1x_decompress reads.
_SMALL, _SMALL_WORK = "lzo1x_1_11_compress", 2048 * 8
_LARGE, _LARGE_WORK = "lzo1x_1_compress", 16384 * 8
_SMALL_PAGE = 8192


class Lzo(Codec):
    """LZO1X-1."""

    name = "lzo"

    def __init__(self, page_size: int) -> None:
        """Load the library; raises SaverError."""
        library = load(_LIBRARY)
        # The sizes of C types, -1: do not compare.
        if library["__lzo_init_v2"](_VERSION, *[-1] * 9) != 0:
            raise SaverError(f"{_LIBRARY}: lzo_init failed")
        small = page_size <= _SMALL_PAGE
        self._compress = library[_SMALL if small else _LARGE]
        self._decompress = library["lzo1x_decompress_safe"]
        for function in (self._compress, self._decompress):
            function.argtypes = (ctypes.c_void_p, ctypes.c_size_t) + (ctypes.c_void_p,) * 3
            function.restype = ctypes.c_int
        work = ctypes.create_string_buffer(_SMALL_WORK if small else _LARGE_WORK)
        self._buffer = work
        self._work = ctypes.c_void_p(ctypes.addressof(work))
        self._size = ctypes.c_size_t()
        self._size_at = ctypes.c_void_p(ctypes.addressof(self._size))

    def room(self, length: int) -> int:
        """Return the worst case: LZO does not check the capacity (LZO FAQ: n + n/16 + 67)."""
        return length + length // 16 + 67

    def compress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec; capacity must be room(length) at least."""
        if self._compress(source, length, dest, self._size_at, self._work) != 0:
            raise SaverError(f"{_LIBRARY}: compression failed")
        return self._size.value

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        self._size.value = capacity
        status = self._decompress(source, length, dest, self._size_at, None)
        if status != 0:
            raise SaverError(f"{_LIBRARY}: damaged data (error {status})")
        return self._size.value
