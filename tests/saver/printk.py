# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds printk ring buffers as Linux 5.10 and newer fill them, in an image of memory."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .vmcore import X86_64, Core, Machine

RESERVED, COMMITTED, FINALIZED, REUSABLE = 0, 1, 2, 3
NO_DATA, NO_ROOM = 3, 1
#: Places in the image, relative to its start.
_PRB, _RING, _DATA = 0, 64, 4096


@dataclass
class Record:
    """A descriptor with its text; begin and end are logical positions."""

    ident: int
    time: int
    text: bytes
    state: int
    begin: int
    end: int


class Printk:
    """A ring of 2^desc_bits descriptors and 2^data_bits bytes of text.

    Identifiers and positions begin shortly before they wrap, as the kernel's own do.
    """

    def __init__(
        self, machine: Machine = X86_64, *, desc_bits: int = 4, data_bits: int = 9
    ) -> None:
        self.machine = machine
        self.count, self.size = 1 << desc_bits, 1 << data_bits
        self.desc_bits, self.data_bits = desc_bits, data_bits
        self.id_mask = (1 << 8 * machine.word - 2) - 1
        self.word_mask = (1 << 8 * machine.word) - 1
        self.next_id = self.id_mask - 2
        self.head = self.tail = self.word_mask + 1 - self.size
        self.records: list[Record] = []
        self.data = bytearray(self.size)

    def add(self, time: int, text: bytes, state: int = FINALIZED) -> Record:
        word = self.machine.word
        begin = self.head
        length = -(-(word + len(text)) // word) * word
        end = begin + length
        place = begin % self.size
        if begin // self.size != end // self.size:  # does not fit before the end: to the start
            end = (begin // self.size + 1) * self.size + length
            place = 0
        while end - self.tail > self.size:
            self._drop()
        self.head = end
        ident = self.next_id
        self.data[place : place + length] = (self.machine.long(ident) + text).ljust(length, b"\0")
        return self._append(Record(ident, time, text, state, begin, end))

    def add_empty(self, time: int, mark: int) -> Record:
        return self._append(Record(self.next_id, time, b"", FINALIZED, mark, mark))

    def _append(self, record: Record) -> Record:
        self.next_id = self.next_id + 1 & self.id_mask
        if len(self.records) == self.count:
            if self.records[0].state != REUSABLE:
                self._drop()
            del self.records[0]
        self.records.append(record)
        return record

    def _drop(self) -> None:
        # The oldest text goes; its descriptor can be used again.
        for record in self.records:
            if record.state != REUSABLE:
                record.state = REUSABLE
                if not record.begin & 1:
                    self.tail = record.end
                return

    def image(self, base: int) -> bytes:
        """Memory from the kernel address base on."""
        machine = self.machine
        word, long, order = machine.word, machine.long, machine.order
        descs_at = _DATA + self.size
        infos_at = descs_at + self.count * 3 * word
        tail, head = self.records[0].ident, self.records[-1].ident
        ring = struct.pack(order + "I", self.desc_bits).ljust(word, b"\0")
        ring += long(base + descs_at) + long(base + infos_at) + long(head) + long(tail)
        ring = ring.ljust(6 * word, b"\0")
        ring += struct.pack(order + "I", self.data_bits).ljust(word, b"\0")
        ring += long(base + _DATA) + long(self.head) + long(self.tail)
        descs = bytearray(self.count * 3 * word)
        infos = bytearray(self.count * 88)
        for record in self.records:
            index = record.ident & self.count - 1
            state = record.state << 8 * word - 2 | record.ident
            desc = long(state) + long(record.begin) + long(record.end)
            descs[index * 3 * word : (index + 1) * 3 * word] = desc
            info = struct.pack(order + "QQH", record.ident, record.time, len(record.text))
            infos[index * 88 : index * 88 + len(info)] = info
        start = long(base + _RING).ljust(_RING, b"\0") + ring
        return start.ljust(_DATA, b"\0") + self.data + descs + infos

    def info(self, base: int) -> list[str]:
        """VMCOREINFO lines for the image at base."""
        word = self.machine.word
        offsets = {
            "printk_ringbuffer.desc_ring": 0,
            "printk_ringbuffer.text_data_ring": 6 * word,
            "prb_desc_ring.count_bits": 0,
            "prb_desc_ring.descs": word,
            "prb_desc_ring.infos": 2 * word,
            "prb_desc_ring.head_id": 3 * word,
            "prb_desc_ring.tail_id": 4 * word,
            "prb_desc.state_var": 0,
            "prb_desc.text_blk_lpos": word,
            "prb_data_blk_lpos.begin": 0,
            "prb_data_blk_lpos.next": word,
            "printk_info.ts_nsec": 8,
            "printk_info.text_len": 16,
            "prb_data_ring.size_bits": 0,
            "prb_data_ring.data": word,
            "atomic_long_t.counter": 0,
        }
        return [
            f"SYMBOL(prb)={base + _PRB:x}",
            f"SIZE(prb_desc)={3 * word}",
            "SIZE(printk_info)=88",
            *[f"OFFSET({name})={value}" for name, value in offsets.items()],
        ]


def add_log(core: Core, printk: Printk, paddr: int, vaddr: int) -> Core:
    """Put a ring's image into a core of its own PT_LOAD."""
    image = printk.image(vaddr)
    assert core.info is not None
    core.info += printk.info(vaddr)
    return core.load(paddr, image + bytes(-len(image) % 4096), vaddr)
