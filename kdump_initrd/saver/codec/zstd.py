# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around libzstd: one frame a page, level 1."""

from __future__ import annotations

import ctypes

from ..failure import SaverError
from .library import Codec, load

_LIBRARY = "libzstd.so.1"
_LEVEL = 1
_DST_SIZE_TOO_SMALL = 70  # ZSTD_error_dstSize_tooSmall


class Zstd(Codec):
    """Zstandard with contexts that are used again for every page."""

    name = "zstd"

    def __init__(self) -> None:
        """Load the library; raises SaverError."""
        library = load(_LIBRARY)
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self._compress = library["ZSTD_compressCCtx"]
        self._compress.argtypes = (pointer, pointer, size, pointer, size, ctypes.c_int)
        self._compress.restype = size
        self._decompress = library["ZSTD_decompress"]
        self._decompress.argtypes = (pointer, size, pointer, size)
        self._decompress.restype = size
        self._is_error = library["ZSTD_isError"]
        self._is_error.argtypes = (size,)
        self._is_error.restype = ctypes.c_uint
        self._code = library["ZSTD_getErrorCode"]
        self._code.argtypes = (size,)
        create = library["ZSTD_createCCtx"]
        create.restype = pointer
        self._context = ctypes.c_void_p(create())
        if not self._context:
            raise SaverError(f"{_LIBRARY}: out of memory")
        # A size above this is an error code: they are small negative numbers.
        self._highest = ctypes.c_size_t(-4096).value

    def room(self, length: int) -> int:
        """Return length: more is not wanted."""
        return length

    def compress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        size: int = self._compress(self._context, dest, capacity, source, length, _LEVEL)
        if size > self._highest:
            if self._code(size) == _DST_SIZE_TOO_SMALL:
                return length
            raise SaverError(f"{_LIBRARY}: compression failed (error {self._code(size)})")
        return size

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        size: int = self._decompress(dest, capacity, source, length)
        if self._is_error(size):
            raise SaverError(f"{_LIBRARY}: damaged data (error {self._code(size)})")
        return size
