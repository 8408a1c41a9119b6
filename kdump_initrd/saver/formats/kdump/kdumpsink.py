# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of a kdump-compressed dump in one worker: packed, written, and then described."""

from __future__ import annotations

import ctypes
import itertools
import struct

from ...codec.library import words
from ...low.failure import SpaceError
from ...low.libc import memcmp, memmove
from ...low.zeros import first_words, zeros
from ...store.medium import FULL, failure
from ...store.relocation import Places
from ...store.steps import Piece, Steps
from ..writer import Sink
from .kdumpformat import DESCRIPTOR_SIZE, LEVEL_ZERO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...low.board import Board
    from .kdumpfile import KdumpWriter

#: Bytes of compressed pages that are written at once, roughly, the most pages that are held, and
#: how many are packed between two checks of that.
BUFFER, HELD, _CHUNK = 256 << 10, 4096, 64
#: The same for what is written again: if it is lost, it is lost in pieces as small as these.
_BUFFER_AGAIN, _CHUNK_AGAIN = 32 << 10, 8
#: Stands for the size of a zero page; that of a lost page is one more than a page's.
_ZERO = 0


class KdumpSink(Sink):
    """Writes descriptors when the disk has the data, so that none points to nothing."""

    def __init__(self, writer: KdumpWriter, board: Board, slot: int, level: int) -> None:
        self._board = board
        self._slot = slot
        self._output = writer.output
        self._steps = Steps(writer.output, board, slot, self._settle)
        self._places = Places(writer.output, board, self._steps, skipped=writer.skipped)
        self._selection = writer.selection
        self._table = writer.geometry.descriptors
        self._page = page = writer.page_size
        codec = writer.codec
        room = max(codec.room(page) if codec else 0, page)
        self._bare = codec.bare(page) if codec else (_store, (), words(3)[0])
        self._most_chunk = self._chunk = max(1, min(_CHUNK, BUFFER // page))
        self._find_zeros = bool(level & LEVEL_ZERO)
        self._zeros = zeros(self._chunk * page)
        self._buffer = ctypes.create_string_buffer(BUFFER + self._chunk * room)
        self._start = ctypes.addressof(self._buffer)
        self._layout = writer.abi.order
        self._lost = page + 1
        self._words = _second_words(page, writer.flag, big=writer.abi.big)
        self._zero_page = writer.zero_page
        self._skipped = writer.skipped
        self._number = self._first = 0  # the range, and the first page in it that is held
        self._again: Piece | None = None  # what is written again
        self._told = False  # whether the disk has the descriptors of that
        self._most = BUFFER
        self._fill = 0
        #: The size of each page in the buffer; _ZERO, or self._lost, for one without data.
        self._sizes: list[int] = []

    def start(self, number: int) -> None:
        """See Sink."""
        self._steps.end_range()  # of a range that was broken off
        self._number, self._first = number, 0
        self._again = None
        self._most, self._chunk = BUFFER, self._most_chunk
        self._fill = 0
        self._sizes = []

    def lost(self, count: int) -> None:
        """A descriptor of zeros means "lost"."""
        self._sizes += [self._lost] * count

    def data(self, address: int, count: int) -> None:
        """Each page is compressed straight into the output buffer; zero pages have no data."""
        page = self._page
        while count:
            part = min(count, self._chunk)
            self._pack(address, part)
            if self._fill >= self._most or len(self._sizes) >= HELD:
                self._write_out()
            address += part * page
            count -= part

    def _pack(self, address: int, count: int) -> None:
        page, zero = self._page, self._zeros
        sizes = self._sizes
        if self._find_zeros:
            firsts = first_words(address, count, page)
            if (
                not firsts[0]
                and firsts.count(0) == count
                and not memcmp(address, zero, count * page)
            ):
                sizes += [_ZERO] * count
                return
        else:
            firsts = [1] * count
        function, arguments, slots = self._bare
        add = sizes.append
        dest = self._start + self._fill
        for source, first in zip(range(address, address + count * page, page), firsts):
            if first or memcmp(source, zero, page):
                slots[0] = source
                slots[1] = dest
                size = function(*arguments) or slots[2]
                if not 0 < size < page:
                    memmove(dest, source, page)
                    size = page
                add(size)
                dest += size
            else:
                add(_ZERO)
        self._fill = dest - self._start

    def flush(self) -> None:
        """Write what is held. After a failure, what did not get out is "lost"."""
        self._write_out()
        if self._again is None:
            self._steps.end_range()

    def doubtful(self, *, last: bool) -> list[Piece]:
        """See Sink."""
        if self._places.dead:
            return []
        return self._steps.end() if last else self._steps.turn()

    def repeat(self, piece: Piece) -> None:
        """See Sink."""
        self.start(piece.number)
        self._first = piece.first
        self._again = piece
        self._most = _BUFFER_AGAIN
        self._chunk = min(_CHUNK_AGAIN, self._most_chunk)
        self._places.start(piece)
        # Comparing the data shows neither the record's head before them nor their descriptors.
        self._told = (
            piece.told_length > 0
            and (not piece.length or self._places.keep(piece.place, 0))
            and self._places.keep(piece.told, piece.told_length)
        )

    def close(self) -> None:
        """See Sink."""
        self._steps.disk.close()

    def _write_out(self) -> None:
        sizes, length = self._sizes, self._fill
        if not sizes:
            return
        piece = Piece(self._number, self._first, len(sizes))
        piece.at = self._table + DESCRIPTOR_SIZE * (
            self._selection.range(self._number)[2] + self._first
        )
        self._first += len(sizes)
        self._sizes, self._fill = [], 0
        if self._again is not None:
            self._write_again(piece, sizes, length)
            return
        piece.base = self._skipped + self._board.allocate(length) if length else 0
        done, code = self._output.write_from(self._start, length, piece.base)
        piece.place, piece.length = self._output.place, done
        piece.failed = bool(code) and code not in FULL
        if code in FULL:
            sizes = self._those_written(sizes, done)
        self._describe(piece, sizes)
        if self._output.appends:  # later, there may be no room for it
            self._output.write(piece.table, piece.at)
            piece.told, piece.told_length = self._output.place, len(piece.table)
            piece.table = b""
        self._steps.add(piece)
        if code in FULL:
            raise failure(code)

    def _write_again(self, piece: Piece, sizes: list[int], length: int) -> None:
        base = self._places.find(self._start, length)
        if base < 0:
            gone = [size not in (_ZERO, self._lost) for size in sizes]
            sizes = [self._lost if no else size for no, size in zip(gone, sizes)]
            self._board.add_failed(self._slot, unwritten=sum(gone))
        elif self._places.moved:
            self._board.add_failed(self._slot, moved=len(sizes))
        piece.base = max(base, 0)
        self._describe(piece, sizes)
        if self._told and not self._places.away and self._lost not in sizes:
            piece.table = b""
        self._settle(piece)

    def _describe(self, piece: Piece, sizes: list[int]) -> None:
        piece.table = bytes(self._descriptors(sizes, piece.base))
        piece.good = len(sizes) - sizes.count(self._lost)
        piece.zero = sizes.count(_ZERO)
        piece.raw = sizes.count(self._page)

    def _settle(self, piece: Piece) -> None:
        # The disk has the data.
        kept = True
        try:
            if piece.table:
                self._output.write(piece.table, piece.at)
                if self._output.appends:
                    kept = self._places.keep(self._output.place, len(piece.table))
        except SpaceError as error:
            if error.code in FULL:
                raise
            self._board.add_failed(self._slot, unwritten=piece.good)
            self._places.fail(error.code)
            return
        if not kept:
            self._board.add_failed(self._slot, unwritten=piece.good)
            return
        self._board.add(self._slot, good=piece.good, zero=piece.zero, raw=piece.raw)

    def _descriptors(self, sizes: list[int], base: int) -> bytearray:
        lost, zero_page = self._lost, self._zero_page
        steps = sizes
        if lost in sizes:
            steps = [0 if size == lost else size for size in sizes]
        offsets = list(itertools.accumulate(steps, initial=base))
        del offsets[-1]
        if _ZERO in sizes:
            offsets = [at if size else zero_page for at, size in zip(offsets, sizes)]
        if steps is not sizes:
            offsets = [0 if size == lost else at for at, size in zip(offsets, sizes)]
        # The words of each kind go to every third place: struct knows the byte order.
        pack = struct.Struct(f"{self._layout}{len(sizes)}Q").pack
        table = bytearray(len(sizes) * DESCRIPTOR_SIZE)
        words = memoryview(table).cast("Q")
        words[::3] = memoryview(pack(*offsets)).cast("Q")
        words[1::3] = memoryview(pack(*map(self._words.__getitem__, sizes))).cast("Q")
        return table

    def _those_written(self, sizes: list[int], room: int) -> list[int]:
        # Pages whose data did not fit into room bytes are lost.
        found = []
        for size in sizes:
            here = size != self._lost
            room -= size if here else 0
            found.append(size if here and (size == _ZERO or room >= 0) else self._lost)
        return found


def _second_words(page: int, flag: int, *, big: bool) -> list[int]:
    # The second word of a descriptor (size and flags, of four bytes each) by the size of a page.
    shift, flag = (32, flag) if big else (0, flag << 32)
    raw = page << shift
    return [raw, *[size << shift | flag for size in range(1, page)], raw, 0]


def _store() -> int:
    # The codec "none": never smaller.
    return 0
