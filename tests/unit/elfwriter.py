# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes small ELF files: a header, an interpreter and a dynamic section, no code."""

from __future__ import annotations

import struct
from pathlib import Path

#: elf.h: e_machine.
X86_64, I386, PPC64, S390, AARCH64, RISCV = 62, 3, 21, 22, 183, 243
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 10, 14, 15, 29


def write_elf(
    path: Path,
    needed: tuple[str, ...] = (),
    *,
    machine: int = X86_64,
    bits: int = 64,
    order: str = "<",
    interpreter: str | None = None,
    soname: str | None = None,
    rpath: str | None = None,
    runpath: str | None = None,
) -> Path:
    """Write the file and its folders; ``order`` is "<" for little-endian, ">" for big-endian."""
    wide = bits == 64
    strings = bytearray(b"\0")

    def text(value: str) -> int:
        at = len(strings)
        strings.extend(value.encode() + b"\0")
        return at

    tags = [(_DT_NEEDED, text(name)) for name in needed]
    for tag, value in ((_DT_SONAME, soname), (_DT_RPATH, rpath), (_DT_RUNPATH, runpath)):
        if value is not None:
            tags.append((tag, text(value)))
    interp = interpreter.encode() + b"\0" if interpreter else b""
    header, entry = (64, 56) if wide else (52, 32)
    count = 3 if interp else 2
    at_interp = header + count * entry
    at_strings = at_interp + len(interp)
    at_dynamic = at_strings + len(strings)
    tags += [(_DT_STRTAB, at_strings), (_DT_STRSZ, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack(order + ("QQ" if wide else "II"), *tag) for tag in tags)
    segments = [(_PT_LOAD, 0, at_dynamic + len(dynamic)), (_PT_DYNAMIC, at_dynamic, len(dynamic))]
    if interp:
        segments.append((_PT_INTERP, at_interp, len(interp)))
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    body = struct.pack(
        order + ("16sHHIQQQIHHHHHH" if wide else "16sHHIIIIIHHHHHH"),
        *(ident, 3, machine, 1, 0, header, 0, 0, header, entry, count, 0, 0, 0),
    )
    for kind, offset, size in segments:
        if wide:
            fields = (kind, 4, offset, offset, offset, size, size, 1)
            body += struct.pack(order + "IIQQQQQQ", *fields)
        else:
            body += struct.pack(order + "IIIIIIII", kind, *[offset] * 3, size, size, 4, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body + interp + strings + dynamic)
    return path
