# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around liblzo2: LZO1X."""

from __future__ import annotations

import ctypes

from ..low.failure import SaverError
from .library import Codec, address, load, words
from .rows import BY_NAME
from .rows import LIBLZO2 as _LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .library import Bare

_VERSION = 0x2000  # the oldest with this interface
#: The variants differ in the dictionary, which is cleared for each page: the small one is 9 %
#: faster on pages of 4 KiB, and loses 0.3 % of size (3.0 us a page and 61.2 %, _12 3.1 and 61.1,
#: _15 3.2 and 61.0, the large one 3.4 and 61.0). All write what lzo1x_decompress reads.
_SMALL, _SMALL_WORK = "lzo1x_1_11_compress", 2048 * 8
_LARGE, _LARGE_WORK = "lzo1x_1_compress", 16384 * 8
_SMALL_PAGE = 8192


class Lzo(Codec):
    """LZO1X-1."""

    row = BY_NAME["lzo"]
    library = "liblzo2"

    def __init__(self, page_size: int) -> None:
        """Load the library; raises SaverError."""
        library = load(_LIBRARY)
        # The sizes of C types, -1: do not compare.
        if library["__lzo_init_v2"](_VERSION, *[-1] * 9) != 0:
            raise SaverError(f"{_LIBRARY}: lzo_init failed")
        small = page_size <= _SMALL_PAGE
        name, work_size = (_SMALL, _SMALL_WORK) if small else (_LARGE, _LARGE_WORK)
        self._function = library[name]
        # What cast() returns keeps the memory alive.
        self._work = ctypes.cast(ctypes.create_string_buffer(work_size), ctypes.c_void_p)
        self._decompress = library["lzo1x_decompress_safe"]
        pointer = ctypes.c_void_p
        self._decompress.argtypes = (pointer, ctypes.c_size_t, pointer, pointer, pointer)
        self._size = ctypes.c_size_t()

    def room(self, length: int) -> int:
        """Return the worst case: LZO does not check the capacity (LZO FAQ: n + n/16 + 67)."""
        return length + length // 16 + 67

    def bare(self, length: int) -> Bare:
        """See Codec; the function returns 0 when all is well."""
        slots, (source, dest, size, length_word) = words(4)
        slots[3] = length
        return self._function, (source, length_word, dest, address(size), self._work), slots

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        self._size.value = capacity
        status = self._decompress(source, length, dest, ctypes.byref(self._size), None)
        if status != 0:
            raise SaverError(f"{_LIBRARY}: damaged data (error {status})")
        return self._size.value
