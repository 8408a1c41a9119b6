# SPDX-License-Identifier: GPL-2.0-or-later
"""What the codecs have in common: loading a shared library, and their interface."""

from __future__ import annotations

import ctypes

from ..failure import SaverError


class Codec:
    """Compresses from memory into memory, by address: no byte is copied on the way."""

    #: As in SaverParams.dump_compress.
    name: str

    def room(self, length: int) -> int:
        """Return the bytes of capacity that compress needs for length bytes."""
        raise NotImplementedError

    def compress(self, source: int, length: int, dest: int, capacity: int) -> int:
        """Compress length bytes at address source to dest; return the size.

        A size that is not below length means "not compressible"; dest is then undefined.
        Raises SaverError when the library fails.
        """
        raise NotImplementedError

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
