# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around libzstd: one frame a page."""

from __future__ import annotations

import ctypes

from ..low.failure import SaverError
from .library import Codec, load, words
from .rows import BY_NAME
from .rows import LIBZSTD as _LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .library import Bare

#: A page of 4 KiB takes 5.9 us and becomes 57.8 % of its size; at level 1 8.5 us and 55.3 % (it
#: codes the literals too), -2 5.3 and 58.7, -3 5.0 and 60.3, -5 4.5 and 62.7: from -3 on LZO is
#: better in both. Other window and table sizes are slower; omitting the content size gains nothing.
_LEVEL = -1


class Zstd(Codec):
    """Zstandard with a context that is used again for every page."""

    row = BY_NAME["zstd"]
    library = "libzstd"

    def __init__(self) -> None:
        """Load the library; raises SaverError."""
        library = load(_LIBRARY)
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self._decompress = library["ZSTD_decompress"]
        self._decompress.argtypes = (pointer, size, pointer, size)
        self._decompress.restype = size
        self._is_error = library["ZSTD_isError"]
        self._is_error.argtypes = (size,)
        self._is_error.restype = ctypes.c_uint
        self._code = _error_code(library)
        self._context = _context(library)
        self._compress = library["ZSTD_compressCCtx"]
        self._compress.restype = size

    def room(self, length: int) -> int:
        """Return length: a page that does not get smaller is stored as it is."""
        return length

    def bare(self, length: int) -> Bare:
        """See Codec. Error codes are small negative numbers, so larger than any length."""
        slots, (source, dest, _, length_word) = words(4)
        slots[3] = length
        level = ctypes.c_int(_LEVEL)
        arguments = (self._context, dest, length_word, source, length_word, level)
        return self._compress, arguments, slots

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        size: int = self._decompress(dest, capacity, source, length)
        if self._is_error(size):
            raise SaverError(f"{_LIBRARY}: damaged data (error {self._code(size)})")
        return size


def _context(library: ctypes.PyDLL) -> ctypes.c_void_p:
    create = library["ZSTD_createCCtx"]
    create.restype = ctypes.c_void_p
    context = ctypes.c_void_p(create())
    if not context:
        raise SaverError(f"{_LIBRARY}: out of memory")
    return context


def _error_code(library: ctypes.PyDLL) -> Callable[[int], int]:
    function = library["ZSTD_getErrorCode"]
    function.argtypes = (ctypes.c_size_t,)
    return function
