# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel log in a crashed kernel's memory, whichever of its three forms it has there."""

from __future__ import annotations

from ..memory.reader import Memory
from ..memory.vmcoreinfo import VmcoreInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Optional

    #: Nanoseconds since the start, the caller's number (None: it is not shown), and the text.
    Record = tuple[int, Optional[int], bytes]

#: The bit of a caller's number that says "processor", not "thread" (kernel/printk/printk.c,
#: printk_caller_id).
_PROCESSOR = 1 << 31


def log_lines(memory: Memory, info: VmcoreInfo) -> Iterator[bytes]:
    """Yield the kernel log's lines, oldest first, each with its newline.

    A record begins with its time, ``[    0.000000] ``, and with its caller, ``[    T1]`` for a
    thread or ``[    C0]`` for a processor, before the blank where the kernel shows that
    (CONFIG_PRINTK_CALLER); further lines of it are indented by as much. Kernels before 3.5 have
    written all that themselves, with the level in front (``<6>``). Bytes that are neither
    printable nor white space are shown as \\xHH. Raises SaverError and OSError, possibly after
    some lines.
    """
    # Imported only when needed: a kernel has one of the formats.
    if info.symbol("prb") is None and info.symbol("log_buf") is not None:
        from .logbuf import read_records, read_text

        if info.symbol("log_first_idx") is None:
            for line in read_text(memory, info):
                yield _plain(line) + b"\n"
            return
        records = read_records(memory, info)
    else:
        from .printkring import Ring

        records = Ring(memory, info).read()
    for nanoseconds, caller, text in records:
        yield from _format(nanoseconds, caller, text)


def _format(nanoseconds: int, caller: int | None, text: bytes) -> Iterator[bytes]:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    prefix = b"[%5d.%06d]" % (seconds, rest // 1000)
    if caller is not None:
        kind = b"C" if caller & _PROCESSOR else b"T"
        prefix += b"[%6s]" % (b"%s%d" % (kind, caller & ~_PROCESSOR))
    prefix += b" "
    for line in text.split(b"\n"):
        yield prefix + _plain(line) + b"\n"
        prefix = b" " * len(prefix)


_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\v\f\r"


def _plain(line: bytes) -> bytes:
    if not line.translate(None, _PRINTABLE):
        return line
    return b"".join([bytes((c,)) if c in _PRINTABLE else b"\\x%02x" % c for c in line])
