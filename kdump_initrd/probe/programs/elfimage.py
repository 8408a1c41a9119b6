# SPDX-License-Identifier: GPL-2.0-or-later
"""The bare headers of an ELF file in memory (elf(5)): quick, and nothing is taken on trust.

closure.py reads what a loader needs from a file; this is for files that no loader reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..distro.architectures import facts

#: e_type of a file that is still to be linked, as a kernel module is.
RELOCATABLE = 1
_PT_LOAD, _PT_DYNAMIC, _SHT_NOBITS = 1, 2, 8


class Damaged(ValueError):
    """The file is not what its headers say: cut off, or not ELF at all."""


class NotElf(Damaged):
    """The file is of another format."""


@dataclass(frozen=True)
class Segment:
    """A piece of the file and where it lies in memory, in bytes.

    ``physical`` is p_paddr, and ``memory`` what it takes there.
    """

    kind: int
    offset: int
    address: int
    size: int
    physical: int
    memory: int


class ElfImage:
    """An ELF file of either size and byte order.

    ``number`` is e_machine, ``architecture`` what it is for, ``kind`` is e_type, ``width`` the
    bytes of an address, ``order`` struct's sign of the byte order; ``end`` is where the file ends
    by its sections, when they were read. Raises Damaged for what has no whole header.
    """

    def __init__(self, data: bytes) -> None:
        if not data:
            raise Damaged("empty")
        if not data.startswith(b"\x7fELF"):
            raise NotElf("not an ELF file")
        if len(data) < 52 or data[4] not in (1, 2) or data[5] not in (1, 2):
            raise Damaged("cut off")
        self.data = data
        self.width = 8 if data[4] == 2 else 4
        self.order = "<" if data[5] == 1 else ">"
        self._wide = self.width == 8
        layout = "HHIQQQIHHHHHH" if self._wide else "HHIIIIIHHHHHH"
        header = self.unpack(layout, 16)
        self.kind = int(header[0])
        self.number = int(header[1])
        self.architecture = facts().of_elf(self.number, bits=8 * self.width, order=self.order)
        self._segments = (header[4], header[8], header[9])
        self._sections = (header[5], header[10], header[11], header[12])
        self.end = 0
        self._loaded: list[Segment] | None = None

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        """Return the numbers of ``layout`` at ``offset``; raises Damaged beyond the file's end."""
        try:
            return struct.unpack_from(self.order + layout, self.data, offset)
        except (struct.error, OverflowError) as error:
            raise Damaged("cut off") from error

    def segments(self) -> Iterator[Segment]:
        """Yield what is loaded, and the dynamic section; raises Damaged."""
        start, size, count = self._segments
        for at in range(start, start + size * count, size or 1):
            if self._wide:
                kind, _, *place = self.unpack("IIQQQQQ", at)
            else:
                kind, *place = self.unpack("IIIIII", at)
            if kind in (_PT_LOAD, _PT_DYNAMIC):
                offset, address, physical, length, memory = place
                yield Segment(kind, offset, address, length, physical, memory)

    def span(self) -> int:
        """Return the bytes from the first to the last that is loaded, by physical addresses.

        0 if nothing is loaded. Raises Damaged.
        """
        loaded = [each for each in self.segments() if each.kind == _PT_LOAD and each.memory]
        if not loaded:
            return 0
        end = max(each.physical + each.memory for each in loaded)
        return end - min(each.physical for each in loaded)

    def sections(self) -> dict[str, bytes]:
        """Return the sections by name; if several have one name, the first. Raises Damaged."""
        start, size, count, names = self._sections
        if not start or not count:
            raise Damaged("no sections")
        layout = "IIQQQQ" if self._wide else "IIIIII"
        headers = [self.unpack(layout, start + size * number) for number in range(count)]
        if names >= count or start + size * count > len(self.data):
            raise Damaged("cut off")
        for _, kind, _, _, offset, length in headers:
            if kind != _SHT_NOBITS and offset + length > len(self.data):
                raise Damaged("cut off")
        base = headers[names][4]
        ends = [offset + length for _, kind, _, _, offset, length in headers if kind != _SHT_NOBITS]
        self.end = max(start + size * count, *ends)
        found: dict[str, bytes] = {}
        for at, kind, _, _, offset, length in headers:
            end = self.data.find(b"\0", base + at)
            name = self.data[base + at : end].decode("ascii", "replace")
            if kind != _SHT_NOBITS:
                found.setdefault(name, self.data[offset : offset + length])
        return found

    def dynamic(self) -> dict[int, int]:
        """Return the entries of the dynamic section by tag; empty where there is none."""
        found: dict[int, int] = {}
        for segment in self.segments():
            if segment.kind == _PT_DYNAMIC:
                step = 2 * self.width
                for at in range(segment.offset, segment.offset + segment.size, step):
                    tag, value = self.unpack("QQ" if self._wide else "II", at)
                    if tag == 0:
                        break
                    found.setdefault(tag, value)
        return found

    def offset(self, address: int) -> int | None:
        """Return where in the file ``address`` is loaded from; None for memory of zeros."""
        if self._loaded is None:
            self._loaded = [each for each in self.segments() if each.kind == _PT_LOAD]
        for segment in self._loaded:
            inside = address - segment.address
            if 0 <= inside < segment.size:
                return segment.offset + inside
        return None
