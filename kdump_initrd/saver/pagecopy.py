# SPDX-License-Identifier: GPL-2.0-or-later
"""The page loop: every page of a core, in order, to a writer."""

from __future__ import annotations

import ctypes

from .extents import PIECES, assemble
from .kdumpformat import LEVEL_ZERO
from .zeros import ZeroScan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .elfcore import ElfCore
    from .extents import Extents
    from .progress import Progress
    from .writer import DumpWriter


def copy_pages(
    core: ElfCore, extents: Extents, writer: DumpWriter, *, level: int, progress: Progress
) -> None:
    """Hand every page to the writer; what cannot be read is handed over as lost.

    level is SaverParams.dump_level. Raises SpaceError of the writer.
    """
    copier = _Copier(core, extents, writer, level, progress)
    progress.start(extents.pages * writer.page_size)
    for pfn, count, offset in extents.runs:
        writer.seek(pfn)
        if offset == PIECES:
            copier.copy_piece(pfn)
        else:
            copier.copy_run(offset, count * writer.page_size)


class _Copier:
    def __init__(
        self, core: ElfCore, extents: Extents, writer: DumpWriter, level: int, progress: Progress
    ) -> None:
        self.core = core
        self.extents = extents
        self.writer = writer
        self.progress = progress
        self.scan = ZeroScan(writer.page_size) if level & LEVEL_ZERO else None

    def copy_run(self, offset: int, length: int) -> None:
        page = self.writer.page_size
        view = self.core.window.view
        while length:
            address, count = view(offset, length, page)
            count -= count % page
            if count:
                self.hand_over(address, count)
            else:
                count = page
                self.writer.lost(page)
            offset += count
            length -= count
            self.progress.advance(count)

    def hand_over(self, address: int, length: int) -> None:
        if self.scan is None:
            self.writer.data(address, length)
            return
        zero, data = self.writer.zero, self.writer.data
        for start, size, is_zero in self.scan.runs(address, length):
            if is_zero:
                zero(size)
            else:
                data(start, size)

    def copy_piece(self, pfn: int) -> None:
        page = self.writer.page_size
        try:
            data = assemble(self.core, self.extents, pfn=pfn, page_size=page)
        except OSError:
            self.writer.lost(page)
        else:
            content = ctypes.create_string_buffer(data, page)
            self.hand_over(ctypes.addressof(content), page)
        self.progress.advance(page)
