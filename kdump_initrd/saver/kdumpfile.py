# SPDX-License-Identifier: GPL-2.0-or-later
"""The writer of kdump-compressed dumps: little memory, readable whenever it stops."""

from __future__ import annotations

import ctypes
import os
import struct

from . import bitmap
from .codec import FLAGS
from .kdumpformat import (
    DESCRIPTOR_SIZE,
    INCOMPLETE,
    LEVEL_ZERO,
    Geometry,
    pack_main,
    pack_sub,
)
from .libc import memmove
from .output import FlatOutput, failure
from .writer import DumpWriter, Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .board import Board
    from .codec.library import Codec
    from .crash import Crash
    from .output import Output
    from .selection import Selection
    from .source import PageSource

#: Bytes of compressed pages that are written at once, and pages that are held at most.
_BUFFER, _HELD = 1 << 20, 4096
_LOST = bytes(DESCRIPTOR_SIZE)
_COPY = 64 << 10


class KdumpWriter(DumpWriter):
    """Headers, bitmaps, descriptors, pages. A flattened one has its first header at the end."""

    def __init__(
        self,
        output: Output,
        source: PageSource,
        crash: Crash,
        *,
        codec: Codec | None,
        scratch: int = -1,
    ) -> None:
        """Codec None stores every page as it is; scratch is a file for the selection's bitmap.

        Without one (-1) that is filled where it belongs.
        """
        self.output = output
        self.abi = abi = crash.memory.abi
        self.codec = codec
        self.page_size = source.page_size
        self.flag = FLAGS[codec.name] if codec else 0
        self._source = source
        self._crash = crash
        self._notes = notes = crash.memory.notes
        self._facts = crash.facts(0)
        self.geometry = Geometry(abi, block=source.page_size, end=source.end, notes_size=notes.size)
        self._flat = isinstance(output, FlatOutput)
        in_place = (output.fd, self.geometry.bitmap2)
        self.bitmap = in_place if scratch < 0 else (scratch, 0)
        self.selection: Selection
        self.zero_page = 0

    def fixed_size(self, pages: int) -> int:
        """See DumpWriter."""
        return self.geometry.descriptors + DESCRIPTOR_SIZE * pages + self.page_size

    def begin(self, selection: Selection, level: int) -> int:
        """Write headers (marked incomplete until the end), notes, bitmaps, the zero page."""
        self.selection = selection
        self._facts = self._crash.facts(level)
        geometry, write = self.geometry, self.output.write
        if not self._flat:
            self._write_main(complete=False)
        write(pack_sub(self.abi, geometry, facts=self._facts), geometry.block)
        at = geometry.notes
        for chunk in self._notes.chunks():
            write(chunk, at)
            at += len(chunk)
        for offset, data in bitmap.pieces(self._source.ram()):
            write(data, geometry.bitmap1 + offset)
        if self._flat:
            self._copy_bitmap(selection)
        data_at = geometry.descriptors + DESCRIPTOR_SIZE * selection.pages
        self.output.allocate(geometry.descriptors, data_at - geometry.descriptors)
        if level & LEVEL_ZERO:
            write(bytes(self.page_size), data_at)
            self.zero_page = data_at
            data_at += self.page_size
        return data_at

    def _copy_bitmap(self, selection: Selection) -> None:
        # To its very end: the rebuilt file must reach there.
        fd, start = self.bitmap
        geometry = self.geometry
        for at in range(0, geometry.bitmap_size, _COPY):
            length = min(_COPY, geometry.bitmap_size - at)
            data = os.pread(fd, length, start + at).ljust(length, b"\0")
            if data.count(0) < length or at + length == geometry.bitmap_size:
                self.output.write(data, geometry.bitmap2 + at)

    def _write_main(self, *, complete: bool) -> None:
        status = self.flag | (0 if complete else INCOMPLETE)
        header = pack_main(self.abi, self.geometry, facts=self._facts, status=status)
        self.output.write(header.ljust(self.page_size, b"\0"), 0)

    def sink(self, board: Board, slot: int) -> KdumpSink:
        """See DumpWriter."""
        return KdumpSink(self, board, slot)

    def finish(self, board: Board, *, complete: bool) -> int:
        """See DumpWriter."""
        try:
            self._write_main(complete=complete)
        finally:
            self.output.end(board.position)
        return board.position


class KdumpSink(Sink):
    """Writes data first and the descriptors that point to it after: none points to nothing."""

    def __init__(self, writer: KdumpWriter, board: Board, slot: int) -> None:
        self._board = board
        self._slot = slot
        self._output = writer.output
        self._selection = writer.selection
        self._table = writer.geometry.descriptors
        self._page = page = writer.page_size
        codec = writer.codec
        self._compress = codec.compress if codec else _store
        self._room = max(codec.room(page) if codec else 0, page)
        self._size = max(_BUFFER, 2 * self._room)
        self._buffer = ctypes.create_string_buffer(self._size)
        self._start = ctypes.addressof(self._buffer)
        self._order = writer.abi.order
        # The second word of a descriptor: size and flags, of four bytes each.
        shift = 32 if writer.abi.order == ">" else 0
        self._shift, self._flag = shift, writer.flag << 32 - shift
        self._raw = page << shift
        self._zero = struct.pack(self._order + "QQQ", writer.zero_page, self._raw, 0)
        self._zeros = 0
        self._next = 0  # offset of the next descriptor
        self._fill = 0
        #: Descriptors that are ready, or the sizes of pages in the buffer.
        self._held: list[bytes | list[int]] = []
        self._pages = 0

    def start(self, number: int) -> None:
        """See Sink."""
        index = self._selection.range(number)[2]
        self._next = self._table + DESCRIPTOR_SIZE * index
        self._forget()

    def _forget(self) -> None:
        self._fill = self._pages = self._zeros = 0
        self._held = []

    def zero(self, count: int) -> None:
        """One descriptor each, and no data."""
        self._zeros += count
        self._hold(self._zero * count, count)

    def lost(self, count: int) -> None:
        """A descriptor of zeros means "lost"."""
        self._hold(_LOST * count, count)

    def _hold(self, descriptors: bytes, count: int) -> None:
        self._held.append(descriptors)
        self._pages += count
        if self._pages >= _HELD:
            self.flush()

    def data(self, address: int, count: int) -> None:
        """Each page is compressed straight into the output buffer."""
        page, room, compress = self._page, self._room, self._compress
        limit = self._start + self._size - room
        dest = self._start + self._fill
        sizes: list[int] = []
        add = sizes.append
        for source in range(address, address + count * page, page):
            if dest > limit:
                self._end_data(sizes, dest)
                self.flush()
                dest = self._start
                sizes = []
                add = sizes.append
            size = compress(source, page, dest, room)
            if size >= page:
                memmove(dest, source, page)
                size = page
            add(size)
            dest += size
        self._end_data(sizes, dest)
        if self._pages >= _HELD:
            self.flush()

    def _end_data(self, sizes: list[int], dest: int) -> None:
        self._held.append(sizes)
        self._pages += len(sizes)
        self._fill = dest - self._start

    def flush(self) -> None:
        """Write what is held. After a failure, what did not get out is "lost"."""
        if not self._pages:
            return
        length, pages = self._fill, self._pages
        base = self._board.allocate(length) if length else 0
        done, code = self._output.write_from(self._start, length, base)
        descriptors, raw, lost = self._descriptors(base, base + done)
        zeros = self._zeros
        self._forget()
        self._output.write(descriptors, self._next)
        self._next += len(descriptors)
        self._board.add(self._slot, good=pages - lost, zero=zeros, raw=raw)
        if code:
            raise failure(code)

    def _descriptors(self, base: int, end: int) -> tuple[bytes, int, int]:
        # Those of all that is held, the count of raw pages, and that of lost ones.
        page, shift, flag, whole = self._page, self._shift, self._flag, self._raw
        parts: list[bytes] = []
        raw = lost = 0
        for held in self._held:
            if isinstance(held, bytes):
                parts.append(held)
                if not held[0] and held[:DESCRIPTOR_SIZE] == _LOST:
                    lost += len(held) // DESCRIPTOR_SIZE
                continue
            offsets = []
            for size in held:
                offsets.append(base)
                base += size
            numbers = [0] * (3 * len(held))
            numbers[::3] = offsets
            numbers[1::3] = [size << shift | flag if size < page else whole for size in held]
            raw += held.count(page)
            packed = struct.pack(f"{self._order}{len(numbers)}Q", *numbers)
            if base > end:
                good = sum([offset + size <= end for offset, size in zip(offsets, held)])
                lost += len(held) - good
                packed = packed[: good * DESCRIPTOR_SIZE] + _LOST * (len(held) - good)
            parts.append(packed)
        return b"".join(parts), raw, lost


def _store(source: int, length: int, dest: int, capacity: int) -> int:
    # The codec "none": never smaller.
    return length
