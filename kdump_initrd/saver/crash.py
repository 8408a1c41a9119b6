# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a crash before its memory is saved."""

from __future__ import annotations

import os
import time

from .abi import EM_AARCH64, EM_RISCV, EM_X86_64
from .elfcore import ElfCore
from .extents import Extents
from .kdumpformat import Facts
from .translate import X86_64_KERNEL
from .vmcoreinfo import VmcoreInfo, utsname
from .window import Window

#: NUMBER() of the physical address of memory's start, for each machine that needs it in a dump.
_PHYS_BASE = {EM_X86_64: "phys_base", EM_AARCH64: "PHYS_OFFSET", EM_RISCV: "phys_ram_base"}


class Crash:
    """A vmcore and its VMCOREINFO.

    uts        the crashed kernel's utsname, by the names of UTS_FIELDS
    page_size  in bytes; this machine's own where VMCOREINFO does not tell
    time       of the panic in seconds since 1970; now, where VMCOREINFO does not tell
    """

    def __init__(self, window: Window) -> None:
        """Read headers and notes; raises SaverError, OSError."""
        self.core = ElfCore(window)
        self.info = VmcoreInfo(self.core.notes.vmcoreinfo)
        self.uts = utsname(self.core, self.info)
        self.page_size = self.info.page_size() or os.sysconf("SC_PAGE_SIZE")
        self.time = self.info.crash_time() or int(time.time())

    def extents(self) -> Extents:
        """Return the pages of memory that the vmcore holds."""
        return Extents(self.core, self.page_size)

    def facts(self, level: int) -> Facts:
        """Return what the headers of a kdump-compressed dump say; level is the dump level."""
        notes = self.core.notes
        return Facts(
            uts=self.uts,
            time=self.time,
            cpus=notes.cpus,
            phys_base=self._phys_base(),
            level=level,
            vmcoreinfo=(notes.vmcoreinfo_at, notes.vmcoreinfo_size),
        )

    def _phys_base(self) -> int:
        machine = self.core.abi.machine
        value = self.info.number(_PHYS_BASE.get(machine, ""))
        if value is not None:
            return value
        if machine == EM_X86_64:
            for part in self.core.loads:
                if part.vaddr >= X86_64_KERNEL:
                    return part.paddr - (part.vaddr - X86_64_KERNEL)
        return 0
