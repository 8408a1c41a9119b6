# SPDX-License-Identifier: GPL-2.0-or-later
"""The ELF notes of a dump: one register set a CPU, and VMCOREINFO."""

from __future__ import annotations

import struct

from .abi import Abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

NT_PRSTATUS = 1
#: More notes than this are damage: Linux counts to 8192 CPUs.
_MAX_NOTES = 1 << 16
_MAX_NAME = 256
#: Up to so many bytes, what is not understood is kept, too; and the most bytes of all notes.
_MAX_SIZE, _MOST = 16 << 20, 1 << 30
#: VMCOREINFO is one page today; larger ones have been announced.
_MAX_VMCOREINFO = 1 << 20
_COPY = 64 << 10


class Notes:
    """The notes in some parts of a file, one after another.

    parts        (file offset, bytes) of each PT_NOTE; huge ones are cut after their last note
    size         bytes of all parts together
    cpus         count of NT_PRSTATUS notes
    vmcoreinfo   text of VMCOREINFO, b"" without one
    vmcoreinfo_at, vmcoreinfo_size   its place in the joined parts, in bytes; 0 without one
    """

    def __init__(self, read: Read, parts: list[tuple[int, int]], *, abi: Abi) -> None:
        """Walk the notes; damage ends the walk of its part, too many notes end it for all."""
        self._source = read
        self.parts: list[tuple[int, int]] = []
        self.cpus = 0
        self.vmcoreinfo = b""
        self.vmcoreinfo_at = 0
        self.vmcoreinfo_size = 0
        self._left = _MAX_NOTES
        self.size = 0
        for offset, size in parts:
            end = self._walk(offset, size, self.size, abi)
            if self.size + size > _MAX_SIZE:  # damage, or there are so many notes
                size = min(size, end)
            if self.size + size <= _MOST:
                self.parts.append((offset, size))
                self.size += size

    def _walk(self, start: int, size: int, base: int, abi: Abi) -> int:
        # Returns where the notes end.
        header = struct.Struct(abi.order + "III")
        at = 0
        while self._left > 0:
            self._left -= 1
            raw = self._read(start + at, min(header.size + _MAX_NAME, size - at))
            if len(raw) < header.size:
                break
            name_size, length, kind = header.unpack_from(raw)
            # n_namesz 0 ends the list: Linux, fs/proc/vmcore.c
            if name_size == 0 or name_size > _MAX_NAME:
                break
            name = raw[header.size : header.size + name_size].rstrip(b"\0")
            body = at + header.size + _align(name_size)
            if body + length > size:
                break
            if name == b"CORE" and kind == NT_PRSTATUS:
                self.cpus += 1
            if name == b"VMCOREINFO":
                self.vmcoreinfo_at = base + body
                self.vmcoreinfo_size = length
                text = self._read(start + body, min(length, _MAX_VMCOREINFO))
                self.vmcoreinfo = text.rstrip(b"\0")
            at = body + _align(length)
        return at

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return self._source(offset, length)
        except OSError:
            return b""

    def chunks(self) -> Iterator[bytes]:
        """Yield the joined parts in pieces; what cannot be read is zeros."""
        for offset, size in self.parts:
            for at in range(0, size, _COPY):
                length = min(_COPY, size - at)
                yield self._read(offset + at, length).ljust(length, b"\0")


def _align(size: int) -> int:
    return size + 3 & ~3
