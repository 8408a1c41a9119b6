# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening a dump of any kind: a vmcore, an ELF dump, a kdump-compressed one, flattened or not."""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.window import Window
from ..store.medium import FLAT_SIGNATURE
from .elf.elfcore import ElfCore
from .kdump.kdumpformat import SIGNATURE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.reader import Memory
    from .elf.source import PageSource


def open_dump(path: str) -> Memory:
    """Return the memory in a dump file; raises SaverError for another file, OSError."""
    window = _open_window(path)
    try:
        start = window.read(0, len(SIGNATURE))
        if start.startswith(SIGNATURE):
            from .kdump.kdumpread import KdumpDump

            return KdumpDump(window)
        if start.startswith(b"\x7fELF"):
            return ElfCore(window)
        raise SaverError(f"{path}: neither an ELF core nor a kdump-compressed dump")
    except BaseException:
        window.close()
        raise


def _open_window(path: str) -> Window:
    window = Window(path)
    try:
        flat = window.read(0, len(FLAT_SIGNATURE)) == FLAT_SIGNATURE
    except OSError:
        window.close()
        raise
    if not flat:
        return window
    from .kdump.flatwindow import FlatWindow

    window.close()
    return FlatWindow(path)


def pages_of(memory: Memory, page_size: int) -> PageSource:
    """Return the pages of an opened dump."""
    if isinstance(memory, ElfCore):
        from .elf.source import ElfPages

        return ElfPages(memory, page_size)
    from .kdump.kdumppages import KdumpPages
    from .kdump.kdumpread import KdumpDump

    assert isinstance(memory, KdumpDump)
    return KdumpPages(memory)
