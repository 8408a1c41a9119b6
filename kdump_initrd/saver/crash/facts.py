# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a crash before its memory is saved."""

from __future__ import annotations

import os
import time

from ..arch.translate import X86_64_KERNEL
from ..formats.dumpfile import pages_of
from ..formats.elf.elfcore import ElfCore
from ..formats.kdump.kdumpformat import Facts
from ..memory.abi import EM_AARCH64, EM_RISCV, EM_X86_64
from ..memory.vmcoreinfo import VmcoreInfo, utsname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.elf.source import PageSource
    from ..memory.reader import Memory

#: NUMBER() of the physical address of memory's start, for each machine that needs it in a dump.
_PHYS_BASE = {EM_X86_64: "phys_base", EM_AARCH64: "PHYS_OFFSET", EM_RISCV: "phys_ram_base"}


class Crash:
    """A vmcore, or an older dump of one, and its VMCOREINFO.

    uts        the crashed kernel's utsname, by the names of UTS_FIELDS
    page_size  in bytes; this machine's own where VMCOREINFO does not tell
    time       of the panic in seconds since 1970; now, where VMCOREINFO does not tell
    """

    def __init__(self, memory: Memory) -> None:
        """Read headers and notes; raises SaverError, OSError."""
        self.memory = memory
        self.info = VmcoreInfo(memory.notes.vmcoreinfo)
        self.uts = utsname(memory, self.info)
        self.page_size = memory.page_size or self.info.page_size() or os.sysconf("SC_PAGE_SIZE")
        self.time = self.info.crash_time() or int(time.time())

    def identity(self) -> dict[str, object]:
        """Return what the report says of which crash it is: kernel, and time in UTC."""
        return {
            "kernel_release": self.uts["release"],
            "build_id": self.info.build_id(),
            "crash_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.time)),
        }

    def source(self) -> PageSource:
        """Return the pages of memory that the vmcore holds."""
        return pages_of(self.memory, self.page_size)

    def facts(self, level: int) -> Facts:
        """Return what the headers of a kdump-compressed dump say; level is the dump level.

        What was left out of an older dump stays left out.
        """
        notes = self.memory.notes
        return Facts(
            uts=self.uts,
            time=self.time,
            cpus=notes.cpus,
            phys_base=self._phys_base(),
            level=level | self.memory.level,
            vmcoreinfo=(notes.vmcoreinfo_at, notes.vmcoreinfo_size),
        )

    def _phys_base(self) -> int:
        machine = self.memory.abi.machine
        value = self.info.number(_PHYS_BASE.get(machine, ""))
        if value is not None:
            return value
        if machine == EM_X86_64 and isinstance(self.memory, ElfCore):
            for part in self.memory.loads:
                if part.vaddr >= X86_64_KERNEL:
                    return part.paddr - (part.vaddr - X86_64_KERNEL)
        return 0
