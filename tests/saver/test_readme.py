# SPDX-License-Identifier: GPL-2.0-or-later
"""The text for people in the crash's folder: at first, at the end, and on full disks."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver.params import NameParams
from kdump_initrd.saver.store.keptfile import KeptFile

from .logged import logged
from .running import ROOT, arguments, save
from .samples import sample
from .vmcore import Core, noise, text

README = "README.%Y.txt"
NAME = "README.2023.txt"


def test_what_it_says_of_a_dump(tmp_path: Path) -> None:
    done = save(tmp_path, logged(sample()[0]), readme_name=README, dump_compress="zlib")
    assert done.status == 0
    path = done.folder / NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = path.read_text().splitlines()
    assert lines[0].startswith("Linux crashed on this machine; this is what kdump-initrd ")
    assert lines[2:9] == [
        "Result:           saved: the dump is complete",
        "Kernel release:   6.1.0-test",
        "Crash time (UTC): 2023-11-14T22:13:20Z",
        "Panic message:    a test",
        "Dump:             vmcore",
        "Format:           kdump, codec zlib, level 1",
        f"Size:             {done.dump.stat().st_size} bytes",
    ]
    assert lines[10] == "Steps:"
    assert [line.split()[:2] for line in lines[11:]] == [
        ["vmcore", "done"],
        ["folder", "done"],
        ["dmesg", "done"],
        ["dump", "done"],
    ]
    assert lines[13].endswith(" s): 3 lines")
    assert not list(done.folder.glob("*.new"))


def test_none_without_a_name(tmp_path: Path) -> None:
    assert NameParams().readme == ""
    done = save(tmp_path, sample()[0])
    assert sorted(path.name for path in done.folder.iterdir()) == ["report.json", "vmcore"]


def test_what_it_says_when_there_is_no_dump(tmp_path: Path) -> None:
    done = save(tmp_path, tmp_path / "missing", readme_name=README)
    assert done.status == 3
    (path,) = done.folder.glob("README.*.txt")  # of this year
    said = path.read_text()
    assert "Result:           failed: there is no dump; report.json tells of a raw copy" in said
    assert (
        "Kernel release:   unknown\nCrash time (UTC): unknown\nPanic message:    unknown\n" in said
    )
    assert "Dump:             none\n" in said
    assert f"): {tmp_path}/missing: No such file or directory\n" in said


def test_a_crashed_kernel_s_text_is_made_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kdump_initrd.saver.crash.panic.LogFacts.panic", "a\x1b[2J {b}\u20ac\nc\udc80"
    )
    done = save(tmp_path, sample()[0], readme_name=README)
    said = (done.folder / NAME).read_text(encoding="utf-8")
    assert "\nPanic message:    a?[2J {b}\u20ac?c?\n" in said


def test_a_kill_leaves_the_warning_behind(tmp_path: Path) -> None:
    path = sample()[0].write(tmp_path / "in")
    code = (
        "import os, sys; from kdump_initrd.saver.dump import pagecopy;"
        "pagecopy.PageCopier.copy = lambda *_, **__: os.kill(os.getpid(), 9);"
        "from kdump_initrd.saver.__main__ import main; main(sys.argv[1:])"
    )
    words = arguments(path, tmp_path / "out", readme_name=README)
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, timeout=30, check=False)
    assert done.returncode == -9
    said = (tmp_path / "out/crash" / NAME).read_text()
    assert "the dump is likely incomplete" in said
    assert "Kernel release:   6.1.0-test\nCrash time (UTC): 2023-11-14T22:13:20Z\n" in said


def test_on_a_disk_that_fills_up(
    tmp_path: Path, small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody counts.
    monkeypatch.setattr("kdump_initrd.saver.store.folder.free_room", lambda *_: 1 << 62)
    core = logged(Core().load(0x100000, text(100) + noise(700)))
    done = save(tmp_path, core, output=small_disk(1024) / "crash", readme_name=README)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    said = (done.folder / NAME).read_text()
    assert "Result:           incomplete: the dump is there, but" in said
    assert "Dump:             vmcore-incomplete\n" in said
    assert "): no room for the dump: No space left on device\n" in said
    assert sorted(path.name for path in done.folder.iterdir()) == [
        NAME,
        "dmesg.202311142213",
        "report.json",
        "vmcore-incomplete",
    ]


def test_one_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write = KeptFile.write

    def fail(file: KeptFile, content: str, *, last: bool = False) -> None:
        if not content.startswith("{"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        write(file, content, last=last)

    monkeypatch.setattr(KeptFile, "write", fail)
    done = save(tmp_path, sample()[0], readme_name=README)
    assert (done.status, done.report["result"]) == (0, "saved")
    failed = [step["name"] for step in done.report["steps"] if step["result"] == "failed"]
    assert failed.count("readme") == 2
    assert capfd.readouterr().err.count("error: readme: Input/output error\n") == 2


@pytest.mark.parametrize("always", [False, True])
def test_a_file_system_that_cannot_write_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: bool
) -> None:
    # As one that copies on write does when it is full; the reserve is given back to it.
    file = KeptFile(str(tmp_path), "file")
    file.write("the first text")
    beside = tmp_path / "file.new"
    assert beside.stat().st_size == 16 << 10
    rename = os.rename

    def fail(old: str, new: str) -> None:
        if always or Path(old).stat().st_ino == kept:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(old, new)

    kept = beside.stat().st_ino
    hold = beside.open("rb")  # its inode is not given out again
    monkeypatch.setattr(os, "rename", fail)
    file.write("the last", last=True)
    hold.close()
    assert (tmp_path / "file").read_text() == "the last"
    assert not beside.exists()
