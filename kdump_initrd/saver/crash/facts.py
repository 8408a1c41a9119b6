# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a crash before its memory is saved."""

from __future__ import annotations

import os
import time

from ..arch import of_elf
from ..formats.dumpfile import pages_of
from ..formats.elf.elfcore import ElfCore
from ..formats.kdump.kdumpformat import Facts
from ..memory.vmcoreinfo import VmcoreInfo, utsname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.elf.source import PageSource
    from ..memory.reader import Memory


class Crash:
    """A vmcore, or an older dump of one, and its VMCOREINFO.

    uts        the crashed kernel's utsname, by the names of UTS_FIELDS
    page_size  in bytes; the architecture's, if it has one only; without VMCOREINFO, this machine's
    time       of the panic in seconds since 1970; if VMCOREINFO does not tell, now
    """

    def __init__(self, memory: Memory) -> None:
        """Read headers and notes; raises SaverError, OSError."""
        self.memory = memory
        self.info = VmcoreInfo(memory.notes.vmcoreinfo)
        self.uts = utsname(memory, self.info)
        self._architecture = of_elf(memory.abi.machine)
        # The file's own header says how it is laid out. VMCOREINFO may be damaged.
        known = memory.page_size or self._architecture.page or self.info.page_size()
        self.page_size = known or os.sysconf("SC_PAGE_SIZE")
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
        parts = self.memory.loads if isinstance(self.memory, ElfCore) else []
        loads = ((part.vaddr, part.paddr) for part in parts)
        return Facts(
            uts=self.uts,
            time=self.time,
            cpus=notes.cpus,
            phys_base=self._architecture.phys_base(self.info, loads),
            level=level | self.memory.level,
            vmcoreinfo=(notes.vmcoreinfo_at, notes.vmcoreinfo_size),
        )
