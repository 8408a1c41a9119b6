# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening a dump of any kind: a vmcore, an ELF dump, a kdump-compressed dump."""

from __future__ import annotations

from .elfcore import ElfCore
from .failure import SaverError
from .kdumpformat import SIGNATURE
from .window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .memory import Memory


def open_dump(path: str) -> Memory:
    """Return the memory in a dump file; raises SaverError for another file, OSError."""
    window = Window(path)
    try:
        start = window.read(0, len(SIGNATURE))
        if start == SIGNATURE:
            from .kdumpread import KdumpDump

            return KdumpDump(window)
        if start.startswith(b"\x7fELF"):
            return ElfCore(window)
        raise SaverError(f"{path}: neither an ELF core nor a kdump-compressed dump")
    except BaseException:
        window.close()
        raise
