# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel log in a crashed kernel's memory: printk's ring buffer of Linux 5.10 and newer."""

from __future__ import annotations

from .failure import SaverError
from .memory import Memory
from .vmcoreinfo import VmcoreInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

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
        # Arrays that do not lie in memory are found here, not after a walk of all memory.
        memory.read_virtual(self.descs + (self.count - 1) * self.desc_size, self.desc_size)
        memory.read_virtual(self.infos + (self.count - 1) * self.info_size, self.info_size)

    def records_at(self, ident: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield (id, descriptor, info) from ident to the end of a batch or of the array."""
        index = ident & (self.count - 1)
        number = min(_BATCH, self.count - index)
        read = self.memory.read_virtual
        descs = read(self.descs + index * self.desc_size, number * self.desc_size)
        infos = read(self.infos + index * self.info_size, number * self.info_size)
        for step in range(number):
            desc = descs[step * self.desc_size : (step + 1) * self.desc_size]
            info = infos[step * self.info_size : (step + 1) * self.info_size]
            yield ident + step & self.id_mask, desc, info

    def text(self, ident: int, desc: bytes, length: int) -> bytes | None:
        """Return a record's text; None when its data are gone. Raises SaverError."""
        abi = self.memory.abi
        begin, end = abi.long(desc, self.begin), abi.long(desc, self.next)
        # Odd positions mean a record without data: 3 an empty one, 1 one that got no room.
        if begin & 1 or end & 1:
            return b"" if begin == end == 3 else None
        size, word = self.size, abi.word
        start = begin % size
        if (end - 1) // size == begin // size:
            stop = (end - 1) % size + 1
        else:  # a block that does not fit before the end of the ring lies at its start
            start, stop = 0, end % size
        if stop - start < word:
            return None
        # The record's number and its text in one go: a read costs more than its bytes.
        length = min(length, stop - start - word)
        raw = self.memory.read_virtual(self.data + start, word + length)
        return raw[word:] if abi.long(raw) == ident else None


def _check(size: int, width: int, *offsets: int) -> None:
    # The members of a record must be in it, and take some room: else the walk has no end.
    if min(offsets) < 0 or not max(offsets) + width <= size <= 4096:
        raise SaverError(f"VMCOREINFO: a record of the kernel log of {size} bytes")


def _power(memory: Memory, address: int, limit: int) -> int:
    bits = memory.abi.number(memory.read_virtual(address, 4), 0, 4)
    if not 0 < bits <= limit:
        raise SaverError(f"the kernel log's ring is damaged (2^{bits} entries)")
    return 1 << bits


def log_lines(memory: Memory, info: VmcoreInfo) -> Iterator[bytes]:
    """Yield the kernel log's lines, oldest first, each with its newline.

    A record begins with its time, ``[    0.000000] ``; further lines of it are indented by as
    much. Bytes that are neither printable nor white space are shown as \\xHH. Raises SaverError
    and OSError, possibly after some lines.
    """
    ring = Ring(memory, info)
    abi = memory.abi
    shift = 8 * abi.word - 2
    ident, left = ring.first, ring.records
    while left > 0:
        for current, desc, details in ring.records_at(ident):
            ident, left = current + 1 & ring.id_mask, left - 1
            state = abi.long(desc, ring.state)
            if state & ring.id_mask == current and state >> shift in (_COMMITTED, _FINALIZED):
                text = ring.text(current, desc, abi.number(details, ring.length, 2))
                if text is not None:
                    yield from _format(abi.number(details, ring.time, 8), text)
            if left <= 0:
                break


def _format(nanoseconds: int, text: bytes) -> Iterator[bytes]:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    prefix = b"[%5d.%06d] " % (seconds, rest // 1000)
    for line in text.split(b"\n"):
        yield prefix + (line if _is_plain(line) else _escape(line)) + b"\n"
        prefix = b" " * len(prefix)


_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\v\f\r"


def _is_plain(line: bytes) -> bool:
    return not line.translate(None, _PLAIN)


def _escape(line: bytes) -> bytes:
    return b"".join([bytes((char,)) if char in _PLAIN else b"\\x%02x" % char for char in line])
