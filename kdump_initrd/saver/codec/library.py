# SPDX-License-Identifier: GPL-2.0-or-later
"""What the codecs have in common: loading a shared library, and their interface."""

from __future__ import annotations

import ctypes

from ..low.failure import SaverError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .rows import Row

    Bare = tuple[Callable[..., int], tuple[object, ...], memoryview]


class Codec:
    """Compresses from memory into memory, by address: no byte is copied on the way."""

    #: As in DumpParams.compress.
    row: Row
    #: The library that does the work, as "libdeflate".
    library: str

    def room(self, length: int) -> int:
        """Return the bytes that a page of length bytes can need when it is compressed."""
        raise NotImplementedError

    def bare(self, length: int) -> Bare:
        """Return what compresses pages of length bytes, in parts, for a loop that calls it itself.

        (function, arguments, slots): write the source's address into slots[0] and dest's, where
        room(length) bytes are, into slots[1]; the size is then ``function(*arguments) or
        slots[2]``, and one that is not from 1 to length - 1 means "not compressible", or that the
        library failed; dest is then undefined. It is called for every page: with its arguments in
        words() a call costs 0.34 us instead of 0.43 (of 3 us for a page of LZO).
        """
        raise NotImplementedError

    def compress(self, source: int, length: int, dest: int) -> int:
        """Compress one page; return its size, length for one that is not compressible."""
        function, arguments, slots = self.bare(length)
        slots[0] = source
        slots[1] = dest
        size = function(*arguments) or slots[2]
        return size if 0 < size < length else length

    def decompress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """Decompress length bytes at address source to dest; return the size.

        Raises SaverError for damaged data, or for more than capacity bytes.
        """
        raise NotImplementedError


def load(file: str) -> ctypes.PyDLL:
    """Load a shared library by its soname; raises SaverError naming it."""
    try:
        return ctypes.PyDLL(file)
    except OSError as error:
        raise SaverError(f"{file}: the library cannot be loaded ({error})") from None


def words(count: int) -> tuple[memoryview, list[ctypes.c_size_t]]:
    """Return a view of count machine words, and each as an argument of a function in C.

    The arguments have the values that are written to the view. A function without argtypes takes
    them as they are: ctypes then has nothing to check or to convert, which is what a call costs.
    """
    memory = (ctypes.c_size_t * count)()
    size = ctypes.sizeof(ctypes.c_size_t)
    arguments = [ctypes.c_size_t.from_buffer(memory, size * index) for index in range(count)]
    return memoryview(memory).cast("B").cast("P"), arguments


def address(word: ctypes.c_size_t) -> ctypes.c_void_p:
    """Return the address of a word of words() as an argument, for what is returned there."""
    return ctypes.c_void_p(ctypes.addressof(word))
