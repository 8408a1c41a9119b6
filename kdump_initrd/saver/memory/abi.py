# SPDX-License-Identifier: GPL-2.0-or-later
"""How numbers lie in the dumped machine's memory: word size, byte order, alignment."""

from __future__ import annotations


class Abi:
    """What a reader of memory has to know of the machine; saver/arch makes it.

    word     bytes of a long
    big      whether the byte order is big-endian; order is struct's sign for it
    packed   whether a struct aligns numbers of 64 bits to 32 bits only
    machine  ELF machine number
    uname    what uname -m says there, for dumps whose own utsname cannot be read; "" for unknown
    mask     of an unsigned long
    """

    def __init__(
        self, word: int, big: bool, *, packed: bool = False, machine: int = 0, uname: str = ""
    ) -> None:
        self.word = word
        self.big = big
        self.packed = packed
        self.machine = machine
        self.uname = uname
        self.order = ">" if big else "<"
        self.mask = (1 << 8 * word) - 1

    def number(self, data: bytes, at: int, size: int) -> int:
        """Return the unsigned number of size bytes at an offset in data (short data: less)."""
        return int.from_bytes(data[at : at + size], "big" if self.big else "little")

    def long(self, data: bytes, at: int = 0) -> int:
        """Return the unsigned long at an offset in data."""
        return self.number(data, at, self.word)
