# SPDX-License-Identifier: GPL-2.0-or-later
"""The modules that are built into a Python: its own table, read without running it.

Names of modules stand as strings in each interpreter (all of the standard library since 3.10,
sys.stdlib_module_names), so a string proves nothing. The table is what PyImport_Inittab points at
(Python/import.c): pairs of a name and a function, ended by a pair of zeros.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.files import read
from ..programs.elfimage import Damaged, ElfImage

_SYMBOL = b"PyImport_Inittab"
#: No table is longer: 61 entries in Debian's, 30 in CPython's own.
_MOST = 2000
_NAME = re.compile(rb"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
#: elf.h: d_tag.
_STRTAB, _SYMTAB, _RELA, _RELASZ, _STRSZ, _REL, _RELSZ = 5, 6, 7, 8, 10, 17, 18
#: What every CPython from 3.9 on has built in: it could not start without (Modules/config.c.in,
#: Modules/Setup.bootstrap.in; in 3.9 and 3.10 the first part of Modules/Setup).
ALWAYS = frozenset({
    "_abc", "_ast", "_codecs", "_collections", "_functools", "_imp", "_io", "_locale", "_operator",
    "_signal", "_sre", "_stat", "_string", "_symtable", "_thread", "_tracemalloc", "_warnings",
    "_weakref", "atexit", "builtins", "errno", "faulthandler", "gc", "itertools", "marshal",
    "posix", "pwd", "sys", "time",
})  # fmt: skip


def built_in(binaries: Iterable[Path]) -> frozenset[str]:
    """Return the names of the modules that are built into the Python of ``binaries``.

    They are the program and its library, in the order in which the loader looks for a symbol.
    If none has a table that can be read, the names are those of every Python. Raises
    KdumpInitrdError for a file that cannot be read.
    """
    for path in binaries:
        try:
            names = _table(read(path))
        except OSError as error:
            raise KdumpInitrdError(f"{path}: {error.strerror}") from error
        except Damaged:
            names = frozenset()
        if names:
            return names
    return ALWAYS


def _table(data: bytes) -> frozenset[str]:
    """Return the names in the table of one file; none if it has no such table."""
    if _SYMBOL not in data:
        return frozenset()
    image = ElfImage(data)
    reader = _Reader(image)
    variable = reader.symbol(_SYMBOL)
    table = reader.pointer(variable) if variable else 0
    names: set[str] = set()
    for number in range(_MOST):
        name = reader.text(reader.pointer(table + 2 * number * image.width)) if table else b""
        if not name:
            break
        if not _NAME.fullmatch(name):
            return frozenset()
        names.add(name.decode())
    return frozenset(names)


class _Reader:
    """Memory as it is after the loader has loaded and relocated a file at address 0."""

    def __init__(self, image: ElfImage) -> None:
        self._image = image
        self._tags = image.dynamic()
        self._word = "Q" if image.width == 8 else "I"
        self._symbols, self._strings = self._find_symbols()
        self._moved = self._relocations()

    def symbol(self, name: bytes) -> int:
        """Return the address of a symbol that this file defines, 0 if it does not."""
        for text, value, section in self._entries():
            end = text + len(name)
            if section and self._strings[text : end + 1] == name + b"\0":
                return value
        return 0

    def pointer(self, address: int) -> int:
        """Return the pointer at ``address``, 0 for none."""
        if address in self._moved:
            return self._moved[address]
        # The file has the value there already, for a start address of 0, if it is loaded at fixed
        # addresses (EXEC), relocated by DT_RELR, or for a machine without addends.
        offset = self._image.offset(address)
        return 0 if offset is None else self._image.unpack(self._word, offset)[0]

    def text(self, address: int) -> bytes:
        """Return the string at ``address``, b"" for none."""
        offset = self._image.offset(address) if address else None
        if offset is None:
            return b""
        end = self._image.data.find(b"\0", offset)
        return self._image.data[offset:end] if end >= 0 else b""

    def _find_symbols(self) -> tuple[bytes, bytes]:
        """Return the table of symbols and its strings: the loader's, or else the linker's."""
        data = self._image.data
        if _SYMTAB in self._tags and _STRTAB in self._tags:
            start = self._image.offset(self._tags[_SYMTAB])
            strings = self._image.offset(self._tags[_STRTAB])
            if start is not None and strings is not None:
                # Nothing tells how long it is; linkers put the strings behind it.
                end = strings if strings > start else len(data)
                return data[start:end], data[strings : strings + self._tags.get(_STRSZ, 0)]
        sections = self._image.sections()
        return sections.get(".symtab", b""), sections.get(".strtab", b"")

    def _entries(self) -> Iterable[tuple[int, int, int]]:
        """Yield (place of the name, value, section) of each symbol."""
        if self._image.width == 8:
            layout = struct.Struct(self._image.order + "IBBHQQ")
            order = (0, 4, 3)
        else:
            layout = struct.Struct(self._image.order + "IIIBBH")
            order = (0, 1, 5)
        whole = len(self._symbols) // layout.size * layout.size
        for entry in layout.iter_unpack(self._symbols[:whole]):
            yield entry[order[0]], entry[order[1]], entry[order[2]]

    def _relocations(self) -> dict[int, int]:
        """Return by address what the loader writes there.

        In data there are only two kinds: the address of a symbol plus an offset, or the offset
        alone; so the machine need not be known.
        """
        found: dict[int, int] = {}
        shift = 32 if self._image.width == 8 else 8
        values: list[int] = []
        for place, info, addend in self._moving():
            symbol = info >> shift
            if symbol and not values:
                values = [value for _, value, _ in self._entries()]
            base = values[symbol] if 0 < symbol < len(values) else 0
            found[place] = (base + addend) % (1 << 8 * self._image.width)
        return found

    def _moving(self) -> list[tuple[int, int, int]]:
        """Return (address, information, addend) of each relocation."""
        signed = "q" if self._image.width == 8 else "i"
        found: list[tuple[int, int, int]] = []
        for start, size, layout in (
            (_RELA, _RELASZ, 2 * self._word + signed), (_REL, _RELSZ, 2 * self._word)
        ):  # fmt: skip
            offset = self._image.offset(self._tags[start]) if start in self._tags else None
            if offset is None:
                continue
            form = struct.Struct(self._image.order + layout)
            count = self._tags.get(size, 0) // form.size
            body = self._image.data[offset : offset + count * form.size]
            if len(body) != count * form.size:
                raise Damaged("cut off")
            for entry in form.iter_unpack(body):
                addend = entry[2] if len(entry) > 2 else self._in_place(entry[0])
                found.append((entry[0], entry[1], addend))
        return found

    def _in_place(self, address: int) -> int:
        offset = self._image.offset(address)
        return 0 if offset is None else self._image.unpack(self._word, offset)[0]
