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
#: VMCOREINFO is one page today; larger ones have been announced.
_MAX_VMCOREINFO = 1 << 20
_COPY = 64 << 10


class Notes:
    """The notes in some parts of a file, as they lie behind each other.

    parts        (file offset, bytes) of each PT_NOTE
    size         bytes of all parts together
    cpus         count of NT_PRSTATUS notes
    vmcoreinfo   text of VMCOREINFO, b"" without one
    vmcoreinfo_at, vmcoreinfo_size   its place in the joined parts, in bytes; 0 without one
    """

    def __init__(self, read: Read, parts: list[tuple[int, int]], *, abi: Abi) -> None:
        """Walk the notes; damage ends the walk of its part."""
        self._source = read
        self.parts = parts
        self.size = sum([size for _, size in parts])
        self.cpus = 0
        self.vmcoreinfo = b""
        self.vmcoreinfo_at = 0
        self.vmcoreinfo_size = 0
        base = 0
        for offset, size in parts:
            self._walk(offset, size, base, abi)
            base += size

    def _walk(self, start: int, size: int, base: int, abi: Abi) -> None:
        header = struct.Struct(abi.order + "III")
        at = 0
        for _ in range(_MAX_NOTES):
            raw = self._read(start + at, min(header.size + _MAX_NAME, size - at))
            if len(raw) < header.size:
                return
            name_size, length, kind = header.unpack_from(raw)
            # n_namesz 0 ends the list: Linux, fs/proc/vmcore.c
            if name_size == 0 or name_size > _MAX_NAME:
                return
            name = raw[header.size : header.size + name_size].rstrip(b"\0")
            body = at + header.size + _align(name_size)
            if body + length > size:
                return
            if name == b"CORE" and kind == NT_PRSTATUS:
                self.cpus += 1
            if name == b"VMCOREINFO":
                self.vmcoreinfo_at = base + body
                self.vmcoreinfo_size = length
                text = self._read(start + body, min(length, _MAX_VMCOREINFO))
                self.vmcoreinfo = text.rstrip(b"\0")
            at = body + _align(length)

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
