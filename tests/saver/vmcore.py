# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds synthetic vmcores: ELF headers, notes, memory, as /proc/vmcore lays them out."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

PAGE = 4096
#: Where the kernel's text lies on x86_64, and its direct map without KASLR.
TEXT = 0xFFFFFFFF81000000
DIRECT = 0xFFFF888000000000
CRASH_TIME = 1700000000  # 2023-11-14 22:13:20 UTC


@dataclass(frozen=True)
class Machine:
    """Word size in bytes, byte order, ELF machine number."""

    word: int = 8
    big: bool = False
    number: int = 62

    @property
    def order(self) -> str:
        return ">" if self.big else "<"

    def long(self, value: int) -> bytes:
        return (value & (1 << 8 * self.word) - 1).to_bytes(
            self.word, "big" if self.big else "little"
        )


X86_64 = Machine()
I386 = Machine(4, False, 3)
ARM = Machine(4, False, 40)
PPC64 = Machine(8, True, 21)
S390X = Machine(8, True, 22)
PPC32 = Machine(4, True, 20)


#: Bytes of struct elf_prstatus by ELF machine, where it is not x86_64's: registers make it long.
_PRSTATUS = {3: 144, 21: 504, 40: 148, 183: 392, 243: 376}


@dataclass
class Load:
    """One PT_LOAD; filesz lies about the contents when it is set."""

    paddr: int
    data: bytes
    vaddr: int
    filesz: int | None = None


@dataclass
class Core:
    """A vmcore in the making. info is VMCOREINFO's lines; None leaves the note out.

    wide is whether the headers are those of ELF64, which the machine's words need not be.
    """

    machine: Machine = X86_64
    loads: list[Load] = field(default_factory=list)
    info: list[str] | None = field(default_factory=lambda: default_info())
    cpus: int = 1
    vmcoreinfo_raw: bytes | None = None
    wide: bool = False

    def __post_init__(self) -> None:
        self.wide = self.wide or self.machine.word == 8

    def load(self, paddr: int, data: bytes, vaddr: int | None = None) -> Core:
        self.loads.append(Load(paddr, data, DIRECT + paddr if vaddr is None else vaddr))
        return self

    def notes(self) -> bytes:
        order = self.machine.order
        notes = b""
        for cpu in range(self.cpus):
            size = _PRSTATUS.get(self.machine.number, 336)
            notes += _note(order, b"CORE", 1, struct.pack(order + "I", cpu).ljust(size, b"\0"))
        if self.vmcoreinfo_raw is not None:
            notes += _note(order, b"VMCOREINFO", 0, self.vmcoreinfo_raw)
        elif self.info is not None:
            notes += _note(order, b"VMCOREINFO", 0, "".join(x + "\n" for x in self.info).encode())
        return notes

    def build(self) -> bytes:
        notes = self.notes()
        start_of_notes = -(-(64 + 56 * (len(self.loads) + 1)) // PAGE) * PAGE
        at = start_of_notes + -(-len(notes) // PAGE) * PAGE
        headers = [self.program_header(4, start_of_notes, 0, 0, len(notes))]
        body = []
        for load in self.loads:
            start = load.paddr % PAGE
            size = len(load.data) if load.filesz is None else load.filesz
            headers.append(self.program_header(1, at + start, load.vaddr, load.paddr, size))
            chunk = bytes(start) + load.data
            chunk += bytes(-len(chunk) % PAGE)
            body.append(chunk)
            at += len(chunk)
        head = self.header(len(headers)) + b"".join(headers)
        return (
            head.ljust(start_of_notes, b"\0") + notes + bytes(-len(notes) % PAGE) + b"".join(body)
        )

    def write(self, path: Path) -> Path:
        path.write_bytes(self.build())
        return path

    def header(self, count: int) -> bytes:
        """Return the ELF header before so many program headers."""
        machine, wide = self.machine, self.wide
        size, entry = (64, 56) if wide else (52, 32)
        ident = b"\x7fELF" + bytes((2 if wide else 1, 2 if machine.big else 1, 1)) + bytes(9)
        layout = machine.order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
        fields = (4, machine.number, 1, 0, size, 0, 0, size, entry, count, 0, 0, 0)
        return ident + struct.pack(layout, *fields)

    def program_header(self, kind: int, offset: int, vaddr: int, paddr: int, size: int) -> bytes:
        """Return a program header."""
        order = self.machine.order
        if self.wide:
            return struct.pack(order + "IIQQQQQQ", kind, 7, offset, vaddr, paddr, size, size, 0)
        vaddr &= 0xFFFFFFFF
        return struct.pack(order + "IIIIIIII", kind, offset, vaddr, paddr, size, size, 7, 0)


def _note(order: str, name: bytes, kind: int, data: bytes) -> bytes:
    name += b"\0"
    head = struct.pack(order + "III", len(name), len(data), kind)
    return head + name + bytes(-len(name) % 4) + data + bytes(-len(data) % 4)


def default_info() -> list[str]:
    """VMCOREINFO lines that drgn demands, and a crash time."""
    return [
        "OSRELEASE=6.1.0-test",
        "BUILD-ID=0123456789abcdef0123456789abcdef01234567",
        f"PAGESIZE={PAGE}",
        f"SYMBOL(swapper_pg_dir)={TEXT + 0x1000:x}",
        "KERNELOFFSET=0",
        "NUMBER(phys_base)=0",
        "NUMBER(pgtable_l5_enabled)=0",
        f"CRASHTIME={CRASH_TIME}",
    ]


def zero(pages: int = 1) -> bytes:
    return bytes(pages * PAGE)


def noise(pages: int = 1, seed: int = 1) -> bytes:
    """Pages that no codec makes smaller."""
    import random

    return random.Random(seed).randbytes(pages * PAGE)


def text(pages: int = 1, seed: int = 1) -> bytes:
    """Pages that compress well, each different."""
    line = "page {} of a text that repeats itself, seed {}\n"
    return b"".join(
        (line.format(page, seed) * 100).encode()[:PAGE].ljust(PAGE, b".") for page in range(pages)
    )


def repeating(pages: int = 1, char: bytes = b"\xff") -> bytes:
    return char * (pages * PAGE)
