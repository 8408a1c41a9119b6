# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks that are full, fill up, or allow no more: what was saved stays readable."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.params import TargetParams
from kdump_initrd.saver.report import Report
from kdump_initrd.saver.store.folder import Folder

from .logged import logged
from .minireader import MiniReader
from .running import ROOT, arguments, save
from .samples import sample
from .vmcore import PAGE, X86_64, Core, noise, text, zero

Disk = Callable[[int], Path]


@pytest.mark.parametrize("options", [{"dump_compress": "none"}, {}, {"dump_format": "elf"}])
def test_full_disk(
    tmp_path: Path,
    small_disk: Disk,
    options: dict[str, object],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "kdump_initrd.saver.store.folder.free_room", lambda *_: 1 << 62
    )  # nobody counts
    core = logged(Core().load(0x100000, text(100) + zero(500) + noise(700) + text(50) + zero(9)))
    disk = small_disk(2048)
    done = save(tmp_path, core, output=disk / "crash", **options)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    detail = "no room for the dump: No space left on device"
    assert done.step("dump")["detail"] == detail
    assert done.step("dmesg")["result"] == "done"
    assert f"dump: {detail}; " in capfd.readouterr().err
    assert sorted(path.name for path in done.folder.iterdir()) == [
        "dmesg.202311142213",
        "report.json",
        "vmcore-incomplete",
    ]
    own = open_dump(str(done.dump))
    assert own.read_physical(0x100000, 100 * PAGE) == text(100)
    lost = done.report["dump"]["lost_pages"]
    assert 0 < lost < 1300
    if options != {"dump_format": "elf"}:
        dump = MiniReader(done.dump, X86_64)
        assert dump.status & 8
        gone = [pfn for pfn, desc in dump.pages.items() if desc.offset == 0]
        assert len(gone) == lost
        good = [pfn for pfn in dump.pages if pfn not in gone]
        content = core.loads[0].data
        for pfn in good:
            if pfn < 0x8000:
                at = (pfn - 0x100) * PAGE
                assert dump.page(pfn) == content[at : at + PAGE]
        assert max(good) + 1 == min(gone), "not one gap at the end"
        with pytest.raises(SaverError, match="was lost when the dump was written"):
            own.read_physical(max(gone) * PAGE, 8)
    own.close()


def test_disk_without_room_for_the_descriptors(
    tmp_path: Path, small_disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdump_initrd.saver.store.folder.free_room", lambda *_: 1 << 62)
    core = logged(Core().load(0x100000, zero(8000)))
    disk = small_disk(128)
    done = save(tmp_path, core, output=disk / "crash")
    assert (done.status, done.report["result"]) == (4, "refused")
    assert done.step("dump")["detail"] == "no room for the dump: No space left on device"
    assert sorted(path.name for path in done.folder.iterdir()) == [
        "dmesg.202311142213",
        "report.json",
    ]


def test_disk_without_room_for_anything(
    tmp_path: Path, small_disk: Disk, capfd: pytest.CaptureFixture[str]
) -> None:
    from kdump_initrd.saver.__main__ import main

    path = logged(sample()[0]).write(tmp_path / "in")
    disk = small_disk(64)
    (disk / "filler").write_bytes(bytes(64 << 10))
    assert main(arguments(path, disk / "crash")) == 3
    said = capfd.readouterr().err
    assert "No space left on device" in said
    assert "[    0.000000] Kernel panic - not syncing: a test" in said
    assert "Traceback" not in said


def test_size_limit_without_privileges(tmp_path: Path) -> None:
    path = logged(Core().load(0x100000, noise(1000))).write(tmp_path / "in")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20));"
        "from kdump_initrd.saver.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments(path, tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "dump: no room for the dump: File too large" in done.stderr
    report = json.loads((tmp_path / "out/crash/report.json").read_text())
    assert report["result"] == "incomplete"
    dump = MiniReader(tmp_path / "out/crash/vmcore-incomplete", X86_64)
    assert dump.status & 8
    assert dump.page(0x100) == noise(1)


def test_report_on_a_disk_that_filled_up(tmp_path: Path, small_disk: Disk) -> None:
    disk = small_disk(256)
    report = Report()
    store = Folder(TargetParams())
    store.resume(str(disk))
    report.open(store)
    assert (disk / "report.json.new").stat().st_size == 16384
    with pytest.raises(OSError, match="No space left"), (disk / "filler").open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    report.fields["panic"] = "x" * 3000
    report.fields["result"] = "saved"
    report.write(last=True)
    assert json.loads((disk / "report.json").read_text())["result"] == "saved"
    assert sorted(path.name for path in disk.iterdir()) == ["filler", "report.json"]
