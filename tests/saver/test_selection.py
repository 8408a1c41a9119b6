# SPDX-License-Identifier: GPL-2.0-or-later
"""Bitmaps of page frames: what is walked is what was put in, and holes cost nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdump_initrd.saver.formats.dumpfile import open_dump, pages_of
from kdump_initrd.saver.low.selection import Selection, bitmap_runs
from kdump_initrd.saver.memory.window import Window

from .far import FAR, PAGES, far_core
from .flattening import END, flatten
from .running import save
from .vmcore import PAGE

#: First frame, count.
Run = tuple[int, int]


@pytest.fixture
def bitmap() -> Iterator[int]:
    fd = os.memfd_create("bitmap")
    yield fd
    os.close(fd)


def scattered(seed: int) -> list[Run]:
    """Runs of all sizes with gaps of all sizes; some touch each other."""
    rng = random.Random(seed)
    widest = rng.choice((10, 14, 18, 22, 25))
    found, at = [], 0
    for _ in range(rng.choice((3, 20, 60))):
        at += rng.choice((0, 1, rng.randrange(16), rng.randrange(1 << rng.randint(1, widest))))
        count = rng.choice((1, 2, 7, 8, 9, rng.randint(1, 300), rng.randint(1, 100000)))
        found.append((at, count))
        at += count
    return found


def between(runs: list[Run], pfn: int, end: int) -> list[Run]:
    """Return the part of runs from pfn to end, those that touch each other in one."""
    found: list[Run] = []
    for first, count in runs:
        low, high = max(first, pfn), min(first + count, end)
        if low < high and found and sum(found[-1]) == low:
            found[-1] = (found[-1][0], high - found[-1][0])
        elif low < high:
            found.append((low, high - low))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_what_is_walked_is_what_was_put_in(bitmap: int, seed: int) -> None:
    runs, rng = scattered(seed), random.Random(seed)
    offset = rng.choice((0, PAGE, 6 * PAGE))
    selection = Selection(bitmap, offset)
    for pfn, count in runs:
        selection.add_run(pfn, count)
    selection.finish()
    end = sum(runs[-1])
    assert selection.pages == sum(count for _, count in runs)
    assert selection.allocated == os.fstat(bitmap).st_blocks * 512
    for _ in range(10):
        low = rng.choice((0, runs[0][0], rng.randrange(end)))
        high = rng.choice((low, end, end + (1 << 30), low + rng.randint(1, 1 << 20)))
        wanted = between(runs, low, high)
        assert list(selection.runs(low, high)) == wanted
        # Where nobody knows of holes.
        plain = bitmap_runs(selection._read, offset, low, min(high, end), skip=lambda at: at)
        assert list(plain) == between(runs, low, min(high, end))


def test_a_hole_of_64_tib_is_not_walked(bitmap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    selection = Selection(bitmap, PAGE)
    runs = [(0x100, 1000), ((64 << 40) // PAGE, 1000)]
    for pfn, count in runs:
        selection.add_run(pfn, count)
    selection.finish()
    looks: list[int] = []
    read = Selection._read

    def look(self: Selection, offset: int, length: int) -> bytes:
        looks.append(offset)
        return read(self, offset, length)

    monkeypatch.setattr(Selection, "_read", look)
    pfn, end, _ = selection.range(0)
    assert (selection.ranges, list(selection.runs(pfn, end))) == (1, runs)
    assert list(selection.runs(0, 1 << 40)) == runs
    assert len(looks) < 40


@pytest.mark.parametrize("kind", ["kdump", "flat"])
def test_nor_is_one_of_a_finished_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = far_core(tmp_path / "in")
    done = save(tmp_path, path, dump_format=kind, verify="none", dump_level=1)
    assert done.status == 0, done.report
    dump = open_dump(str(done.dump))
    window = dump.window  # type: ignore[attr-defined]
    looks: list[int] = []
    read = window.read

    def look(offset: int, length: int) -> bytes:
        looks.append(offset)
        return bytes(read(offset, length))

    monkeypatch.setattr(window, "read", look)
    source = pages_of(dump, PAGE)
    assert list(source.runs()) == list(source.ram()) == [(0x100, 16), (FAR // PAGE, PAGES)]
    assert len(looks) < 150
    dump.close()


def test_a_file_tells_its_holes(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"a")
        file.seek(1 << 30)
        file.write(b"b")
        file.truncate(1 << 31)
    window = Window(str(path))
    assert (window.skip(0), window.skip(1 << 30)) == (0, 1 << 30)
    assert 1 << 29 < window.skip(1 << 29) <= 1 << 30
    assert window.skip(1 << 30 | 1 << 29) == 1 << 31
    window.close()


def test_a_flattened_file_tells_its_holes(tmp_path: Path) -> None:
    from kdump_initrd.saver.formats.kdump.flatwindow import FlatWindow

    path = tmp_path / "flat"
    path.write_bytes(flatten([(5000, b"x" * 1000), (100, b"abc"), (5100, b"y")], end=END))
    window = FlatWindow(str(path))
    wanted = {0: 100, 100: 100, 102: 102, 103: 5000, 5000: 5000, 5999: 5999, 6000: 6000, 7000: 7000}
    assert {at: window.skip(at) for at in wanted} == wanted
    window.close()
