# SPDX-License-Identifier: GPL-2.0-or-later
"""Power that fails in the middle of a dump: what was written so far is there, and is marked."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from kdump_initrd.saver.__main__ import main
from kdump_initrd.saver.dump import pagecopy
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.kdump.kdumpread import KdumpDump
from kdump_initrd.saver.store import steps

from .baddisk import after_power_cut, bad_disk
from .logged import logged
from .running import arguments
from .vmcore import Core, noise

#: Pages of the core, which is of 7 ranges, and its first page frame.
PAGES, FIRST = 14000, 0x1000
_CUTS = 12


def found(path: Path, content: bytes) -> int:
    """Return how many pages of the content are in a dump; what is lost is so by its descriptor."""
    dump = open_dump(str(path))
    assert isinstance(dump, KdumpDump)
    page, count = dump.page_size, 0
    for number in range(0, PAGES, 7):
        data = dump.page(FIRST + number)
        if data is not None:
            assert data == content[number * page : (number + 1) * page]
            count += 1
    dump.close()
    return count


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("nothing_is_left_behind")
def test_what_was_written_is_there_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not Path(device).exists():
            pytest.skip(f"no {device}")
    content = noise(PAGES)
    vmcore = logged(Core().load(FIRST * 4096, content)).write(tmp_path / "vmcore")
    monkeypatch.setattr(steps, "_BYTES", 1 << 20)
    monkeypatch.setattr(steps, "_EVERY", 50)
    copy = pagecopy.PageCopier.copy

    def slow(self: pagecopy.PageCopier, number: int) -> None:
        time.sleep(0.06)  # a range a commit
        copy(self, number)

    monkeypatch.setattr(pagecopy.PageCopier, "copy", slow)
    with bad_disk(tmp_path, mib=128) as (disk, mounted):
        os.sync()
        before = len(disk.journal.entries())
        assert main(arguments(vmcore, mounted, dump_level=0, keep_free=0, verify="none")) == 0
        entries = disk.journal.entries()
        saved: dict[bool, list[int]] = {False: [], True: []}
        for number in range(_CUTS):
            end = before + (len(entries) - before) * (number + 1) // _CUTS
            for kept in saved:
                with after_power_cut(disk, tmp_path, entries[:end], kept=kept) as after:
                    saved[kept].append(_look(after / "crash", content))
    whole = -(-PAGES // 7)
    for counts in saved.values():
        assert counts == sorted(counts), "more and more of it"
        assert counts[-1] in (whole, counts[-2])
        assert len({count for count in counts if 0 < count < whole}) > 2, counts
    assert saved[True][-1] == whole


def _look(folder: Path, content: bytes) -> int:
    # The pages of the dump that are there. What the report says is true.
    if not (folder / "report.json").exists():
        return 0
    result = json.loads((folder / "report.json").read_text())["result"]
    whole, part = folder / "vmcore", folder / "vmcore-incomplete"
    if whole.exists():
        assert result in ("finishing", "saved")
        return found(whole, content)
    assert result in ("incomplete", "finishing")
    return found(part, content) if part.exists() and part.stat().st_size else 0
