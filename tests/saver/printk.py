# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the buffers of printk as each Linux fills them, in an image of memory."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .vmcore import X86_64, Core, Machine

RESERVED, COMMITTED, FINALIZED, REUSABLE = 0, 1, 2, 3
NO_DATA, NO_ROOM = 3, 1
#: Places in the image, relative to its start.
_PRB, _RING, _DATA = 0, 64, 4096
_PAGE = 4096


@dataclass
class Record:
    """A descriptor with its text; begin and end are logical positions."""

    ident: int
    time: int
    text: bytes
    state: int
    begin: int
    end: int
    caller: int = 0


class Printk:
    """A ring of 2^desc_bits descriptors and 2^data_bits bytes of text.

    Identifiers and positions begin shortly before they wrap, as the kernel's own do. new is for
    Linux 7.2: a record may end where the ring does, and says more of its caller
    (CONFIG_PRINTK_EXECUTION_CTX), between its caller and its device.
    """

    def __init__(
        self,
        machine: Machine = X86_64,
        *,
        desc_bits: int = 4,
        data_bits: int = 9,
        new: bool = False,
    ) -> None:
        self.machine, self.new = machine, new
        # Numbers of 64 bits come first, and 64 bytes of the device last.
        size = 24 + 20 * new + 64
        self.info_size = -(-size // 8) * 8 if machine.word == 8 else size
        self.count, self.size = 1 << desc_bits, 1 << data_bits
        self.desc_bits, self.data_bits = desc_bits, data_bits
        self.id_mask = (1 << 8 * machine.word - 2) - 1
        self.word_mask = (1 << 8 * machine.word) - 1
        self.next_id = self.id_mask - 2
        self.head = self.tail = self.word_mask + 1 - self.size
        self.records: list[Record] = []
        self.data = bytearray(self.size)
        #: Whether VMCOREINFO tells of callers, as that of Linux 5.10 and newer does.
        self.callers = False

    def add(self, time: int, text: bytes, state: int = FINALIZED, caller: int = 0) -> Record:
        word = self.machine.word
        begin = self.head
        length = -(-(word + len(text)) // word) * word
        end = begin + length
        place = begin % self.size
        last = end - 1 if self.new else end
        if begin // self.size != last // self.size:  # does not fit before the end: to the start
            end = (begin // self.size + 1) * self.size + length
            place = 0
        while end - self.tail > self.size:
            self._drop()
        self.head = end
        ident = self.next_id
        self.data[place : place + length] = (self.machine.long(ident) + text).ljust(length, b"\0")
        return self._append(Record(ident, time, text, state, begin, end, caller))

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
        infos = bytearray(self.count * self.info_size)
        for record in self.records:
            index = record.ident & self.count - 1
            state = record.state << 8 * word - 2 | record.ident
            desc = long(state) + long(record.begin) + long(record.end)
            descs[index * 3 * word : (index + 1) * 3 * word] = desc
            info = struct.pack(order + "QQH", record.ident, record.time, len(record.text))
            at = index * self.info_size
            infos[at : at + len(info)] = info
            struct.pack_into(order + "I", infos, at + 20, record.caller)
            if self.new:  # the other way to say who it was, and its name
                struct.pack_into(order + "I16s", infos, at + 24, record.caller ^ 1 << 31, b"sh")
        start = long(base + _RING).ljust(_RING, b"\0") + ring
        return start.ljust(_DATA, b"\0") + self.data + descs + infos

    def info(self, base: int) -> list[str]:
        """VMCOREINFO lines for the image at base."""
        callers = ["OFFSET(printk_info.caller_id)=20"] if self.callers else []
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
            f"SIZE(printk_info)={self.info_size}",
            *callers,
            *[f"OFFSET({name})={value}" for name, value in offsets.items()],
        ]


class Records:
    """log_buf as Linux 3.5 to 5.9 fill it; name is what their record's type is called.

    index is where the first record goes; without keys, VMCOREINFO tells of no layout, as 3.5's.
    """

    def __init__(
        self,
        machine: Machine = X86_64,
        *,
        size: int = 512,
        name: str = "printk_log",
        callers: bool = False,
        keys: bool = True,
    ) -> None:
        self.machine, self.name, self.callers, self.keys = machine, name, callers, keys
        self.head = 20 if callers else 16
        self.head = -(-self.head // machine.word) * machine.word
        self.data = bytearray(size)
        self.first = self.next = 0
        self.texts: list[bytes] = []

    def add(self, time: int, text: bytes, caller: int = 0, dictionary: bytes = b"") -> None:
        """Store a record as log_store() does."""
        length = -(-(self.head + len(text) + len(dictionary)) // self.machine.word)
        length *= self.machine.word
        while not self._has_space(length):
            self.first = self._after(self.first)
            del self.texts[0]
        if self.next + length + self.head > len(self.data):
            self.data[self.next : self.next + self.head] = bytes(self.head)
            self.next = 0
        layout = self.machine.order + ("QHHHBBI" if self.callers else "QHHHBB")
        fields = [time, length, len(text), len(dictionary), 0, 6]
        if self.callers:
            fields.append(caller)
        record = struct.pack(layout, *fields).ljust(self.head, b"\0") + text + dictionary
        self.data[self.next : self.next + length] = record.ljust(length, b"\0")
        self.next += length
        self.texts.append(text)

    def _has_space(self, length: int) -> bool:
        if self.next > self.first or not self.texts:
            free = max(len(self.data) - self.next, self.first)
        else:
            free = self.first - self.next
        return free >= length + self.head

    def _after(self, index: int) -> int:
        length = struct.unpack_from(self.machine.order + "H", self.data, index + 8)[0]
        if not length:
            return int(struct.unpack_from(self.machine.order + "H", self.data, 8)[0])
        return index + int(length)

    def image(self, base: int) -> bytes:
        """Memory from the kernel address base on: variables, and the buffer."""
        numbers = struct.pack(self.machine.order + "III", len(self.data), self.first, self.next)
        head = self.machine.long(base + _PAGE).ljust(8, b"\0") + numbers
        return head.ljust(_PAGE, b"\0") + self.data

    def info(self, base: int) -> list[str]:
        """VMCOREINFO lines for the image at base."""
        places = {"log_buf": 0, "log_buf_len": 8, "log_first_idx": 12, "log_next_idx": 16}
        lines = [f"SYMBOL({name})={base + at:x}" for name, at in places.items()]
        if self.keys:
            offsets = {"ts_nsec": 0, "len": 8, "text_len": 10, "dict_len": 12}
            if self.callers:
                offsets["caller_id"] = 16
            lines.append(f"SIZE({self.name})={self.head}")
            lines += [f"OFFSET({self.name}.{name})={at}" for name, at in offsets.items()]
        return lines


class Text:
    """log_buf before Linux 3.5: text alone, in a ring."""

    def __init__(self, machine: Machine = X86_64, *, size: int = 512, end: int = 0) -> None:
        """log_end begins at a number of bytes, as if so many had been written."""
        self.machine = machine
        self.data = bytearray(size)
        self.end, self.chars = end, min(end, size)

    def add(self, text: bytes) -> None:
        for char in text:
            self.data[self.end % len(self.data)] = char
            self.end = self.end + 1 & 0xFFFFFFFF
            self.chars = min(self.chars + 1, len(self.data))

    def image(self, base: int) -> bytes:
        """See Records."""
        numbers = struct.pack(self.machine.order + "III", len(self.data), self.end, self.chars)
        head = self.machine.long(base + _PAGE).ljust(8, b"\0") + numbers
        return head.ljust(_PAGE, b"\0") + self.data

    def info(self, base: int) -> list[str]:
        """See Records."""
        places = {"log_buf": 0, "log_buf_len": 8, "log_end": 12, "logged_chars": 16}
        return [f"SYMBOL({name})={base + at:x}" for name, at in places.items()]


def ring(machine: Machine) -> Printk:
    """Return a ring with 30 lines."""
    found = Printk(machine, desc_bits=5, data_bits=13)
    for number in range(30):
        found.add(0, b"line %d " % number + b"x" * 100)
    return found


def add_log(core: Core, printk: Printk | Records | Text, paddr: int, vaddr: int) -> Core:
    """Put a ring's image into a core of its own PT_LOAD."""
    image = printk.image(vaddr)
    assert core.info is not None
    core.info += printk.info(vaddr)
    return core.load(paddr, image + bytes(-len(image) % 4096), vaddr)
