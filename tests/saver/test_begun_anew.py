# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump that runs out of room is begun anew with fewer pages: a whole one that fits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver.dump import budget, pagecopy
from kdump_initrd.saver.formats.dumpfile import open_dump

from .description import parse
from .filtering import expected
from .minireader import MiniReader
from .running import save
from .synthetic import STEPS, build
from .vmcore import X86_64

Disk = Callable[[int], Path]
KINDS = ("kdump", "elf", "flat")
FULL = "no room for the dump: No space left on device"
KEPT = "no room for the dump: the rest of the file system is kept free"


@pytest.fixture
def vmcore(tmp_path: Path) -> Path:
    return build(STEPS, tmp_path / "vmcore.in")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_forecast_that_was_wrong(
    tmp_path: Path,
    small_disk: Disk,
    vmcore: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    jobs: int,
) -> None:
    monkeypatch.setattr(budget, "_stored", lambda *_: 0)
    options = {"dump_compress": "none", "dump_level": 0, "dump_format": kind, "jobs": jobs}
    done = save(tmp_path, vmcore, output=small_disk(22 << 10) / "crash", keep_free=0, **options)
    assert (done.status, done.report["result"]) == (0, "saved")
    facts = done.report["dump"]
    assert (facts["level"], facts["wanted_level"], facts["lost_pages"]) == (31, 0, 0)
    why = facts["level_note"]
    assert why in (f"{FULL} at dump level 0", f"{KEPT} at dump level 0")
    assert f"warning: {why}: the dump is started again\n" in capfd.readouterr().err
    assert facts["verified"] == "sample"
    assert [path.name for path in done.folder.glob("vmcore*")] == ["vmcore"]
    if kind == "kdump":
        dump = MiniReader(done.dump, X86_64)
        assert dump.level == 31 and not dump.status & 8
        assert set(dump.first) - set(dump.second) == expected(parse(STEPS), 31)


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_level_that_fits_by_what_was_seen(
    tmp_path: Path, small_disk: Disk, vmcore: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # Half of what comes is foretold: for the next level, too, and that is put right.
    stored = budget._stored
    monkeypatch.setattr(budget, "_stored", lambda *words: stored(*words) // 2)
    options = {"dump_compress": "none", "dump_level": 0, "dump_format": kind}
    disk = small_disk(40 << 10)
    done = save(tmp_path, vmcore, output=disk / "crash", keep_free=0, **options)
    assert (done.status, done.report["dump"]["level"]) == (0, 17)


@pytest.mark.parametrize("kind", KINDS)
def test_another_writer_eats_the_room(
    tmp_path: Path, small_disk: Disk, vmcore: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    disk = small_disk(60 << 10)
    copy = pagecopy.PageCopier.copy

    def greedy(self: pagecopy.PageCopier, number: int) -> None:
        if number == 2 and not (disk / "filler").exists():
            with (disk / "filler").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, 38 << 20)
        copy(self, number)

    monkeypatch.setattr(pagecopy.PageCopier, "copy", greedy)
    options = {"dump_compress": "none", "dump_level": 0, "dump_format": kind}
    done = save(tmp_path, vmcore, output=disk / "crash", keep_free=0, **options)
    assert (done.status, done.report["dump"]["level"]) == (0, 31)


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_what_fits_of_the_last_level_stays_and_can_be_read(
    tmp_path: Path, small_disk: Disk, vmcore: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(budget, "_stored", lambda *_: 0)
    options = {"dump_compress": "none", "dump_level": 0, "dump_format": kind}
    done = save(tmp_path, vmcore, output=small_disk(8 << 10) / "crash", keep_free=0, **options)
    facts = done.report["dump"]
    assert (done.status, done.dump.name, facts["level"]) == (1, "vmcore-incomplete", 31)
    assert facts["level_note"].endswith("at dump level 0")
    assert 0 < facts["lost_pages"] < facts["pages"]
    memory = open_dump(str(done.dump))
    assert memory.notes.vmcoreinfo
    memory.close()


def test_a_level_that_would_change_nothing_is_not_tried(
    tmp_path: Path,
    small_disk: Disk,
    vmcore: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(budget, "_stored", lambda *_: 0)
    options = {"dump_compress": "none", "dump_level": 31}
    done = save(tmp_path, vmcore, output=small_disk(8 << 10) / "crash", keep_free=0, **options)
    assert (done.status, done.report["dump"]["level_note"]) == (1, "")
    assert "anew" not in capfd.readouterr().err
