# SPDX-License-Identifier: GPL-2.0-or-later
"""Older crashes on a target: which are removed for a new dump, and whether they come too often."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver import oldcrashes
from kdump_initrd.saver.params import NameParams, TargetParams

from .logged import logged
from .running import save
from .samples import sample
from .vmcore import Core, noise

Disk = Callable[[int], Path]
NAMES = NameParams(dump="vmcore")
#: The time of the crashes that the synthetic vmcores are of.
NOW = calendar.timegm((2023, 11, 14, 22, 13, 20))
_KIB = 1024


def crash(
    top: Path, minutes: int, *, kib: int = 16, result: str = "saved", extra: str = ""
) -> Path:
    """Make the folder of a crash so many minutes before NOW."""
    when = time.gmtime(NOW - 60 * minutes)
    folder = top / time.strftime("%Y%m%d%H%M", when)
    folder.mkdir(parents=True)
    name = "vmcore" if result == "saved" else "vmcore-incomplete"
    (folder / name).write_bytes(noise(1)[:_KIB] * kib)
    (folder / time.strftime("dmesg.%Y%m%d%H%M", when)).write_text("a log")
    if extra:
        (folder / extra).write_text("precious")
    report = {"crash_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", when), "result": result}
    (folder / "report.json").write_text(json.dumps({**report, "dump": {"name": name}}))
    return folder


def test_only_what_a_saver_has_made_is_a_crash(tmp_path: Path) -> None:
    ours = crash(tmp_path, 5)
    crash(tmp_path, 10, extra="notes.txt")
    (crash(tmp_path, 20) / "more").mkdir()
    (crash(tmp_path, 30) / "report.json").unlink()
    (crash(tmp_path, 40) / "report.json").write_text("[]")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(ours)
    linked = crash(tmp_path, 50)
    (linked / "vmcore").unlink()
    (linked / "vmcore").symlink_to("/etc/passwd")
    (found,) = oldcrashes.find(str(tmp_path), NAMES)
    assert (found.name, found.time, found.whole) == (ours.name, NOW - 300, True)
    assert found.bytes >= 16 * _KIB


def test_times_are_those_of_the_calendar() -> None:
    for seconds in range(0, 1 << 33, 86400 * 13 + 4567):
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
        assert oldcrashes._seconds(text) == seconds


#: Rules, and which of the crashes 10, 20, 30 and 40 minutes ago must go for a dump that lacks the
#: room of one of them, or of two. The one of 30 minutes ago is the newest with a whole dump.
RULES = [
    ({}, [], []),
    ({"keep": 1}, [40], [40, 20]),
    ({"keep": 2}, [40], []),
    ({"keep": 4}, [], []),
    ({"max_age": 1}, [], []),
    ({"max_use": 100}, [40], [40, 20]),
    ({"max_use": 100, "keep": 1}, [40], [40, 20]),
]


@pytest.mark.parametrize(("rules", "one", "two"), RULES)
def test_what_goes_where_room_lacks(
    tmp_path: Path, rules: dict[str, int], one: list[int], two: list[int]
) -> None:
    minutes = {crash(tmp_path, each, result="saved" if each > 20 else "incomplete").name: each
               for each in (10, 20, 30, 40)}  # fmt: skip
    found = oldcrashes.find(str(tmp_path), NAMES)
    target = TargetParams(**rules)
    size = found[0].bytes
    for room, wanted in ((size, []), (1, one), (1 - size, two)):
        gone = oldcrashes.expendable(found, target, now=NOW, size=size, room=room)
        assert [minutes[each.name] for each in gone] == wanted
    assert oldcrashes.expendable(found, target, now=NOW, size=size * 9, room=0) == []


def test_what_is_too_old_goes_first(tmp_path: Path) -> None:
    days = 24 * 60
    for age in (3, 2, 1):
        crash(tmp_path, age * days + 1)
    found = oldcrashes.find(str(tmp_path), NAMES)
    target = TargetParams(max_age=2)
    gone = oldcrashes.expendable(found, target, now=NOW, size=1, room=0)
    assert [each.time for each in gone] == [NOW - (3 * days + 1) * 60]


def test_all_of_them_may_take_so_much(tmp_path: Path) -> None:
    for each in (10, 20, 30):
        crash(tmp_path, each, kib=512)
    found = oldcrashes.find(str(tmp_path), NAMES)
    target = TargetParams(max_use=2)
    gone = oldcrashes.expendable(found, target, now=NOW, size=900 * _KIB, room=1 << 40)
    assert [each.time for each in gone] == [NOW - 1800]


@pytest.mark.parametrize("keep", [0, 1])
def test_a_dump_gets_the_room_of_an_older_one(
    tmp_path: Path, small_disk: Disk, keep: int, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = small_disk(1024)
    core = Core().load(0x1000000, noise(120))
    older = crash(disk, 20, kib=500, result="incomplete")
    newest = crash(disk, 10, kib=100)
    done = save(tmp_path, logged(core), output=disk, keep_free=0, keep=keep)
    said = capfd.readouterr().err
    assert newest.exists()
    assert older.exists() is (keep == 0)
    assert ("is removed, to make room" in said) is (keep == 1)
    assert done.report["result"] == ("refused" if keep == 0 else "saved")


@pytest.mark.parametrize(("before", "result"), [(1, "saved"), (2, "log")])
def test_crashes_that_come_too_often(
    tmp_path: Path, before: int, result: str, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    crash(out, 90)
    for each in range(before):
        crash(out, 10 + each)
    done = save(tmp_path, logged(sample()[0]), output=out, loop_crashes=2)
    assert (done.status, done.report["result"]) == (0, result)
    text = "2 crashes in the last 60 minutes: only the kernel log is saved"
    assert (text in capfd.readouterr().err) is (result == "log")
    assert done.step("older crashes")["detail"] == (text if result == "log" else "")


def test_a_folder_that_cannot_be_read_costs_no_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(oldcrashes, "find", fail)
    done = save(tmp_path, logged(sample()[0]), keep=1)
    assert (done.status, done.step("older crashes")["result"]) == (0, "failed")
