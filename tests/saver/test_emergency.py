# SPDX-License-Identifier: GPL-2.0-or-later
"""What is saved when there is no time for a dump."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.saver.__main__ import main

from .logged import LOG, logged
from .running import arguments, save
from .samples import sample

REASON = "no progress for 180 s"


@pytest.fixture
def vmcore(tmp_path: Path) -> Path:
    core, _ = sample()
    return logged(core).write(tmp_path / "vmcore.in")


def rescue(vmcore: Path, output: Path, **options: object) -> int:
    return main(arguments(vmcore, output, dmesg_name="log", emergency=REASON, **options))


def report(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "report.json").read_text())
    assert isinstance(found, dict)
    return found


def test_log_report_and_last_words(
    vmcore: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    assert rescue(vmcore, tmp_path / "out", state=state) == 1
    folder = tmp_path / "out/crash"
    assert state.read_text() == f"{folder}\n"
    assert sorted(path.name for path in folder.iterdir()) == ["log", "report.json"]
    assert all(line in (folder / "log").read_text() for line in LOG)
    found = report(folder)
    assert (found["result"], found["reason"], found["dump"]) == ("failed", REASON, None)
    assert found["panic"] == "a test"
    assert found["steps"][-1]["detail"] == REASON
    said = capfd.readouterr().err
    assert f"{REASON}: only what is quick is saved" in said
    assert LOG[-1] in said


def test_what_a_saver_has_left_gets_the_reason(vmcore: Path, tmp_path: Path) -> None:
    done = save(tmp_path, vmcore, dmesg_name="log")
    folder, state = done.folder, tmp_path / "state"
    state.write_text(f"{folder}\n")
    text = {**done.report, "result": "incomplete", "dump": None}
    (folder / "report.json").write_text(json.dumps(text))
    (folder / "report.json.new").write_text(" " * 99)
    done.dump.rename(folder / "vmcore-incomplete")
    (folder / "log").write_text("the saver's")
    assert rescue(vmcore, tmp_path / "out", state=state) == 1
    names = ["log", "report.json", "vmcore-incomplete"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "log").read_text() == "the saver's"
    found = report(folder)
    size = (folder / "vmcore-incomplete").stat().st_size
    assert (found["result"], found["reason"]) == ("incomplete", REASON)
    assert found["dump"] == {"name": "vmcore-incomplete", "bytes": size}
    assert [step["name"] for step in found["steps"]] == [
        *(step["name"] for step in done.report["steps"]), "emergency",
    ]  # fmt: skip


def test_a_whole_dump_stays_one(vmcore: Path, tmp_path: Path) -> None:
    done = save(tmp_path, vmcore)
    (tmp_path / "state").write_text(f"{done.folder}\n")
    assert rescue(vmcore, tmp_path / "out", state=tmp_path / "state") == 1
    found = report(done.folder)
    assert (found["result"], found["dump"]) == ("saved", done.report["dump"])


def test_without_a_mounted_disk_the_last_words_are_all(
    vmcore: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mount = tmp_path / "mnt"
    mount.mkdir()
    assert rescue(vmcore, Path("/crash"), mount=mount) == 3
    assert LOG[-1] in capfd.readouterr().err
    assert list(mount.iterdir()) == []


@pytest.mark.parametrize("damage", ["no vmcore", "no report", "a folder's report", "garbage"])
def test_it_does_what_it_can(
    vmcore: Path, tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, state = tmp_path / "out/crash", tmp_path / "state"
    folder.mkdir(parents=True)
    state.write_text(f"{folder}\n")
    if damage == "no vmcore":
        vmcore.write_bytes(b"nothing")
    elif damage == "a folder's report":
        (folder / "report.json").write_text("[]")
    elif damage == "garbage":
        (folder / "report.json").write_bytes(b"\xff{")
    assert rescue(vmcore, tmp_path / "out", state=state) == 1
    assert report(folder)["reason"] == REASON
    assert (folder / "log").exists() is (damage != "no vmcore")
    assert "Traceback" not in capfd.readouterr().err
