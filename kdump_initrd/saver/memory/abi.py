# SPDX-License-Identifier: GPL-2.0-or-later
"""The dumped machine's word size, byte order and ELF machine number."""

from __future__ import annotations

EM_386 = 3
EM_PPC64 = 21
EM_S390 = 22
EM_ARM = 40
EM_X86_64 = 62
EM_AARCH64 = 183
EM_RISCV = 243

#: What uname -m says on a machine, for dumps whose own utsname cannot be read.
_UNAME = {
    EM_386: "i686",
    8: "mips",
    20: "ppc",
    EM_PPC64: "ppc64",
    EM_S390: "s390x",
    EM_ARM: "armv7l",
    EM_X86_64: "x86_64",
    EM_AARCH64: "aarch64",
    EM_RISCV: "riscv64",
    258: "loongarch64",
}
_PREFIXES = (
    ("x86_64", EM_X86_64),
    ("i", EM_386),
    ("ppc", EM_PPC64),
    ("s390", EM_S390),
    ("aarch64", EM_AARCH64),
    ("arm", EM_ARM),
    ("riscv", EM_RISCV),
)


class Abi:
    """How numbers lie in the memory of one machine. word: bytes of a long; order: struct's sign."""

    def __init__(self, word: int, big: bool, machine: int) -> None:
        self.word = word
        self.big = big
        self.machine = machine
        self.order = ">" if big else "<"
        self.mask = (1 << 8 * word) - 1

    def number(self, data: bytes, at: int, size: int) -> int:
        """Return the unsigned number of size bytes at an offset in data (short data: less)."""
        return int.from_bytes(data[at : at + size], "big" if self.big else "little")

    def long(self, data: bytes, at: int = 0) -> int:
        """Return the unsigned long at an offset in data."""
        return self.number(data, at, self.word)

    def uname(self) -> str:
        """Return the machine's name, as uname -m gives it."""
        name = _UNAME.get(self.machine, "")
        return name + "le" if name == "ppc64" and not self.big else name


def machine_of(uname: str) -> int:
    """Return the ELF machine number for a name of uname -m; 0 when it is not known."""
    for prefix, machine in _PREFIXES:
        if uname.startswith(prefix):
            return machine
    return 0
