# SPDX-License-Identifier: GPL-2.0-or-later
"""The crashed kernel's log: read once, for what it tells and for where it is saved."""

from __future__ import annotations

from .dmesg import log_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..memory.reader import Memory
    from ..memory.vmcoreinfo import VmcoreInfo
    from ..store import Lines
    from .panic import LogFacts

_BUFFER = 32 << 10


def save_log(memory: Memory, info: VmcoreInfo, facts: LogFacts, lines: Lines | None = None) -> int:
    """Show each line of the log to facts, and write it to lines; return how many there are.

    Lines are ended in any case. Raises SaverError, OSError; what was read by then is written.
    """
    count = size = 0
    held: list[bytes] = []
    whole = False
    try:
        for line in log_lines(memory, info):
            facts.see(line)
            count += 1
            if lines:
                held.append(line)
                size += len(line)
                if size > _BUFFER:
                    lines.write(b"".join(held))
                    del held[:]
                    size = 0
        whole = True
    finally:
        if lines:
            lines.end(b"".join(held), whole=whole)
    return count
