# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a dump depends on the architecture? Each is a file here, and is named nowhere else.

What is asked of one, and the answer where nobody knows better, is Architecture. A file has that, as
ARCHITECTURE, and there is no list of them.
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

    #: From a kernel address to a physical one, and the bytes that follow there without a break.
    Translate = Callable[[int], tuple[int, int]]

#: More bytes than any memory has: of translations that only need something added.
ALL = 1 << 64
#: (word, big) of the machines that there are, the usual ones first.
_LAYOUTS = ((8, False), (8, True), (4, False), (4, True))
#: Those that were asked for.
_known: list[Architecture] = []


class Architecture:
    """One architecture. What its file does not say is what stands here: not known, or not done yet.

    elf           ELF machine number (e_machine in elf.h); 0 for unknown
    unames        what uname -m says; anything may follow the letters before a "*"
    word          bytes of a long; 0 for unknown
    big           whether the byte order is big-endian; None: there are both
    packed        whether a struct aligns numbers of 64 bits to 32 bits only
    page          bytes of a page, where all kernels have the same; 0: there are several sizes
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
        """Return the usual one of its unames for a byte order; "" for unknown."""
        return self.unames[0] if self.unames else ""

    def abi(self, word: int, big: bool) -> Abi:
        """Return what a reader of memory has to know."""
        return Abi(word, big, packed=self.packed, machine=self.elf, uname=self.uname(big))

    def abis(self) -> list[Abi]:
        """Return all that a file can be of, for files that do not tell: its own come first."""
        layouts = sorted(_LAYOUTS, key=lambda each: (each[0] != self.word, self._is_other(each[1])))
        return [self.abi(word, big) for word, big in layouts]

    def _is_other(self, big: bool) -> bool:
        return self.big is not None and self.big != big

    def phys_base(self, info: VmcoreInfo, loads: Iterable[tuple[int, int]]) -> int:
        """Return the phys_base of a dump's header, by which its readers find kernel addresses.

        loads are the virtual and the physical address of each PT_LOAD, where there are some. 0 is
        right where readers need none.
        """
        return 0

    def translator(self, memory: Memory, info: VmcoreInfo) -> Translate:
        """Return what finds kernel addresses. Raises SaverError without what it needs.

        Struct pages are found by it: without, the filter leaves out no more than zero pages.
        """
        name = memory.abi.uname or memory.abi.machine
        raise SaverError(f"kernel addresses of machine {name} are not known")

    def space(self, memory: Memory, info: VmcoreInfo) -> AddressSpace:
        """Return the kernel's address space in a dump; raises as translator() does."""
        return AddressSpace(memory, self.translator(memory, info))

    def direct_map(self, memory: Memory, info: VmcoreInfo) -> int:
        """Return how far virtual addresses of the direct map are from physical ones.

        An ELF dump that is made from another one needs it. Raises SaverError, OSError.
        """
        raise SaverError(
            f"{memory.abi.uname or 'this machine'} is not supported: its direct map is not known"
        )

    def direct_end(self, memory: Memory, info: VmcoreInfo) -> int:
        """Return where memory ends that the direct map has; raises as direct_map() does.

        Further memory has no virtual address of its own.
        """
        return ALL

    def kernel_image(self, memory: Memory, info: VmcoreInfo) -> tuple[int, int, int] | None:
        """Return virtual and physical address and bytes of the kernel's image; None without one.

        It is what is mapped outside of the direct map. Raises as direct_map() does.
        """
        return None


class AddressSpace:
    """The kernel's own address space in a dump: where its addresses are, and what is there."""

    def __init__(self, memory: Memory, locate: Translate) -> None:
        self.memory = memory
        self.locate = locate

    def read(self, address: int, length: int) -> bytes:
        """Return length bytes; raises SaverError if not all are there, OSError."""
        parts = []
        while length > 0:
            physical, span = self.locate(address)
            piece = min(length, span)
            parts.append(self.memory.read_physical(physical, piece))
            address += piece
            length -= piece
        return b"".join(parts)


def number(info: VmcoreInfo, name: str) -> int:
    """Return a constant of VMCOREINFO that an architecture needs; SaverError without it."""
    value = info.number(name)
    if value is None:
        raise SaverError(f"VMCOREINFO has no NUMBER({name})")
    return value


def of_elf(machine: int) -> Architecture:
    """Return the architecture of an ELF machine number (e_machine); one without a name if unknown.

    It is mostly that of the machine that this runs on.
    """
    for each in every(os.uname().machine):
        if each.elf == machine:
            return each
    return Architecture(machine)


def of_uname(name: str) -> Architecture:
    """Return the architecture of a machine of which uname -m says that; an unknown one likewise."""
    for each in every(name):
        if each.is_called(name):
            return each
    return Architecture()


def every(likely: str = "") -> Iterator[Architecture]:
    """Yield each architecture of which there is a file here, as one asks for more.

    The file whose name the likely one begins with comes first: mostly it is the only one that is
    imported, which costs start-up time in the capture kernel.
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
            # A zip archive: what zipimport has read of it is all that tells (as in pkgutil.py).
            for archive, places in sys.modules["zipimport"]._zip_directory_cache.items():
                if folder.startswith(archive):
                    start = folder[len(archive) + 1 :] + os.sep
                    files += [each[len(start) :] for each in places if each.startswith(start)]
    # Since Python 3.14 zipimport has the folder, too.
    names = [file.partition(".")[0] for file in files if file]
    return {name for name in names if name[:1] != "_"}


def _fits(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern[-1:] == "*" else name == pattern
