# SPDX-License-Identifier: GPL-2.0-or-later
"""Printk's ring buffer of descriptors, infos and text: Linux 5.10 and newer."""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.reader import Memory
from ..memory.vmcoreinfo import VmcoreInfo
from .caller import has_callers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .dmesg import Record

# States of a descriptor that has text: the two top bits of its state variable
# (kernel/printk/printk_ringbuffer.h, enum desc_state).
_COMMITTED, _FINALIZED = 1, 2
#: log_buf_len= is at most 2 GiB, and a descriptor stands for 32 bytes (kernel/printk/printk.c).
_MAX_DATA_BITS, _MAX_DESC_BITS = 31, 26
#: Descriptors that are read at once.
_BATCH = 64


class Ring:
    """The ring buffer's layout, and its positions at the time of the crash."""

    def __init__(self, memory: Memory, info: VmcoreInfo) -> None:
        """Read the heads; raises SaverError when VMCOREINFO or memory do not have them."""
        self.memory = memory
        need = info.need
        word = memory.abi.word
        ring = memory.read_long(need("symbol", "prb"))
        counter = need("offset", "atomic_long_t.counter")
        descs = ring + need("offset", "printk_ringbuffer.desc_ring")
        data = ring + need("offset", "printk_ringbuffer.text_data_ring")

        bits = descs + need("offset", "prb_desc_ring.count_bits")
        self.count = _power(memory, bits, _MAX_DESC_BITS)
        self.descs = memory.read_long(descs + need("offset", "prb_desc_ring.descs"))
        self.infos = memory.read_long(descs + need("offset", "prb_desc_ring.infos"))
        self.id_mask = (1 << 8 * word - 2) - 1
        head = memory.read_long(descs + need("offset", "prb_desc_ring.head_id") + counter)
        tail = memory.read_long(descs + need("offset", "prb_desc_ring.tail_id") + counter)
        # A damaged tail must not make the walk longer than the ring.
        self.records = min((head - tail & self.id_mask) + 1, self.count)
        self.first = head - self.records + 1 & self.id_mask
        bits = data + need("offset", "prb_data_ring.size_bits")
        self.size = _power(memory, bits, _MAX_DATA_BITS)
        self.data = memory.read_long(data + need("offset", "prb_data_ring.data"))
        self.desc_size = need("size", "prb_desc")
        self.state = need("offset", "prb_desc.state_var") + counter
        lpos = need("offset", "prb_desc.text_blk_lpos")
        self.begin = lpos + need("offset", "prb_data_blk_lpos.begin")
        self.next = lpos + need("offset", "prb_data_blk_lpos.next")
        _check(self.desc_size, word, self.state, self.begin, self.next)
        self.info_size = need("size", "printk_info")
        self.time = need("offset", "printk_info.ts_nsec")
        self.length = need("offset", "printk_info.text_len")
        _check(self.info_size, 2, self.time, self.length)
        #: Offset of the caller in a printk_info, -1 if it is not shown.
        self.caller = -1
        offset = info.offset("printk_info.caller_id")
        if offset is not None and has_callers(memory, info):
            _check(self.info_size, 4, offset)
            self.caller = offset
        # Arrays that are not in memory are noticed here, not after a walk through all memory.
        memory.read_virtual(self.descs + (self.count - 1) * self.desc_size, self.desc_size)
        memory.read_virtual(self.infos + (self.count - 1) * self.info_size, self.info_size)

    def read(self) -> Iterator[Record]:
        """Yield the records that have a text, oldest first. Raises SaverError, OSError."""
        abi = self.memory.abi
        shift = 8 * abi.word - 2
        ident, left = self.first, self.records
        while left > 0:
            for current, desc, info in self._batch(ident):
                ident, left = current + 1 & self.id_mask, left - 1
                state = abi.long(desc, self.state)
                if state & self.id_mask == current and state >> shift in (_COMMITTED, _FINALIZED):
                    text = self._text(current, desc, abi.number(info, self.length, 2))
                    if text is not None:
                        caller = abi.number(info, self.caller, 4) if self.caller >= 0 else None
                        yield abi.number(info, self.time, 8), caller, text
                if left <= 0:
                    break

    def _batch(self, ident: int) -> Iterator[tuple[int, bytes, bytes]]:
        # (id, descriptor, info) from ident to the end of a batch or of the array.
        index = ident & (self.count - 1)
        number = min(_BATCH, self.count - index)
        read = self.memory.read_virtual
        descs = read(self.descs + index * self.desc_size, number * self.desc_size)
        infos = read(self.infos + index * self.info_size, number * self.info_size)
        for step in range(number):
            desc = descs[step * self.desc_size : (step + 1) * self.desc_size]
            info = infos[step * self.info_size : (step + 1) * self.info_size]
            yield ident + step & self.id_mask, desc, info

    def _text(self, ident: int, desc: bytes, length: int) -> bytes | None:
        # None if its data have been overwritten.
        abi = self.memory.abi
        begin, end = abi.long(desc, self.begin), abi.long(desc, self.next)
        # Odd positions mean a record without data: 3 an empty one, 1 one that got no room.
        if begin & 1 or end & 1:
            return b"" if begin == end == 3 else None
        size, word = self.size, abi.word
        start, last = begin % size, end - 1 & abi.mask  # positions wrap, so one may be 0
        if last // size == begin // size:
            stop = last % size + 1
        else:  # a block that does not fit before the end of the ring lies at its start
            start, stop = 0, end % size
        if stop - start < word:
            return None
        # The record's number and its text in one go: a read costs more than its bytes.
        length = min(length, stop - start - word)
        raw = self.memory.read_virtual(self.data + start, word + length)
        return raw[word:] if abi.long(raw) == ident else None


def _check(size: int, width: int, *offsets: int) -> None:
    # The members of a record must be within it, and it must have a size: else the walk has no end.
    if min(offsets) < 0 or not max(offsets) + width <= size <= 4096:
        raise SaverError(f"VMCOREINFO: a record of the kernel log of {size} bytes")


def _power(memory: Memory, address: int, limit: int) -> int:
    bits = memory.abi.number(memory.read_virtual(address, 4), 0, 4)
    if not 0 < bits <= limit:
        raise SaverError(f"the kernel log's ring is damaged (2^{bits} entries)")
    return 1 << bits
