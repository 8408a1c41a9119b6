# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around libdeflate: RFC 1950 streams, as libz writes them, but faster."""

from __future__ import annotations

import ctypes

from ..low.failure import SaverError
from .library import Codec, load, words
from .rows import BY_NAME
from .rows import LIBDEFLATE as _LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .library import Bare

#: A page of 4 KiB takes 17.5 us and becomes 55.7 % of its size; at level 2 24.4 us and 54.8 %, and
#: level 0 does not compress. libz takes 48 us at level 1.
_LEVEL = 1


class LibDeflate(Codec):
    """One compressor and one decompressor, used again for every page."""

    row = BY_NAME["zlib"]
    library = "libdeflate"

    def __init__(self) -> None:
        """Load the library; raises SaverError."""
        library = load(_LIBRARY)
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self._compressor = _allocate(library, "libdeflate_alloc_compressor", _LEVEL)
        self._compress = library["libdeflate_zlib_compress"]
        self._compress.restype = size
        self._decompressor = _allocate(library, "libdeflate_alloc_decompressor")
        self._decompress = library["libdeflate_zlib_decompress"]
        self._decompress.argtypes = (pointer, pointer, size, pointer, size, pointer)
        self._size = size()

    def room(self, length: int) -> int:
        """Return length: a page that does not get smaller is stored as it is."""
        return length

    def bare(self, length: int) -> Bare:
        """See Codec; the function returns 0 when the room does not suffice."""
        slots, (source, dest, size, _) = words(4)
        slots[2] = length
        return self._compress, (self._compressor, source, size, dest, size), slots

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        end = ctypes.byref(self._size)
        status = self._decompress(self._decompressor, source, length, dest, capacity, end)
        if status != 0:
            raise SaverError(f"{_LIBRARY}: damaged data (error {status})")
        return self._size.value


def _allocate(library: ctypes.PyDLL, name: str, *arguments: int) -> ctypes.c_void_p:
    function = library[name]
    function.restype = ctypes.c_void_p
    found = ctypes.c_void_p(function(*arguments))
    if not found:
        raise SaverError(f"{_LIBRARY}: out of memory")
    return found
