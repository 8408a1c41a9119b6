# SPDX-License-Identifier: GPL-2.0-or-later
"""What in a dump depends on the architecture? Each one is a file here, and is named nowhere else.

Architecture has all that is asked of one, with the answers for an unknown one. Each file has an
instance of it, ARCHITECTURE; there is no list of them.
"""

from __future__ import annotations

import os
import sys

from ..low.failure import SaverError
from ..memory.abi import Abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo

    #: From a kernel address to a physical one, and how many bytes are contiguous from there on.
    Translate = Callable[[int], tuple[int, int]]

#: More bytes than any memory has: the span of a translation that is a mere addition.
ALL = 1 << 64
#: (word, big) of all machines, the most common first.
_LAYOUTS = ((8, False), (8, True), (4, False), (4, True))
#: The architectures that have been imported.
_known: list[Architecture] = []


class Architecture:
    """One architecture. What its file does not define is as here: unknown, or not implemented yet.

    elf           ELF machine number (e_machine in elf.h); 0 for unknown
    unames        what uname -m prints; "*" at the end stands for anything
    word          bytes of a long; 0 for unknown
    big           whether the byte order is big-endian; None if there are both
    packed        whether structs align 64-bit numbers to 32 bits only
    page          bytes of a page if all kernels have the same; 0 if there are several sizes
    finit_module  number of that system call (arch/*/include/…/unistd*.h); 0 for unknown
    """

    elf = 0
    unames: tuple[str, ...] = ()
    word = 0
    big: bool | None = None
    packed = False
    page = 0
    finit_module = 0

    def __init__(self, elf: int = 0) -> None:
        self.elf = elf or self.elf

    def is_called(self, name: str) -> bool:
        """Tell whether a name is one of its unames."""
        return any(_fits(pattern, name) for pattern in self.unames)

    def uname(self, big: bool) -> str:
        """Return the most common of its unames for a byte order; "" for unknown."""
        return self.unames[0] if self.unames else ""

    def abi(self, word: int, big: bool) -> Abi:
        """Return what a reader of memory has to know."""
        return Abi(word, big, packed=self.packed, machine=self.elf, uname=self.uname(big))

    def abis(self) -> list[Abi]:
        """Return all ABIs that a file can have, its own first; for files that do not tell."""
        layouts = sorted(_LAYOUTS, key=lambda each: (each[0] != self.word, self._is_other(each[1])))
        return [self.abi(word, big) for word, big in layouts]

    def _is_other(self, big: bool) -> bool:
        return self.big is not None and self.big != big

    def phys_base(self, info: VmcoreInfo, loads: Iterable[tuple[int, int]]) -> int:
        """Return phys_base for the header of a dump: its readers need it for kernel addresses.

        loads are the virtual and the physical address of each PT_LOAD, if there are any. 0 is for
        architectures whose readers need no phys_base.
        """
        return 0

    def translator(self, memory: Memory, info: VmcoreInfo) -> Translate:
        """Return the function that translates kernel addresses; raises SaverError for lack of data.

        Struct pages are found by it: without it, the filter leaves out only zero pages.
        """
        name = memory.abi.uname or memory.abi.machine
        raise SaverError(f"kernel addresses of machine {name} are not known")

    def space(self, memory: Memory, info: VmcoreInfo) -> AddressSpace:
        """Return the kernel's address space in a dump; raises as translator() does."""
        return AddressSpace(memory, self.translator(memory, info))

    def direct_map(self, memory: Memory, info: VmcoreInfo) -> int:
        """Return virtual minus physical address in the direct map, modulo 2^64.

        An ELF dump that is made from another one needs it. Raises SaverError, OSError.
        """
        raise SaverError(
            f"{memory.abi.uname or 'this machine'} is not supported: its direct map is not known"
        )

    def direct_end(self, memory: Memory, info: VmcoreInfo) -> int:
        """Return the physical address where the direct map ends; raises as direct_map() does.

        Memory beyond it has no virtual address of its own.
        """
        return ALL

    def kernel_image(self, memory: Memory, info: VmcoreInfo) -> tuple[int, int, int] | None:
        """Return virtual address, physical address and bytes of the kernel's image.

        None means that it is part of the direct map. Raises as direct_map() does.
        """
        return None


class AddressSpace:
    """The kernel's own address space in a dump: translates its addresses, and reads there."""

    def __init__(self, memory: Memory, locate: Translate) -> None:
        self.memory = memory
        self.locate = locate

    def read(self, address: int, length: int) -> bytes:
        """Return length bytes from an address on; raises SaverError for a part missing, OSError."""
        parts = []
        while length > 0:
            physical, span = self.locate(address)
            piece = min(length, span)
            parts.append(self.memory.read_physical(physical, piece))
            address += piece
            length -= piece
        return b"".join(parts)


def number(info: VmcoreInfo, name: str) -> int:
    """Return a constant of VMCOREINFO that an architecture needs; raises SaverError without it."""
    value = info.number(name)
    if value is None:
        raise SaverError(f"VMCOREINFO has no NUMBER({name})")
    return value


def of_elf(machine: int) -> Architecture:
    """Return the architecture of an ELF machine number (e_machine); an unnamed one if unknown.

    The one of the machine that this runs on is tried first: usually it is the right one.
    """
    for each in every(os.uname().machine):
        if each.elf == machine:
            return each
    return Architecture(machine)


def of_uname(name: str) -> Architecture:
    """Return the architecture that uname -m calls by that name; an unnamed one if unknown."""
    for each in every(name):
        if each.is_called(name):
            return each
    return Architecture()


def every(likely: str = "") -> Iterator[Architecture]:
    """Yield the architectures one by one; each file is imported only when it is asked for.

    The file whose name the likely one begins with comes first. Usually no other is needed, and
    each import costs start-up time in the capture kernel.
    """
    yield from _known[:]
    for name in sorted(_names(), key=lambda name: (-len(name) * likely.startswith(name), name)):
        module = __import__(f"{__name__}.{name}", fromlist=["ARCHITECTURE"])
        if module.ARCHITECTURE not in _known:
            _known.append(module.ARCHITECTURE)
            yield module.ARCHITECTURE


def _names() -> set[str]:
    files: list[str] = []
    for folder in __path__:
        try:
            files += os.listdir(folder)
        except OSError:
            # In a zip archive, only zipimport's own directory tells the files (as in pkgutil.py).
            for archive, places in sys.modules["zipimport"]._zip_directory_cache.items():
                if folder.startswith(archive):
                    start = folder[len(archive) + 1 :] + os.sep
                    files += [each[len(start) :] for each in places if each.startswith(start)]
    # Since Python 3.14 zipimport lists the folder itself, too.
    names = [file.partition(".")[0] for file in files if file]
    return {name for name in names if name[:1] != "_"}


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern[-1:] == "*" else name == pattern
