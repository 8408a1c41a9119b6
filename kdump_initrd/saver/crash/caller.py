# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a kernel shows the callers of printk: CONFIG_PRINTK_CALLER, which VMCOREINFO lacks."""

from __future__ import annotations

import os

from ..low.failure import SaverError
from ..memory.reader import Memory
from ..memory.vmcoreinfo import VmcoreInfo, utsname

#: What /dev/kmsg has in the head of each record with that option, and the format that makes it,
#: in the constants of such a kernel and of no other (kernel/printk/printk.c,
#: info_print_ext_header).
_SIGN, _FORMAT = b",caller=", b",caller=%c%u"
#: Bytes: the most that a kernel's text and constants take, and how much is searched at a time.
_IMAGE, _PIECE, _PAGE = 128 << 20, 1 << 20, 4096
#: After so many bytes without memory, nothing of the kernel follows.
_GAP = 8 << 20
_KMSG = "/dev/kmsg"


def has_callers(memory: Memory, info: VmcoreInfo) -> bool:
    """Tell whether the crashed kernel shows who called printk.

    Linux 5.10 and newer keep the caller in any case, as VMCOREINFO says; makedumpfile 1.7.5 and
    newer then print it, crash(8) and drgn do not. Here the kernel itself is asked: by a record of
    /dev/kmsg if the same one runs now, as after most crashes, else by its constants in memory.
    Where these cannot be read, callers are shown.
    """
    uts, running = utsname(memory, info), os.uname()
    if (uts["release"], uts["version"]) == (running.release, running.version):
        head = _kmsg_head()
        if head:
            return _SIGN in head
    start = info.symbol("_stext")
    return start is None or _look_for_format(memory, start)


def _kmsg_head() -> bytes:
    # The head of the oldest record; b"" where it cannot be read.
    try:
        fd = os.open(_KMSG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 8192).partition(b";")[0]
    except OSError:
        return b""
    finally:
        os.close(fd)


def _look_for_format(memory: Memory, start: int) -> bool:
    # Constants follow the text; between them may be pages that are not mapped.
    seen, end = False, b""
    at = last = start - start % _PAGE
    stop = at + _IMAGE
    while at < stop and at - last < _GAP:
        step = _PIECE
        try:
            piece = memory.read_virtual(at, _PIECE)
        except (SaverError, OSError):
            step = _PAGE
            try:
                piece = memory.read_virtual(at, _PAGE)
            except (SaverError, OSError):
                piece = b""
        if _FORMAT in end + piece:
            return True
        end = piece[1 - len(_FORMAT) :]
        at += step
        if piece:
            seen, last = True, at
    return not seen
