# SPDX-License-Identifier: GPL-2.0-or-later
"""The crashed kernel's memory, whatever file it is read from."""

from __future__ import annotations

from ..low.failure import SaverError
from .abi import Abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .notes import Notes


class Memory:
    """What the readers of cores and of finished dumps have in common.

    abi is the dumped machine's, notes its ELF notes; page_size and level (the dump level) are
    what the file's own header says, 0 if it does not. damage is a line on pages that are lost in
    it but cannot be told from others, "" for none.
    """

    abi: Abi
    notes: Notes
    page_size = 0
    level = 0
    damage = ""

    def read_physical(self, address: int, length: int) -> bytes:
        """Return length bytes of physical memory; raises SaverError if not all are there."""
        raise NotImplementedError

    def view_physical(self, address: int, length: int, unit: int) -> tuple[int, int]:
        """Return the address at which this process sees physical memory, and how many bytes of it.

        They are at most length, a multiple of unit, and valid until the next call; none means
        that the first unit cannot be seen as a whole. Raises SaverError, OSError.
        """
        raise NotImplementedError

    def read_virtual(self, address: int, length: int) -> bytes:
        """Return length bytes of the kernel's memory; raises SaverError if not all are there."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError

    def read_long(self, address: int) -> int:
        """Return the unsigned long at a kernel address; raises SaverError."""
        return self.abi.long(self.read_virtual(address, self.abi.word))


def absent(kind: str, address: int) -> SaverError:
    """Return the error for an address that the file does not hold; kind: physical or virtual."""
    return SaverError(f"{kind} address {address:#x} is not in the dump")
