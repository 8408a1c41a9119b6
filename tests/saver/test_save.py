# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole recipe: folder, names, report, and what happens when things go wrong."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver import report as report_module
from kdump_initrd.saver import save as save_module
from kdump_initrd.saver.formats import dumpfile
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.report import Report
from kdump_initrd.saver.store.diskfile import sync_folder

from .faults import FaultyWindow
from .logged import LOG, logged
from .minireader import MiniReader
from .running import ROOT, arguments, child, save
from .samples import sample
from .vmcore import PAGE, X86_64, Core, noise, text, zero

Disk = Callable[[int], Path]


def test_names_modes_and_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    core, _ = sample()
    state, progress = tmp_path / "state", tmp_path / "progress"
    done = save(
        tmp_path,
        logged(core),
        directory="127.0.0.1-%Y-%m-%d-%H:%M:%S",
        dmesg_name="vmcore-dmesg.txt",
        state=state,
        progress=progress,
    )
    assert done.status == 0
    assert done.folder.name == "127.0.0.1-2023-11-14-22:13:20"
    assert sorted(path.name for path in done.folder.iterdir()) == [
        "report.json",
        "vmcore",
        "vmcore-dmesg.txt",
    ]
    assert stat.S_IMODE(done.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in done.folder.iterdir()} == {0o600}
    wanted = "".join(f"[    0.000000] {line}\n" for line in LOG)
    assert (done.folder / "vmcore-dmesg.txt").read_text() == wanted
    assert state.read_text() == f"{done.folder}\n"
    assert int(progress.read_text().split()[0]) >= 4
    report = done.report
    assert report["result"] == "saved"
    assert report["panic"] == "a test"
    assert report["command_line"] == "root=/dev/vda quiet"
    assert report["crash_time"] == "2023-11-14T22:13:20Z"
    assert report["kernel_release"] == "6.1.0-test"
    assert report["build_id"] == "0123456789abcdef0123456789abcdef01234567"
    assert report["capture_kernel"] == os.uname().release
    assert report["rss_anon_kib"] > 0
    assert [(step["name"], step["result"]) for step in report["steps"]] == [
        ("vmcore", "done"),
        ("folder", "done"),
        ("dmesg", "done"),
        ("dump", "done"),
    ]
    assert report["dump"]["lost_pages"] == 0
    said = capfd.readouterr()
    assert said.out == ""
    assert "kdump-initrd: the crashed kernel said: a test\n" in said.err
    assert f"kdump-initrd: the dump is in {done.folder}" in said.err


def test_the_log_can_be_printed_from_every_dump(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from kdump_initrd.saver.__main__ import main

    core = logged(sample()[0])
    done = save(tmp_path, core, dump_format="elf")
    capfd.readouterr()
    for path in (tmp_path / "vmcore.in", done.dump):
        assert main(["--dmesg", str(path)]) == 0
        assert capfd.readouterr().out == "".join(f"[    0.000000] {line}\n" for line in LOG)


def test_existing_folders_get_a_number(tmp_path: Path) -> None:
    core, _ = sample()
    names = [save(tmp_path, core, directory="%Y").folder.name for _ in range(4)]
    assert names == ["2023", "2023-2", "2023-3", "2023-4"]


@pytest.mark.parametrize("failing", ["rename", "sync_folder"])
def test_a_dump_whose_name_is_not_safe(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    crash = tmp_path / "out/crash"
    rename = os.rename

    def fail_rename(old: str, new: str) -> None:
        if new == f"{crash}/vmcore":
            raise OSError(errno.EIO, os.strerror(errno.EIO), old)
        rename(old, new)

    def fail_sync(folder: str) -> None:
        if (crash / "vmcore").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync_folder(folder)

    if failing == "rename":
        monkeypatch.setattr(os, "rename", fail_rename)
    else:
        monkeypatch.setattr("kdump_initrd.saver.store.folder.sync_folder", fail_sync)
    core, pages = sample()
    done = save(tmp_path, core)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.dump.name == ("vmcore-incomplete" if failing == "rename" else "vmcore")
    assert done.report["dump"]["bytes"] == done.dump.stat().st_size
    step = done.step("dump")
    assert step["result"] == "incomplete"
    assert step["detail"].endswith("Input/output error")
    said = capfd.readouterr().err
    assert f"error: dump: {step['detail']}" in said
    assert f"error: the dump is incomplete: {crash}" in said
    dump = MiniReader(done.dump, X86_64)
    assert {pfn: dump.page(pfn) for pfn in dump.second} == pages


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), MemoryError()])
def test_a_dump_that_cannot_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr("kdump_initrd.saver.formats.kdump.kdumpfile.KdumpWriter.finish", fail)
    done = save(tmp_path, sample()[0])
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.dump.name == "vmcore-incomplete"
    assert done.report["dump"]["bytes"] == done.dump.stat().st_size
    assert MiniReader(done.dump, X86_64).status & 8


def test_a_saver_that_fails_at_its_end_still_tells_of_the_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(save_module.Save, "close", fail)
    assert save(tmp_path, sample()[0]).status == 0
    assert "kdump-initrd: error: Input/output error\n" in capfd.readouterr().err


def test_bad_memory_loses_its_pages_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    core, pages = sample()
    path = core.write(tmp_path / "in")
    # Frames 0x104.. come from the second PT_LOAD; behind headers, notes and kernel text.
    bad = (1 + 1 + 6 + 3, 1 + 1 + 6 + 50)
    for options in ({}, {"dump_format": "elf"}):
        with monkeypatch.context() as patch:
            patch.setattr(dumpfile, "Window", lambda path: FaultyWindow(path, bad_pages=bad))
            done = save(tmp_path, path, directory=f"d{len(options)}", **options)
        assert done.status == 1
        assert done.report["result"] == "incomplete"
        assert done.dump.name == "vmcore-incomplete"
        assert done.report["dump"]["lost_pages"] == 2
        assert done.step("dump")["detail"] == "2 pages could not be read"
        said = capfd.readouterr().err
        assert "dump: 2 pages could not be read; 2 of 350 pages are lost" in said
        own = open_dump(str(done.dump))
        good = {pfn: data for pfn, data in pages.items() if pfn not in (0x103, 0x132)}
        assert all(own.read_physical(pfn * PAGE, PAGE) == data for pfn, data in good.items())
    dump = MiniReader(tmp_path / "out/d0/vmcore-incomplete", X86_64)
    assert dump.status == 2 | 8
    assert dump.second == sorted(pages)
    assert [pfn for pfn, desc in dump.pages.items() if desc.offset == 0] == [0x103, 0x132]
    raw = (tmp_path / "out/d1/vmcore-incomplete").read_bytes()
    assert raw[48:52] == b"\1\0\0\0", "e_flags"


def test_a_truncated_vmcore_is_saved_as_far_as_it_goes(tmp_path: Path) -> None:
    raw = sample()[0].build()
    path = tmp_path / "in"
    path.write_bytes(raw[: len(raw) - 12 * PAGE + 100])
    for options in ({}, {"dump_format": "elf"}):
        done = save(tmp_path, path, directory=f"d{len(options)}", **options)
        assert (done.status, done.report["result"]) == (1, "incomplete")
        # Of the second range, 2 pages are gone and one is cut; the last range is gone as a whole.
        assert done.step("dump")["detail"] == "the vmcore is truncated: 12 pages are missing"
        assert done.report["dump"]["lost_pages"] == 12


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_a_vmcore_that_ends_before_its_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "in"
    path.write_bytes(sample()[0].build()[: 2 * PAGE])
    done = save(tmp_path, path, dump_format=kind)
    assert done.step("dump")["detail"] == "the vmcore is truncated: 356 pages are missing"
    assert open_dump(str(done.dump)).notes.cpus == 2


def test_output_that_is_no_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from kdump_initrd.saver.__main__ import main

    path = logged(sample()[0]).write(tmp_path / "in")
    (tmp_path / "file").write_text("")
    assert main(arguments(path, tmp_path / "file")) == 3
    said = capfd.readouterr().err
    assert f"error: folder: {tmp_path}/file: File exists" in said
    assert "Kernel panic - not syncing: a test" in said


def test_a_bug_is_one_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("kdump_initrd.saver.dump.pagecopy.PageCopier.copy", fail)
    done = save(tmp_path, sample()[0])
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.step("dump")["detail"].startswith("out of memory (test_save.py:")
    dump = MiniReader(done.dump, X86_64)
    assert dump.status & 8 and {desc.offset for desc in dump.pages.values()} == {0}
    assert "Traceback" not in capfd.readouterr().err


def test_not_a_vmcore(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"not a vmcore")
    done = save(tmp_path, path)
    assert (done.status, done.report["result"]) == (3, "failed")
    assert (
        done.step("vmcore")["detail"] == f"{path}: neither an ELF core nor a kdump-compressed dump"
    )
    assert done.report["dump"] is None
    assert [path.name for path in done.folder.iterdir()] == ["report.json"]
    done = save(tmp_path, tmp_path / "missing")
    assert done.step("vmcore")["detail"] == f"{tmp_path}/missing: No such file or directory"


def test_no_vmcoreinfo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    core = Core(info=None).load(0x100000, text(3) + zero(2))
    done = save(tmp_path, core)
    assert (done.status, done.report["result"]) == (0, "saved")
    assert done.step("dmesg")["detail"] == "VMCOREINFO has no SYMBOL(prb)"
    assert "no page size in VMCOREINFO: 4096 bytes are assumed" in capfd.readouterr().err
    assert MiniReader(done.dump, X86_64).page(0x102) == text(3)[2 * PAGE :]


def test_a_kill_leaves_a_readable_dump_behind(tmp_path: Path) -> None:
    # The header says "incomplete" from its first byte on.
    core, _ = sample()
    path = core.write(tmp_path / "in")
    code = (
        "import os, sys; from kdump_initrd.saver.dump import pagecopy;"
        "pagecopy.PageCopier.copy = lambda *_, **__: os.kill(os.getpid(), 9);"
        "from kdump_initrd.saver.__main__ import main; main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments(path, tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == -9
    folder = tmp_path / "out/crash"
    assert json.loads((folder / "report.json").read_text())["result"] == "incomplete"
    assert MiniReader(folder / "vmcore-incomplete", X86_64).status & 8


def test_anonymous_memory_is_bounded(tmp_path: Path) -> None:
    # 96 MiB of everything, in a process as the capture kernel runs it.
    core = Core()
    core.load(0x1000000, (noise(2000) + text(3000) + zero(3192)) * 3)
    path = core.write(tmp_path / "in")
    for options in (
        {},
        {"dump_compress": "zstd"},
        {"dump_compress": "zlib"},
        {"dump_format": "elf"},
        {"dump_format": "flat", "verify": "full"},
    ):
        words = arguments(path, tmp_path / "out", directory="x", **options)
        done = child(*words)
        assert done.returncode == 0, done.stderr
    for folder in (tmp_path / "out").iterdir():
        report = json.loads((folder / "report.json").read_text())
        assert 1000 < report["rss_anon_kib"] < 14 << 10, report


def test_a_filter_that_fails_costs_no_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from .synthetic import EVERY_KIND, build

    def fail(*_: object) -> bytearray:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("kdump_initrd.saver.filter.rules.Rules.codes", fail)
    path = build(f"kernel 6.1\n{EVERY_KIND}", tmp_path / "in")
    done = save(tmp_path, path, dump_level=31)
    assert (done.status, done.report["result"]) == (0, "saved")
    facts = done.report["dump"]
    assert (facts["level"], facts["wanted_level"], facts["left_out"]) == (1, 31, {})
    assert facts["level_note"].startswith("the page filter failed: ZeroDivisionError: a bug (")
    assert "dump level 1 is used" in capfd.readouterr().err
    dump = MiniReader(done.dump, X86_64)
    assert dump.first == dump.second and dump.level == 1


def test_the_log_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = "LABEL=a: it is not there\nLABEL=b: has the dump"
    why = tmp_path / "why"
    done = save(
        tmp_path, logged(sample()[0]), dump_format="none", attempts=lines, hooks="a: b", why=why
    )
    assert (done.status, done.report["result"], done.report["dump"]) == (0, "log", None)
    assert done.report["attempts"] == lines.splitlines()
    assert done.report["hooks"] == ["a: b"]
    assert [step["name"] for step in done.report["steps"]] == ["vmcore", "folder", "dmesg"]
    assert len(list(done.folder.iterdir())) == 2
    assert not why.exists()
    assert "the kernel log is in" in capfd.readouterr().err


def test_hooks_are_told_why_there_is_no_whole_dump(tmp_path: Path, small_disk: Disk) -> None:
    core, _ = sample()
    why = tmp_path / "why"
    done = save(tmp_path, core, output=small_disk(256), why=why, keep_free=99)
    assert done.status == 4
    assert why.read_text() == f"dump: {done.step('dump')['detail']}\n"


def test_what_hooks_remark_is_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remarks = tmp_path / "remarks"
    remarks.write_bytes(b"a disk is missing\nodd \xff bytes\n")
    monkeypatch.setattr(report_module, "REMARKS", str(remarks))
    steps = json.loads(Report().text())["steps"]
    assert [step["detail"] for step in steps] == ["a disk is missing", "odd \ufffd bytes"]
    assert {(step["name"], step["result"]) for step in steps} == {("target", "done")}
