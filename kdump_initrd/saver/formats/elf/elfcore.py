# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF cores, /proc/vmcore among them: headers, and memory by address."""

from __future__ import annotations

import struct

from ...arch import of_elf
from ...low.failure import SaverError
from ...low.intervals import Intervals
from ...memory.notes import Notes
from ...memory.reader import Memory, absent
from ...memory.window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...memory.abi import Abi

PT_LOAD = 1
PT_NOTE = 4
ET_CORE = 4
PN_XNUM = 0xFFFF  # the count is in section header 0's sh_info (elf(5))
#: e_flags of a dump that is not complete (makedumpfile's convention for ELF dumps).
INCOMPLETE = 1
MAX_HEADERS = 1 << 17
#: Physical addresses have 52 bits at most; more is damage, or "no address".
MAX_PHYSICAL = 1 << 52
#: The most bytes of a PT_LOAD that are believed if the file is smaller.
_MAX_SIZE = 1 << 44

# e_type … e_shstrndx behind e_ident; Phdr; sh_size, sh_link, sh_info of Shdr at their offsets.
EHDR = {4: "HHIIIIIHHHHHH", 8: "HHIQQQIHHHHHH"}
PHDR = {4: "IIIIIIII", 8: "IIQQQQQQ"}
SH_INFO = {4: 28, 8: 44}


class Segment:
    """One program header: file offset, virtual and physical address, bytes in file and memory."""

    __slots__ = ("align", "filesz", "flags", "kind", "memsz", "offset", "paddr", "vaddr")

    def __init__(self, raw: tuple[int, ...], word: int) -> None:
        if word == 8:
            self.kind, self.flags, self.offset, self.vaddr, self.paddr = raw[:5]
            self.filesz, self.memsz, self.align = raw[5:]
        else:
            self.kind, self.offset, self.vaddr, self.paddr, self.filesz = raw[:5]
            self.memsz, self.flags, self.align = raw[5:]

    def pack(self, abi: Abi, offset: int, *, start: int, filesz: int, memsz: int) -> bytes:
        """Return the header for a part of its memory, from physical address start."""
        vaddr = self.vaddr
        if vaddr != abi.mask:  # memory without a virtual one (kexec-tools, kexec/crashdump-elf.c)
            vaddr = vaddr + start - self.paddr & abi.mask
        if abi.word == 8:
            values = (self.kind, self.flags, offset, vaddr, start, filesz, memsz, self.align)
        else:
            values = (self.kind, offset, vaddr, start, filesz, memsz, self.flags, self.align)
        return struct.pack(abi.order + PHDR[abi.word], *values)


class ElfCore(Memory):
    """The headers of an ELF core in a window.

    ident is e_ident, flags e_flags; headers says how numbers lie in the headers, whose addresses
    may have more bits than the machine's; loads are the PT_LOADs in their order, without those that
    are empty or have an impossible physical address.
    """

    def __init__(self, window: Window) -> None:
        """Read the headers; raises SaverError when they make no sense, OSError."""
        self.window = window
        self.ident = window.read(0, 16)
        word = {1: 4, 2: 8}.get(self.ident[4]) if len(self.ident) == 16 else None
        if self.ident[:4] != b"\x7fELF" or word is None or self.ident[5] not in (1, 2):
            raise SaverError(f"{window.path}: not an ELF core")
        big = self.ident[5] == 2
        layout = struct.Struct((">" if big else "<") + EHDR[word])
        raw = window.read(16, layout.size)
        if len(raw) < layout.size:
            raise SaverError(f"{window.path}: truncated: the ELF header is not complete")
        header = layout.unpack(raw)
        if header[0] != ET_CORE:
            raise SaverError(f"{window.path}: not an ELF core, but ELF type {header[0]}")
        architecture = of_elf(header[1])
        self.headers = architecture.abi(word, big)
        self.abi = architecture.abi(architecture.word or word, big)
        self.flags = header[6]
        if self.flags & INCOMPLETE:
            self.damage = "the input itself is incomplete, and does not tell which pages are lost"
        segments = self._segments(header)
        self.loads = [part for part in segments if part.kind == PT_LOAD and self._is_sane(part)]
        if not self.loads:
            raise SaverError(f"{window.path}: no memory in it (no PT_LOAD)")
        self._last = self.loads[0]
        #: The PT_LOADs sorted by "paddr" or "vaddr".
        self._sorted: dict[str, tuple[list[Segment], Intervals]] = {}
        parts = []
        for part in segments:
            size = min(part.filesz, window.size - part.offset)
            if part.kind == PT_NOTE and size > 0:
                parts.append((part.offset, size))
        self.notes = Notes(window.read, parts, abi=self.abi)

    def _segments(self, header: tuple[int, ...]) -> list[Segment]:
        path, abi = self.window.path, self.headers
        offset, entry, count = header[4], header[8], header[9]
        layout = struct.Struct(abi.order + PHDR[abi.word])
        if count == PN_XNUM:
            raw = self.window.read(header[5] + SH_INFO[abi.word], 4)
            count = abi.number(raw, 0, 4)
        if entry != layout.size or count > MAX_HEADERS:
            raise SaverError(f"{path}: corrupt: {count} program headers of {entry} bytes")
        table = self.window.read(offset, count * entry)
        if len(table) < count * entry:
            raise SaverError(f"{path}: truncated: the {count} program headers are not complete")
        return [Segment(raw, abi.word) for raw in layout.iter_unpack(table)]

    def _is_sane(self, part: Segment) -> bool:
        if part.filesz > max(self.window.size, _MAX_SIZE):  # there is less in any case
            part.filesz = _MAX_SIZE
        size = max(part.filesz, part.memsz if part.filesz == 0 else 0)
        return 0 < size <= MAX_PHYSICAL and part.paddr + size <= MAX_PHYSICAL

    def __str__(self) -> str:
        return f"{len(self.loads)} ranges of memory"

    def close(self) -> None:
        """Close the window."""
        self.window.close()

    def read_physical(self, address: int, length: int) -> bytes:
        """Return length bytes of physical memory; raises SaverError if not all are there."""
        return self._read(address, length, "physical", "paddr")

    def view_physical(self, address: int, length: int, unit: int) -> tuple[int, int]:
        """See Memory."""
        part, skip = self._find(address, "physical", "paddr")
        where, seen = self.window.view(part.offset + skip, min(length, part.filesz - skip), unit)
        return where, seen - seen % unit

    def read_virtual(self, address: int, length: int) -> bytes:
        """Return length bytes of the kernel's memory by the PT_LOADs' virtual addresses.

        That covers the kernel's text and data and the direct map, not vmalloc. Raises SaverError
        if not all are there.
        """
        return self._read(address, length, "virtual", "vaddr")

    def _read(self, address: int, length: int, kind: str, key: str) -> bytes:
        parts = []
        while length > 0:
            part, skip = self._find(address, kind, key)
            piece = self.window.read(part.offset + skip, min(length, part.filesz - skip))
            if not piece:
                raise absent(kind, address)
            parts.append(piece)
            address += len(piece)
            length -= len(piece)
        return b"".join(parts)

    def _find(self, address: int, kind: str, key: str) -> tuple[Segment, int]:
        # The range of the last call is the likely one.
        part = self._last
        skip = address - getattr(part, key)
        if 0 <= skip < part.filesz:
            return part, skip
        if key not in self._sorted:
            parts = sorted(self.loads, key=lambda part: int(getattr(part, key)))
            starts = [int(getattr(part, key)) for part in parts]
            ends = [start + part.filesz for start, part in zip(starts, parts)]
            self._sorted[key] = parts, Intervals(list(zip(starts, ends)))
        parts, places = self._sorted[key]
        for place in places.touching(address, address + 1):
            self._last = part = parts[place]
            return part, address - getattr(part, key)
        raise absent(kind, address)
