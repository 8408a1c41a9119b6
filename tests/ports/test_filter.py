# SPDX-License-Identifier: GPL-2.0-or-later
"""The page filter on real vmcores of other machines: which pages are in a dump, and their contents.

Where a makedumpfile knows the kernel, it has to agree. Elsewhere drgn finds the struct pages for
the plain loop of tests.saver.oracle, and the zones' own counters tell how many pages are free.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.saver.comparing import (
    changed,
    difference,
    differences,
    left_out,
    ours,
    shared,
    theirs,
)
from tests.saver.minireader import MiniReader
from tests.vm import rivals
from tests.vm.kernels import Kernel
from tests.vm.readers import DRGN
from tests.vm.vmcores import port_vmcore

from .core import Core
from .pagewalk import PageWalk
from .record import Proof, Record
from .table import PORTS, Port

pytestmark = [pytest.mark.qemu, pytest.mark.full, pytest.mark.timeout(1200)]

LEVELS = (0, 1, 2, 4, 8, 16, 31)


@dataclass(frozen=True)
class Crash:
    """A port's vmcore, and its page frames."""

    port: Port
    kernel: Kernel
    vmcore: Path
    core: Core
    zeros: set[int]

    def proven(self, name: str, level: int, reader: str) -> None:
        """Record whose pages those of a level were compared with."""
        machine = self.kernel.architecture.name
        Record(
            *(name, machine, self.kernel.release, self.port.page), Proof.PAGES, "", level, reader
        ).write()


@cache
def crash_of(name: str) -> Crash:
    port = PORTS[name]
    kernel = port.kernel()
    vmcore = port_vmcore(kernel)
    core = Core(vmcore, port.page)
    return Crash(port, kernel, vmcore, core, core.zeros())


@cache
def walk_of(name: str) -> PageWalk:
    return PageWalk(crash_of(name).vmcore)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", PORTS)
def test_pages_of_each_level(tmp_path: Path, name: str, level: int) -> None:
    crash = crash_of(name)
    dump = MiniReader(ours(tmp_path, crash.vmcore, level), crash.core.machine)
    expected = level & crash.port.level
    assert dump.level == expected
    assert not difference("memory", dump.first, crash.core.frames)
    assert not changed(dump, crash.core.page)
    if crash.port.rival:
        argv = rivals.makedumpfile_of(crash.port.rival)
        rival = theirs(argv, tmp_path, crash.vmcore, level, crash.core.machine)
        # makedumpfile leaves out the page at the end of memory that is none to its end.
        text = differences(dump, rival, aside=crash.core.partial)
        reader = rivals.version(argv)
    else:
        zeros = crash.zeros & set(dump.second) if level & 1 else set()
        text = difference("zero pages", shared(dump), zeros)
        text += walked(name, left_out(dump), expected)
        # Which pages are zeros needs no struct page.
        reader = f"a walk by {DRGN}" if expected > 1 else "the vmcore"
    assert not text, text
    if level == expected:
        crash.proven(name, level, reader)


def walked(name: str, gone: set[int], level: int) -> str:
    """Return how what was left out is not what another walk leaves out; "" if it is."""
    if level in (0, 1):
        return ""
    walk, frames = walk_of(name), crash_of(name).core.frames
    if level == 16:
        count = len(gone - walk.left_out(frames, 0))
        assert count in walk.free(), f"{count} free pages, and not {walk.free()}"
    return difference("left out", gone, walk.left_out(frames, level))
