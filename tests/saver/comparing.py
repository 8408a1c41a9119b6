# SPDX-License-Identifier: GPL-2.0-or-later
"""What two dumps of one crash have in common: which pages are in them, and which are not."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from .minireader import MiniReader
from .running import save
from .vmcore import X86_64, Machine

#: Both sides of a page are unpacked in Python: of many pages only these many.
SAMPLE = 4000


def run(*words: str | Path) -> None:
    """Run a program that must succeed."""
    argv = [str(word) for word in words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ours(tmp_path: Path, vmcore: Path, level: int) -> Path:
    """Return our dump of a level."""
    done = save(
        tmp_path,
        vmcore,
        dump_level=level,
        dump_compress="lzo",
        dmesg_name="dmesg",
        directory=f"level-{level}",
    )
    assert done.status == 0, done.report
    return done.dump


def theirs(
    argv: Sequence[str | Path], tmp_path: Path, core: Path, level: int, machine: Machine = X86_64
) -> MiniReader:
    """Return makedumpfile's dump of a level."""
    target = tmp_path / f"theirs-{level}"
    run(*argv, "-l", "-d", str(level), core, target)
    return MiniReader(target, machine)


def difference(what: str, mine: Iterable[int], rival: Iterable[int]) -> str:
    """Return what is only in one of two lists of page frames, in short; "" if nothing is."""
    text = ""
    for who, one, other in (("ours", set(mine), set(rival)), ("theirs", set(rival), set(mine))):
        only = sorted(one - other)
        if only:
            first = " ".join(map(hex, only[:8]))
            text += f"{what}: {len(only)} of {len(one)} page frames only in {who}: {first} …\n"
    return text


def left_out(dump: MiniReader) -> set[int]:
    """Return the page frames of memory that are not in a dump."""
    return set(dump.first) - set(dump.second)


def shared(dump: MiniReader) -> set[int]:
    """Return the page frames of zeros that have their one page in common."""
    counts: dict[int, list[int]] = {}
    for pfn, desc in dump.pages.items():
        counts.setdefault(desc.offset, []).append(pfn)
    return {pfn for pfns in counts.values() if len(pfns) > 1 for pfn in pfns}


def differences(dump: MiniReader, rival: MiniReader, aside: Collection[int] = frozenset()) -> str:
    """Return how the pages in two dumps differ, some left aside; "" if they do not."""
    pairs = {
        "first bitmap": (dump.first, rival.first),
        "second bitmap": (dump.second, rival.second),
        "zero pages": (shared(dump), shared(rival)),
    }
    return "".join(
        difference(what, set(mine).difference(aside), set(their).difference(aside))
        for what, (mine, their) in pairs.items()
    )


def changed(dump: MiniReader, contents: Callable[[int], bytes]) -> str:
    """Return which pages have other contents, of many a sample; "" if none has."""
    pages = dump.second
    if len(pages) > 10 * SAMPLE:
        pages = random.Random(dump.level).sample(pages, SAMPLE)
    found = [pfn for pfn in pages if dump.page(pfn) != contents(pfn)]
    return f"{len(found)} of {len(pages)} pages: {found[:8]}" if found else ""
