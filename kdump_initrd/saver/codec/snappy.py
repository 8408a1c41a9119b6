# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around libsnappy: raw blocks, without the framing of its files."""

from __future__ import annotations

import ctypes

from ..low.failure import SaverError
from .library import Codec, address, load, words
from .rows import BY_NAME
from .rows import LIBSNAPPY as _LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .library import Bare


class Snappy(Codec):
    """Snappy by its interface for C (snappy-c.h): 3.5 us a page of 4 KiB, to 62.0 %."""

    row = BY_NAME["snappy"]
    library = "libsnappy"

    def __init__(self) -> None:
        """Load the library; raises SaverError."""
        library = load(_LIBRARY)
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self._room = library["snappy_max_compressed_length"]
        self._room.argtypes = (size,)
        self._room.restype = size
        self._uncompress = library["snappy_uncompress"]
        self._uncompress.argtypes = (pointer, size, pointer, pointer)
        self._size = size()
        self._compress = library["snappy_compress"]

    def room(self, length: int) -> int:
        """Return the worst case: the library refuses less, whatever the data."""
        size: int = self._room(length)
        return size

    def bare(self, length: int) -> Bare:
        """See Codec. The library takes the room, and returns the size, in the same word."""
        slots, (source, dest, size, length_word) = words(4)
        slots[3] = length
        size_at, room, function = address(size), self.room(length), self._compress

        def compress() -> int:
            slots[2] = room
            status: int = function(source, length_word, dest, size_at)
            return status and length

        return compress, (), slots

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """See Codec."""
        self._size.value = capacity
        status = self._uncompress(source, length, dest, ctypes.byref(self._size))
        if status != 0:
            raise SaverError(f"{_LIBRARY}: damaged data (error {status})")
        return self._size.value
