# SPDX-License-Identifier: GPL-2.0-or-later
"""The sections of an EFI program: where each lies in the file.

Format: Microsoft's "PE Format", the sections COFF File Header and Section Table.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import BinaryIO

#: Where the place of the PE header is; in it, from its signature on, the number of sections, and
#: the size of the optional header, which lies between it and the table.
_PE_AT, _COUNT_AT, _OPTIONAL_AT, _PE_SIZE = 0x3C, 6, 20, 24
#: One row of the table: name, bytes in memory, address, bytes in the file, place in the file.
_ROW = struct.Struct("<8sIIII16x")


def places(file: BinaryIO) -> Mapping[str, tuple[int, int]]:
    """Return where each section begins and how many bytes it has, by its name.

    Of several sections of a name the first counts. Anything but such a program has none.
    """
    found: dict[str, tuple[int, int]] = {}
    for name, memory, _, stored, place in _ROW.iter_unpack(_table(file)):
        # What is stored is filled up to the file's alignment.
        text = name.rstrip(b"\0").decode("ascii", "replace")
        found.setdefault(text, (place, min(memory, stored)))
    return found


def _table(file: BinaryIO) -> bytes:
    """Return the whole rows that there are of the table."""
    head = file.read(_PE_AT + 4)
    if len(head) < _PE_AT + 4 or not head.startswith(b"MZ"):
        return b""
    (start,) = struct.unpack_from("<I", head, _PE_AT)
    file.seek(start)
    header = file.read(_PE_SIZE)
    if len(header) < _PE_SIZE or not header.startswith(b"PE\0\0"):
        return b""
    (count,) = struct.unpack_from("<H", header, _COUNT_AT)
    (optional,) = struct.unpack_from("<H", header, _OPTIONAL_AT)
    file.seek(start + _PE_SIZE + optional)
    table = file.read(_ROW.size * count)
    return table[: len(table) // _ROW.size * _ROW.size]
