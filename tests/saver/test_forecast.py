# SPDX-License-Identifier: GPL-2.0-or-later
"""The room that is foretold for what is not pages: what the file system allocates, never less."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver.dump import copying
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.low.board import Board

from .far import BITMAP, FAR, far_core
from .running import save
from .vmcore import PAGE, Core, noise, text, zero

Disk = Callable[[int], Path]
KINDS = ["kdump", "elf", "flat"]


@pytest.fixture
def scratched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the bytes that the scratch file takes at the end."""
    found: list[int] = []
    finish = copying.Copying._finish

    def look(self: copying.Copying, board: Board, problem: str) -> str:
        scratch = self._writer.bitmap[0]
        if scratch != self._writer.output.fd:
            found.append(os.fstat(scratch).st_blocks * 512)
        return finish(self, board, problem)

    monkeypatch.setattr(copying.Copying, "_finish", look)
    return found


def cores(tmp_path: Path) -> dict[str, Path]:
    many = Core(cpus=900)
    for number in range(1500):
        many.load(0x1000000 + number * 3 * PAGE, noise(1))
    pieces = Core().load(0x1000FC, text(3)).load(0x110000, noise(1)[:100]).load(0x1100F0, noise(1))
    return {
        "far": far_core(tmp_path / "far", zero(16)),
        "many": many.write(tmp_path / "many"),
        "pieces": pieces.write(tmp_path / "pieces"),
        "large": Core().load(0x7FFF000, zero(40000)).write(tmp_path / "large"),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["far", "many", "pieces", "large"])
def test_what_is_foretold_is_what_is_allocated(
    tmp_path: Path, small_disk: Disk, scratched: list[int], kind: str, name: str
) -> None:
    # Pages are all stored alike here (raw, or not at all): the forecast of their contents is exact.
    path = cores(tmp_path)[name]
    options = {"dump_compress": "none", "dump_level": 0 if name == "pieces" else 1}
    disk = small_disk(512 << 10)
    done = save(tmp_path, path, output=disk / "crash", dump_format=kind, verify="none", **options)
    assert done.status == 0, done.report
    taken = done.dump.stat().st_blocks * 512 + sum(scratched)
    assert len(scratched) == (kind != "kdump")
    foretold = done.report["dump"]["predicted_bytes"]
    # The zero page, whether there is one or not, and parts of blocks; in a flattened dump, records
    # of all pages as if none were zero.
    records = done.report["dump"]["pages"] * PAGE / (256 << 10) if kind == "flat" else 0
    assert 0 <= foretold - taken <= 4 * PAGE + 40 * records, name


@pytest.mark.parametrize("kind", KINDS)
def test_a_huge_hole_fits_into_little_room(tmp_path: Path, small_disk: Disk, kind: str) -> None:
    disk = small_disk(4 << 10)
    path = far_core(tmp_path / "in")
    done = save(tmp_path, path, output=disk / "crash", dump_format=kind, verify="sample")
    assert done.status == 0, done.report
    assert done.report["dump"]["predicted_bytes"] < 4 << 20 < BITMAP
    dump = open_dump(str(done.dump))
    assert dump.read_physical(0x100000, 16 * PAGE) == text(16)
    assert dump.read_physical(FAR, PAGE) == zero()
    dump.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_holds_with_holes(
    tmp_path: Path, small_disk: Disk, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # A forecast of nothing for the pages: the dump ends where its room does, holes or not.
    monkeypatch.setattr("kdump_initrd.saver.dump.budget._stored", lambda *_: 0)
    path = far_core(tmp_path / "in", noise(3000))
    disk = small_disk(8000)
    done = save(tmp_path, path, output=disk / "crash", dump_format=kind, keep_free=20)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.step("dump")["detail"].endswith("the rest of the file system is kept free")
    # And not much before: what is written at once, what report and scratch file had kept, and the
    # descriptors of a flattened dump, which are written with their pages.
    assert 400 <= os.statvfs(disk).f_bavail <= 500 + (200 if kind == "flat" else 0)
