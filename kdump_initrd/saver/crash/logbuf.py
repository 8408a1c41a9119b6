# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel log before Linux 5.10: records in log_buf (since 3.5), or nothing but text."""

from __future__ import annotations

from ..low.failure import SaverError
from ..memory.reader import Memory
from ..memory.vmcoreinfo import VmcoreInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .dmesg import Record

#: log_buf_len= is at most 2 GiB (kernel/printk/printk.c).
_MAX_SIZE = 1 << 31
#: Bytes that are read at once: more than the largest record has.
_PIECE = 128 << 10
#: struct log of Linux 3.5, whose VMCOREINFO does not describe it; later kernels only added to its
#: end: u64 ts_nsec, u16 len, text_len, dict_len, and two bytes more.
_LAYOUT = {"ts_nsec": 0, "len": 8, "text_len": 10}
_SIZE = 16


class _Buffer:
    # log_buf, read in pieces.

    def __init__(self, memory: Memory, info: VmcoreInfo) -> None:
        self._memory = memory
        self._info = info
        self.address = memory.read_long(info.need("symbol", "log_buf"))
        self.size = self.variable("log_buf_len")
        if not 0 < self.size <= _MAX_SIZE:
            raise SaverError(f"the kernel log's buffer is damaged ({self.size} bytes)")
        # A buffer that is not in memory is noticed here, not after a walk through all memory.
        self.read(self.size - 1, 1)
        self._start, self._piece = 0, b""

    def variable(self, name: str) -> int:
        return self._memory.abi.number(
            self._memory.read_virtual(self._info.need("symbol", name), 4), 0, 4
        )

    def read(self, at: int, length: int) -> bytes:
        return self._memory.read_virtual(self.address + at, length)

    def near(self, at: int, length: int) -> bytes:
        # Fewer bytes at the end of the buffer. For offsets that mostly ascend in small steps.
        skip = at - self._start
        if skip < 0 or skip + length > len(self._piece):
            self._piece = self.read(at, min(_PIECE, self.size - at))
            self._start, skip = at, 0
        return self._piece[skip : skip + length]


def read_records(memory: Memory, info: VmcoreInfo) -> Iterator[Record]:
    """Yield the records of Linux 3.5 to 5.9, oldest first.

    struct printk_log was called struct log before 3.11. Raises SaverError, possibly after some
    records, and OSError.
    """
    buffer, abi = _Buffer(memory, info), memory.abi
    kind = "printk_log" if info.size("printk_log") is not None else "log"
    size = info.size(kind) or _SIZE
    places = {}
    for name, default in _LAYOUT.items():
        found = info.offset(f"{kind}.{name}")
        places[name] = default if found is None else found
    # VMCOREINFO has it only if the kernel shows callers (CONFIG_PRINTK_CALLER).
    caller_at = info.offset(f"{kind}.caller_id")
    ends = [at + (8 if name == "ts_nsec" else 2) for name, at in places.items()]
    if caller_at is not None:
        ends.append(caller_at + 4)
    if min(*places.values(), caller_at or 0) < 0 or not max(ends) <= size <= 4096:
        raise SaverError(f"VMCOREINFO: a record of the kernel log of {size} bytes")
    at, end = buffer.variable("log_first_idx"), buffer.variable("log_next_idx")
    left = buffer.size
    while at != end:
        head = buffer.near(at, size) if at < buffer.size else b""
        length = abi.number(head, places["len"], 2)
        if at and head and not length:  # no room for a record before the end: go on at the start
            left -= buffer.size - at
            at = 0
            continue
        left -= length
        if len(head) < size or length < size or at + length > buffer.size or left < 0:
            raise SaverError(f"the kernel log's buffer is damaged at byte {at}")
        text_size = min(abi.number(head, places["text_len"], 2), length - size)
        text = buffer.near(at, size + text_size)[size:]
        caller = None if caller_at is None else abi.number(head, caller_at, 4)
        yield abi.number(head, places["ts_nsec"], 8), caller, text
        at += length


def read_text(memory: Memory, info: VmcoreInfo) -> Iterator[bytes]:
    """Yield the lines, without newlines, of kernels before 3.5, whose buffer has text only.

    The first one may have lost its start. Raises SaverError, OSError.
    """
    buffer = _Buffer(memory, info)
    end, size = buffer.variable("log_end"), buffer.size
    since = buffer.variable("logged_chars") if info.symbol("logged_chars") is not None else 0
    # log_end is an index that only grows, and wraps after 4 GiB.
    wrapped = end >= size or min(since, size) > end
    parts = [(end % size, size), (0, end % size)] if wrapped else [(0, end)]
    held = b""
    for start, stop in parts:
        for at in range(start, stop, _PIECE):
            held += buffer.read(at, min(_PIECE, stop - at))
            *lines, held = held.split(b"\n")
            yield from lines
            if len(held) > _PIECE:  # not a text at all
                yield held
                held = b""
    if held:
        yield held
