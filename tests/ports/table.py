# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of ports: which kernels of which machines are crashed, and what is expected of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.vm.architectures import AARCH64_LPA2, S390X, Architecture
from tests.vm.kernels import Kernel, Source, fetched
from tests.vm.ownkernel import AARCH64_6_12_64K, S390X_6_12, Own, built
from tests.vm.sources import (
    AARCH64_6_12,
    AARCH64_6_12_16K,
    AARCH64_7,
    FORKY,
    I386_6_1,
    PPC64LE_6_1,
    PPC64LE_7,
    PPC64LE_7_64K,
    RISCV64_7,
)
from tests.vm.suites import Suite

KIB = 1 << 10


@dataclass(frozen=True)
class Port:
    """A kernel on a machine, and what our images do for it.

    ``page`` is its page size in bytes; ``level`` is the dump level that a dump of level 31 gets,
    and ``why`` is the reason for a lower one; ``drgn`` tells whether drgn finds the kernel's
    addresses there, in a dump of ``dump_format``; ``rival`` is the suite whose makedumpfile knows
    the kernel's pages; ``machine`` is another than the source's usual one; ``usual`` ports are a
    part of ``make test``.
    """

    source: Source | Own
    page: int = 4 * KIB
    level: int = 31
    why: str = ""
    drgn: bool = True
    dump_format: str = "kdump"
    rival: Suite | None = None
    machine: Architecture | None = None
    usual: bool = False

    @property
    def architecture(self) -> Architecture:
        """What it runs on."""
        return self.machine or self.source.suite.architecture

    def kernel(self) -> Kernel:
        """Return the kernel, fetched or built if it is not in the cache; raises as that does."""
        kernel = built(self.source) if isinstance(self.source, Own) else fetched(self.source)
        return replace(kernel, architecture=self.architecture)


_I386, _PPC64LE = I386_6_1.suite, PPC64LE_6_1.suite
_RISCV64 = "kexec-tools 2.0.32 leaves the kernel's own memory out of the vmcore"
PORTS = {
    "i386-6.1": Port(I386_6_1, rival=_I386, usual=True),
    "ppc64le-6.1": Port(PPC64LE_6_1, 64 * KIB, rival=_PPC64LE),
    # libkdumpfile, by which drgn reads that format, knows no pages of 4 KiB there.
    "ppc64le-7": Port(PPC64LE_7, dump_format="elf"),
    "ppc64le-7-64k": Port(PPC64LE_7_64K, 64 * KIB),
    "aarch64-6.12": Port(AARCH64_6_12, usual=True),
    "aarch64-6.12-lpa2": Port(AARCH64_6_12, machine=AARCH64_LPA2),
    "aarch64-6.12-16k": Port(AARCH64_6_12_16K, 16 * KIB, machine=AARCH64_LPA2),
    "aarch64-6.12-64k": Port(AARCH64_6_12_64K, 64 * KIB, rival=Suite("forky", AARCH64_LPA2)),
    "aarch64-7": Port(AARCH64_7),
    # Nothing but an ELF dump tells where the kernel lies without page tables.
    "riscv64-7": Port(RISCV64_7, level=1, why=_RISCV64, dump_format="elf"),
    "s390x-6.12": Port(S390X_6_12, drgn=False, rival=Suite("forky", S390X)),
    "x86_64-7": Port(FORKY),
}
