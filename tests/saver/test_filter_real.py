# SPDX-License-Identifier: GPL-2.0-or-later
"""The page filter on real crashes: makedumpfile's pages, and what the pages say themselves."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.vm import rivals
from tests.vm.fillmemory import KINDS, NEVER
from tests.vm.kernels import TRIXIE, Kernel, fetched, newest
from tests.vm.readers import read_with_drgn
from tests.vm.vmcores import filled_vmcore, kinds_of

from .minireader import MiniReader
from .running import save
from .vmcore import X86_64

pytestmark = pytest.mark.timeout(900)

LEVELS = (0, 1, 2, 4, 8, 15, 16, 31)
#: Both sides of a page are unpacked in Python: of many pages only these many.
SAMPLE = 4000
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
    kernel = newest() if which == "host" else fetched(*TRIXIE)
    vmcore = filled_vmcore(kernel)
    pages: dict[str, set[int]] = {kind: set() for kind in KINDS}
    for pfn, kind in kinds_of(vmcore).items():
        pages[kind].add(pfn)
    return Crash(kernel, vmcore, pages)


def run(*words: str | Path) -> None:
    argv = [str(word) for word in words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ours(tmp_path: Path, crash: Crash, level: int) -> Path:
    done = save(
        tmp_path,
        crash.vmcore,
        dump_level=level,
        dump_compress="lzo",
        dmesg_name="dmesg",
        directory=f"level-{level}",
    )
    assert done.status == 0, done.report
    return done.dump


def theirs(argv: Sequence[str | Path], tmp_path: Path, core: Path, level: int) -> MiniReader:
    target = tmp_path / f"theirs-{level}"
    run(*argv, "-l", "-d", str(level), core, target)
    return MiniReader(target, X86_64)


def difference(what: str, mine: Sequence[int], rival: Sequence[int]) -> str:
    """Return what is only in one of two lists of page frames, in short; "" if nothing is."""
    text = ""
    for who, one, other in (("ours", mine, rival), ("makedumpfile's", rival, mine)):
        only = sorted(set(one) - set(other))
        if only:
            first = " ".join(map(hex, only[:8]))
            text += f"{what}: {len(only)} of {len(one)} page frames only in {who}: {first} …\n"
    return text


def left_out(dump: MiniReader) -> set[int]:
    return set(dump.first) - set(dump.second)


def shared(dump: MiniReader) -> set[int]:
    """Return the page frames of zeros that have their one page in common."""
    counts: dict[int, list[int]] = {}
    for pfn, desc in dump.pages.items():
        counts.setdefault(desc.offset, []).append(pfn)
    return {pfn for pfns in counts.values() if len(pfns) > 1 for pfn in pfns}


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
    dump = MiniReader(ours(tmp_path, crash, level), X86_64)
    text = difference("first bitmap", dump.first, rival.first)
    text += difference("second bitmap", dump.second, rival.second)
    text += difference("zero pages", list(shared(dump)), list(shared(rival)))
    assert not text, text
    assert (dump.level, dump.max_mapnr) == (rival.level, rival.max_mapnr)
    judge(crash, dump, level)
    assert len(shared(dump)) > 1000 if level & 1 else not shared(dump)
    pages = dump.second
    if len(pages) > 10 * SAMPLE:
        pages = random.Random(level).sample(pages, SAMPLE)
    different = [pfn for pfn in pages if dump.page(pfn) != rival.page(pfn)]
    assert not different, f"{len(different)} of {len(pages)} pages: {different[:8]}"


@pytest.mark.parametrize("which", [HOST, DEBIAN_13])
def test_drgn_and_makedumpfile_read_what_is_left(tmp_path: Path, which: str) -> None:
    crash = crash_of(which)
    dump = ours(tmp_path, crash, 31)
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
    once = MiniReader(ours(tmp_path, crash, 31), X86_64)
    all_pages = ours(tmp_path, crash, 1)
    twice = theirs(rivals.makedumpfile(crash.kernel), tmp_path, all_pages, 31)
    text = difference("first bitmap", once.first, twice.first)
    text += difference("second bitmap", once.second, twice.second)
    assert not text, text


@pytest.mark.full
def test_debian_13_s_own_makedumpfile_keeps_free_and_offline_pages(tmp_path: Path) -> None:
    # Its 1.7.6 reads PAGE_SLAB_MAPCOUNT_VALUE as inverted bits, as it was up to Linux 6.11, and
    # takes 6.12's free and offline pages for slab (makedumpfile's issue 16). All else is alike.
    crash = crash_of("debian-13")
    rival = theirs(rivals.makedumpfile_of(TRIXIE[0]), tmp_path, crash.vmcore, 31)
    without_free = MiniReader(ours(tmp_path, crash, 15), X86_64)
    always_out = left_out(MiniReader(ours(tmp_path, crash, 0), X86_64))
    offline = always_out - crash.pages["poisoned"]
    assert len(offline) >= 4096
    assert not difference("second bitmap", sorted({*without_free.second, *offline}), rival.second)
