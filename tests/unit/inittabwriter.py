# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a Python without code: an ELF file with the table of its built-in modules."""

from __future__ import annotations

import struct
from pathlib import Path

from .elfwriter import X86_64

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_STRSZ = 1, 5, 6, 7, 8, 10
_DT_SONAME, _DT_REL, _DT_RELSZ = 14, 17, 18
#: Where the file is loaded: not where its bytes are, so that nobody takes one for the other.
_BASE = 0x10000
_FUNCTION = 0x4242


class _Body:
    """Bytes behind the headers, by address."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.bytes = bytearray()

    def put(self, data: bytes) -> int:
        """Add some bytes, aligned, and return their address."""
        self.bytes += bytes(-(self.start + len(self.bytes)) % 8)
        at = _BASE + self.start + len(self.bytes)
        self.bytes += data
        return at


def write_python(
    path: Path,
    names: tuple[str, ...],
    *,
    moves: str = "place",
    machine: int = X86_64,
    bits: int = 64,
    order: str = "<",
    needed: tuple[str, ...] = (),
    interpreter: str | None = None,
    soname: str | None = None,
    strings: tuple[str, ...] = (),
) -> Path:
    """Write a program or library whose table has ``names``, and ``strings`` that mean nothing.

    ``moves`` says how the pointers come into their places: "place" (they are there), "rela",
    "rel", "symbol" (the table is a symbol that the variable is bound to), "copy" (the variable is
    memory of zeros: the library has the table) or "none" (there is no such symbol).
    """
    wide = bits == 64
    word, width = ("Q", 8) if wide else ("I", 4)
    header, entry = (64, 56) if wide else (52, 32)
    body = _Body(header + 3 * entry)
    interp = body.put(interpreter.encode() + b"\0") if interpreter else 0
    text = body.put(b"\0".join(each.encode() for each in (*strings, *names)) + b"\0")
    places, at = [], text + sum(len(each) + 1 for each in strings)
    for name in names:
        places.append(at)
        at += len(name) + 1
    relocations: list[tuple[int, int, int]] = []  # address, symbol, addend

    def pointers(values: list[int]) -> int:
        start = body.put(b"")
        for number, value in enumerate(values):
            here = start + number * width
            moved = value and value != _FUNCTION and moves in ("rela", "rel")
            if moved:
                relocations.append((here, 0, value))
            kept = 0 if moved and moves == "rela" else value
            body.bytes += struct.pack(order + word, kept)
        return start

    table = pointers([each for at in places for each in (at, _FUNCTION)] + [0, 0])
    variable = pointers([0 if moves == "symbol" else table])
    if moves == "symbol":
        relocations.append((variable, 2, 0))
    end = _BASE + body.start + len(body.bytes) + 0x1000
    value = end if moves == "copy" else variable
    names_text = b"\0_PyImport_Inittab\0"
    symbols = [(0, 0, 0)]
    if moves != "none":
        # The linker joins a name to the end of a longer one.
        symbols.append((2, value, 9))
    if moves == "symbol":
        symbols.append((1, table, 9))
    dynamic = _dynamic(body, symbols, names_text, relocations, moves, order, wide, needed, soname)
    _write(path, body, dynamic, interp, interpreter, (machine, order, wide, header, entry))
    return path


def _dynamic(
    body: _Body,
    symbols: list[tuple[int, int, int]],
    text: bytes,
    relocations: list[tuple[int, int, int]],
    moves: str,
    order: str,
    wide: bool,
    needed: tuple[str, ...],
    soname: str | None,
) -> bytes:
    """Add the tables that the dynamic section names, and return it."""
    word = "Q" if wide else "I"
    table = b"".join(
        struct.pack(order + "IBBHQQ", at, 17, 0, section, value, 8) if wide
        else struct.pack(order + "IIIBBH", at, value, 8, 17, 0, section)
        for at, value, section in symbols
    )  # fmt: skip
    tags = [(_DT_SYMTAB, body.put(table))]
    for name in needed:
        tags.append((_DT_NEEDED, len(text)))
        text += name.encode() + b"\0"
    if soname:
        tags.append((_DT_SONAME, len(text)))
        text += soname.encode() + b"\0"
    tags += [(_DT_STRTAB, body.put(text)), (_DT_STRSZ, len(text))]
    shift = 32 if wide else 8
    plain = moves == "rel"
    data = b"".join(
        struct.pack(order + 2 * word, at, symbol << shift | 8)
        + (b"" if plain else struct.pack(order + word, addend))
        for at, symbol, addend in relocations
    )
    if data:
        tags.append((_DT_REL if plain else _DT_RELA, body.put(data)))
        tags.append((_DT_RELSZ if plain else _DT_RELASZ, len(data)))
    return b"".join(struct.pack(order + 2 * word, *tag) for tag in [*tags, (0, 0)])


def _write(
    path: Path,
    body: _Body,
    dynamic: bytes,
    interp: int,
    interpreter: str | None,
    shape: tuple[int, str, bool, int, int],
) -> None:
    machine, order, wide, header, entry = shape
    at_dynamic = body.put(dynamic)
    whole = body.start + len(body.bytes)
    segments = [(_PT_LOAD, 0, whole), (_PT_DYNAMIC, at_dynamic - _BASE, len(dynamic))]
    if interpreter:
        segments.append((_PT_INTERP, interp - _BASE, len(interpreter) + 1))
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    head = struct.pack(
        order + ("16sHHIQQQIHHHHHH" if wide else "16sHHIIIIIHHHHHH"),
        *(ident, 3, machine, 1, 0, header, 0, 0, header, entry, len(segments), 0, 0, 0),
    )
    for kind, offset, size in segments:
        if wide:
            fields = (kind, 6, offset, _BASE + offset, _BASE + offset, size, size, 1)
            head += struct.pack(order + "IIQQQQQQ", *fields)
        else:
            fields = (kind, offset, _BASE + offset, _BASE + offset, size, size, 6, 1)
            head += struct.pack(order + "IIIIIIII", *fields)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head.ljust(body.start, b"\0") + bytes(body.bytes))
