# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast this host is for one busy process, now: deadlines count its seconds, not the clock's."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path

#: What _work takes where the deadlines of phases.py were found, in seconds.
_REFERENCE = 0.0113
_STAT = Path("/proc/stat")


class Pace:
    """Seconds of the clock, turned into those that a machine in QEMU has had of the host.

    A processor that is slower than the one where deadlines were found, other programs that want
    it (procs_running of /proc/stat, proc(5)), and what a hypervisor takes away (steal) make them
    fewer.
    """

    def __init__(self, *, stat: Path = _STAT, processors: int | None = None) -> None:
        """Begin now; ``stat`` is the kernel's /proc/stat."""
        self._stat = stat
        self._processors = processors or len(os.sched_getaffinity(0))
        self._ticks = self._read()[0]

    def worth(self, seconds: float) -> float:
        """Return what the last ``seconds`` by the clock were worth, at most as many."""
        before = self._ticks
        self._ticks, wanting = self._read()
        passed = [now - then for now, then in zip(self._ticks, before)]
        stolen = passed[7] / sum(passed) if len(passed) > 7 and sum(passed) > 0 else 0.0
        share = min(1.0, self._processors / max(1, wanting))
        return seconds * share * (1 - stolen) / slowness()

    def _read(self) -> tuple[list[int], int]:
        # Ticks of all processors by kind, and who wants one beside this process.
        lines = self._stat.read_text().splitlines()
        ticks = [int(word) for word in lines[0].split()[1:9]]
        running = [int(line.split()[1]) for line in lines if line.startswith("procs_running ")]
        return ticks, sum(running) - 1


@lru_cache(maxsize=1)
def slowness() -> float:
    """Return how many times slower this processor is than the deadlines' own; 1 at least."""
    return max(1.0, min(_work() for _ in range(5)) / _REFERENCE)


def _work() -> float:
    start, number = time.thread_time(), 0
    for step in range(400_000):
        number = (number * 31 + step) & 0xFFFFFF
    return time.thread_time() - start
