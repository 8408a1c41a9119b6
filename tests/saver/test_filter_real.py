# SPDX-License-Identifier: GPL-2.0-or-later
"""The page filter on real crashes: makedumpfile's pages, and what the pages say themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.vm import rivals
from tests.vm.fillmemory import KINDS, NEVER
from tests.vm.kernels import Kernel, fetched, newest
from tests.vm.readers import read_with_drgn
from tests.vm.sources import TRIXIE
from tests.vm.vmcores import filled_vmcore, kinds_of

from .comparing import changed, difference, differences, left_out, ours, run, shared, theirs
from .minireader import MiniReader
from .vmcore import X86_64

pytestmark = pytest.mark.timeout(900)

LEVELS = (0, 1, 2, 4, 8, 15, 16, 31)
HOST = pytest.param("host", marks=pytest.mark.qemu)
DEBIAN_13 = pytest.param("debian-13", marks=pytest.mark.full)
CASES = [
    pytest.param(
        which,
        level,
        marks=pytest.mark.qemu if (which, level) == ("host", 31) else pytest.mark.full,
    )
    for which in ("host", "debian-13")
    for level in LEVELS
]


@dataclass(frozen=True)
class Crash:
    """A vmcore with all kinds of memory; ``pages`` are its page frames of known kinds."""

    kernel: Kernel
    vmcore: Path
    pages: dict[str, set[int]]


@cache
def crash_of(which: str) -> Crash:
    kernel = newest() if which == "host" else fetched(TRIXIE)
    vmcore = filled_vmcore(kernel)
    pages: dict[str, set[int]] = {kind: set() for kind in KINDS}
    for pfn, kind in kinds_of(vmcore).items():
        pages[kind].add(pfn)
    return Crash(kernel, vmcore, pages)


def judge(crash: Crash, dump: MiniReader, level: int) -> None:
    """Compare what was left out with what the pages of known contents are."""
    gone = left_out(dump)
    for kind, (least, bits) in KINDS.items():
        pages = crash.pages[kind]
        out, kept = len(pages & gone), len(pages - gone)
        said = f"level {level}, {kind}: {kept} pages are in, {out} are not, of {least} at least"
        if bits == NEVER:  # what they held has been moved to pages of another kind
            assert out >= least, said
        elif bits & level:
            assert out >= least, said
            # Where a page was moved from is free, and told so but on a processor's own list.
            assert kept <= len(pages) // 20 or not level & 16, said
        else:
            assert kept >= least, said


@pytest.mark.parametrize(("which", "level"), CASES)
def test_pages_are_makedumpfile_s(tmp_path: Path, which: str, level: int) -> None:
    crash = crash_of(which)
    rival = theirs(rivals.makedumpfile(crash.kernel), tmp_path, crash.vmcore, level)
    dump = MiniReader(ours(tmp_path, crash.vmcore, level), X86_64)
    text = differences(dump, rival)
    assert not text, text
    assert (dump.level, dump.max_mapnr) == (rival.level, rival.max_mapnr)
    judge(crash, dump, level)
    assert len(shared(dump)) > 1000 if level & 1 else not shared(dump)
    assert not changed(dump, rival.page)


@pytest.mark.parametrize("which", [HOST, DEBIAN_13])
def test_drgn_and_makedumpfile_read_what_is_left(tmp_path: Path, which: str) -> None:
    crash = crash_of(which)
    dump = ours(tmp_path, crash.vmcore, 31)
    facts = read_with_drgn(dump)
    assert facts.release == crash.kernel.release
    assert facts.banner.startswith(f"Linux version {crash.kernel.release} ")
    assert facts.symbols > 50000
    run(*rivals.makedumpfile(crash.kernel), "--dump-dmesg", dump, tmp_path / "log")
    # Since 1.7.6 makedumpfile puts a line's task or processor behind its time, unasked.
    log = re.sub(
        rb"(?m)^(\[ *[0-9.]+\]) \[ *[CT][0-9]+\] ", rb"\1 ", (tmp_path / "log").read_bytes()
    )
    assert (dump.parent / "dmesg").read_bytes() == log


@pytest.mark.parametrize("which", [HOST, DEBIAN_13])
def test_makedumpfile_filters_our_dump_further(tmp_path: Path, which: str) -> None:
    crash = crash_of(which)
    once = MiniReader(ours(tmp_path, crash.vmcore, 31), X86_64)
    all_pages = ours(tmp_path, crash.vmcore, 1)
    twice = theirs(rivals.makedumpfile(crash.kernel), tmp_path, all_pages, 31)
    text = differences(once, twice)
    assert not text, text


@pytest.mark.full
def test_debian_13_s_own_makedumpfile_keeps_free_and_offline_pages(tmp_path: Path) -> None:
    # Its 1.7.6 reads PAGE_SLAB_MAPCOUNT_VALUE as inverted bits, as it was up to Linux 6.11, and
    # takes 6.12's free and offline pages for slab (makedumpfile's issue 16). All else is alike.
    crash = crash_of("debian-13")
    rival = theirs(rivals.makedumpfile_of(TRIXIE.suite), tmp_path, crash.vmcore, 31)
    without_free = MiniReader(ours(tmp_path, crash.vmcore, 15), X86_64)
    always_out = left_out(MiniReader(ours(tmp_path, crash.vmcore, 0), X86_64))
    offline = always_out - crash.pages["poisoned"]
    assert len(offline) >= 4096
    assert not difference("second bitmap", sorted({*without_free.second, *offline}), rival.second)
