# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are mostly holes: they cost nothing, and what is told of the progress is true."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

import pytest

from kdump_initrd.commands.output import Bar, Talk
from kdump_initrd.saver.dump import sha256
from kdump_initrd.saver.dump.sha256 import too_many_holes
from kdump_initrd.saver.formats.kdump.flatwindow import FlatWindow
from kdump_initrd.saver.low.progress import Progress
from kdump_initrd.saver.memory.window import data_bytes

from . import far, flattening
from .far import far_core
from .running import save
from .samples import sample
from .vmcore import PAGE

MIB = 1 << 20


def sparse(path: Path, *parts: tuple[int, int], size: int) -> int:
    """Make a file with data at (offset, bytes) and return its descriptor."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, size)
    for at, length in parts:
        os.pwrite(fd, b"x" * length, at)
    return fd


@pytest.mark.parametrize("kind", ["kdump", "flat", "elf"])
@pytest.mark.parametrize("mode", ["sample", "full"])
def test_memory_at_64_tebibytes(
    tmp_path: Path,
    kind: str,
    mode: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(far, "FAR", 64 << 40)
    monkeypatch.setattr(Progress, "first", 0.0)
    monkeypatch.setattr(Progress, "every", 0.0)
    path = far_core(tmp_path / "in")
    start = time.process_time()
    done = save(tmp_path, path, dump_format=kind, dump_level=1, verify=mode)
    assert time.process_time() - start < 6  # it was 13 on the same machine
    assert (done.status, done.report["dump"]["verified"]) == (0, mode)
    facts = done.report["dump"]
    if kind == "kdump":
        assert (facts["sha256"], facts["sha256_note"]) == (
            "",
            "not computed: 4295 MB of its 4296 MB are holes",
        )
    elif kind == "flat":
        digest = hashlib.sha256(done.dump.read_bytes()).hexdigest()
        assert (facts["sha256"], facts["sha256_note"]) == (digest, "")
    told = re.findall(r"(?:(\w+): )?(-?\d+) %, [\d.]+ MB/s, (-?\d+) s left", capfd.readouterr().err)
    assert len(told) > 3
    assert all(0 <= int(percent) <= 100 and int(left) >= 0 for _, percent, left in told), told
    for what in ("filtering", "checking", ""):
        steps = [int(percent) for name, percent, _ in told if name == what]
        assert steps == sorted(steps)
        if what == "checking" and kind != "elf":
            assert steps[-1] >= 90
    again = tmp_path / "again"
    again.mkdir()
    start = time.process_time()
    second = save(again, done.dump, dump_format="kdump", dump_level=1, verify=mode)
    assert second.status == 0 and time.process_time() - start < 6
    assert second.report["dump"]["pages"] == facts["pages"]


def test_a_dump_with_few_holes_has_its_hash(tmp_path: Path) -> None:
    facts = save(tmp_path, sample()[0]).report["dump"]
    assert len(facts["sha256"]) == 64 and facts["sha256_note"] == ""


@pytest.mark.parametrize(
    ("parts", "size", "note"),
    [
        ((), 0, ""),
        ((), 64 * MIB, ""),
        ((), 65 * MIB, "not computed: 68 MB of its 68 MB are holes"),
        (((0, MIB),), 65 * MIB, ""),
        (((0, MIB),), 66 * MIB, "not computed: 68 MB of its 69 MB are holes"),
        (((0, 70 * MIB),), 140 * MIB, ""),
        (((0, 70 * MIB),), 141 * MIB, "not computed: 74 MB of its 148 MB are holes"),
        (((1 << 40, PAGE),), (1 << 40) + PAGE, "not computed: 1099512 MB of its 1099512 MB are ho"),
    ],
)
def test_when_holes_are_too_many(
    tmp_path: Path, parts: tuple[tuple[int, int], ...], size: int, note: str
) -> None:
    fd = sparse(tmp_path / "file", *parts, size=size)
    assert too_many_holes(fd).startswith(note) and bool(too_many_holes(fd)) == bool(note)
    os.close(fd)


def test_data_between_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = sparse(tmp_path / "file", (0, PAGE), (10 * PAGE, 2 * PAGE), size=100 * PAGE)
    wanted = {(0, 100): 3, (0, 1): 1, (1, 10): 0, (11, 100): 1, (12, 100): 0, (5, 11): 1, (9, 9): 0}
    for (start, end), pages in wanted.items():
        assert data_bytes(fd, start * PAGE, end * PAGE) == pages * PAGE

    def fail(*_: object) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "lseek", fail)
    assert data_bytes(fd, 0, 100 * PAGE) == 100 * PAGE, "no holes are known"
    assert sha256.too_many_holes(fd) == ""
    monkeypatch.undo()
    os.close(fd)
    (tmp_path / "flat").write_bytes(flattening.flatten([(100, b"x" * 50), (1000, b"y" * 100)]))
    flat = FlatWindow(str(tmp_path / "flat"))
    assert (flat.data(0, 2000), flat.data(120, 1010), flat.data(150, 1000)) == (150, 40, 0)
    assert flat.has(110, 40) and not flat.has(110, 41) and not flat.has(99, 2)
    flat.close()


def test_more_than_was_foretold_is_not_more_than_all(capfd: pytest.CaptureFixture[str]) -> None:
    talk = Talk("test", verbose=False, quiet=False)
    for progress in (Progress(talk, ""), Bar(talk)):
        progress.start("checking", 1000)
        progress.update(2_597_770)
        progress.say(2.0)
        progress.close()
    said = capfd.readouterr().err
    assert "100 %" in said and "-" not in said.replace("kdump-initrd", "")
