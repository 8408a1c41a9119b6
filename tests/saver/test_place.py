# SPDX-License-Identifier: GPL-2.0-or-later
"""The crash's folder on odd and hostile file systems: where it lies, and by what name."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.saver.__main__ import main
from kdump_initrd.saver.params import TargetParams
from kdump_initrd.saver.store.beneath import Place
from kdump_initrd.saver.store.crashfolder import make_folder
from kdump_initrd.saver.store.diskfile import create

from .logged import LOG, logged
from .places import CASES, Case, grow
from .running import arguments, save
from .samples import sample

Disk = Callable[[int], Path]
CRASH = "127.0.0.1-%Y-%m-%d-%H:%M:%S"
COLONS, PLAIN = "127.0.0.1-2023-11-14-22:13:20", "127.0.0.1-2023-11-14-22-13-20"


@pytest.fixture
def mounted() -> Iterator[Callable[[Path], None]]:
    """Mount an empty file system on a folder; that needs root."""
    found: list[Path] = []

    def mount(path: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(path)], timeout=20, check=True)
        found.append(path)

    yield mount
    for path in reversed(found):
        subprocess.run(["umount", str(path)], timeout=20, check=True)


def save_below(mount: Path, tmp_path: Path, **options: object) -> tuple[int, Path, dict[str, Any]]:
    """Save a crash; return the exit status, the folder that the hooks are told, and its report."""
    path, state = tmp_path / "in", tmp_path / "state"
    logged(sample()[0]).write(path)
    output = Path(str(options.pop("folder", "/var/crash")))
    words = arguments(path, output, mount=mount, state=state, **options)
    status = main(words)
    made = Path(state.read_text().removesuffix("\n"))
    return status, made, json.loads((made / "report.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_where_it_lies(
    tmp_path: Path,
    small_disk: Disk,
    mounted: Callable[[Path], None],
    case: Case,
    capfd: pytest.CaptureFixture[str],
) -> None:
    disk = small_disk(4096)
    for each in grow(case.tree, disk):
        mounted(each)
    status, folder, report = save_below(disk, tmp_path, folder=case.folder)
    assert (status, report["result"]) == (0, "saved")
    assert str(folder) == str(disk / case.found / "crash")
    assert os.path.realpath(folder) == str(folder), "not a plain path"
    assert folder.stat().st_dev == disk.stat().st_dev
    assert sorted(path.name for path in folder.iterdir()) == [
        "dmesg.202311142213", "report.json", "vmcore",
    ]  # fmt: skip
    said = capfd.readouterr().err
    (detail,) = [step["detail"] for step in report["steps"] if step["name"] == "folder"]
    if case.why:
        line = f"{case.why}: the top of the file system is used"
        assert line in said and line in detail
    else:
        assert "the top of" not in said and detail == str(folder)


def test_nothing_is_saved_into_memory(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kdump").mkdir()
    path = logged(sample()[0]).write(tmp_path / "in")
    words = arguments(path, Path("/var/crash"), mount=tmp_path / "kdump")
    assert main(words) == 3
    said = capfd.readouterr().err
    assert f"error: folder: {tmp_path}/kdump: no file system is mounted there" in said
    assert LOG[-1] in said
    assert list((tmp_path / "kdump").iterdir()) == []


def test_a_full_disk_is_not_tried_twice(
    tmp_path: Path, small_disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    disk = small_disk(64)
    monkeypatch.setattr(os, "mkdir", fail)
    with pytest.raises(OSError, match="No space left on device: 'var'"):
        make_folder(f"{disk}/var/crash", "x", last="y", mount=str(disk))


def test_a_folder_that_takes_none(
    small_disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Immutable (chattr +i), or it has as many as it can (ext2: 32000).
    mkdir = os.mkdir

    def fail(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if "/var/crash/" in path:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)
        mkdir(path, mode, dir_fd=dir_fd)

    disk = small_disk(64)
    monkeypatch.setattr(os, "mkdir", fail)
    path, note = make_folder(f"{disk}/var/crash", "x", last="y", mount=str(disk))
    assert path == f"{disk}/x"
    assert note == (
        f"{disk}/var/crash/x: Operation not permitted: the top of the file system is used"
    )


def test_no_descriptor_stays_open(small_disk: Disk, nothing_is_left_behind: None) -> None:
    disk = small_disk(64)
    grow({"file": "x", "loop": "-> loop", "a": "-> /b/c/../d"}, disk)
    for folder in ("/file", "/loop", "/a/e", "/file/e", ""):
        try:
            place = Place(str(disk), folder)
        except OSError:
            continue
        place.close()
    assert sorted(path.name for path in disk.iterdir()) == ["a", "b", "file", "loop"]


@pytest.mark.parametrize("planted", [0, 1, 999, 1000, 3000])
def test_planted_names(tmp_path: Path, planted: int) -> None:
    output = tmp_path / "out"
    output.mkdir(mode=0o1777)
    for number in range(1, planted + 1):
        name = output / ("crash" if number == 1 else f"crash-{number}")
        name.symlink_to("/etc") if number % 2 else name.mkdir()
    done = save(tmp_path, sample()[0], output=output)
    assert done.status == 0
    if planted < 1000:
        assert done.folder.name == ("crash" if not planted else f"crash-{planted + 1}")
    else:
        head, _, last = done.folder.name.rpartition("-")
        assert head == "crash" and int(last) > 10000
    assert not done.folder.is_symlink()
    assert (done.folder / "vmcore").stat().st_mode & 0o777 == 0o600


def test_files_are_new_ones(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("target", "link", "dangling"):
        with pytest.raises(FileExistsError):
            create(str(tmp_path / name))
    assert target.read_text() == "mine" and not (tmp_path / "nothing").exists()


def refuse(monkeypatch: pytest.MonkeyPatch, letters: str, code: int) -> None:
    """Make this process's file systems refuse new names with any of these letters."""
    mkdir, open_ = os.mkdir, os.open

    def check(path: str) -> None:
        if set(os.fspath(path).rpartition("/")[2]) & set(letters):
            raise OSError(code, os.strerror(code), path)

    def new_folder(path: str, mode: int = 0o777) -> None:
        check(path)
        mkdir(path, mode)

    def new_file(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            check(path)
        return open_(path, flags, mode)

    monkeypatch.setattr(os, "mkdir", new_folder)
    monkeypatch.setattr(os, "open", new_file)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EILSEQ, errno.ENOENT, errno.EACCES])
def test_names_that_the_file_system_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, ":*", code)
    done = save(
        tmp_path,
        logged(sample()[0]),
        directory=CRASH,
        dump_name="dump:%Y",
        dmesg_name="dmesg*%Y",
        readme_name="README:",
    )
    assert (done.status, done.folder.name) == (0, PLAIN)
    names = sorted(path.name for path in done.folder.iterdir())
    assert names == ["README-", "dmesg-2023", "dump-2023", "report.json"]
    said = capfd.readouterr().err
    for wished, used in ((COLONS, PLAIN), ("dmesg*2023", "dmesg-2023"), ("dump:2023", "dump-2023")):
        line = f"the file system does not take the name {wished} ({os.strerror(code)}): {used}"
        assert f"warning: {line} is used" in said
    assert done.step("dmesg")["detail"].startswith("3 lines; the file system does not take")
    assert done.step("dump")["detail"].startswith("the file system does not take the name dump:")
    assert done.report["dump"]["name"] == "dump-2023"


def test_names_of_numbers_where_nothing_else_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, ":xyz", errno.EINVAL)
    monkeypatch.setattr("kdump_initrd.saver.save.Report.open", lambda *_: None)
    output = tmp_path / "out"
    output.mkdir()
    path = logged(sample()[0]).write(tmp_path / "in")
    words = arguments(path, output, directory="x:y", dump_name="z", dmesg_name="x.txt")
    assert main(words) == 0
    assert [each.name for each in output.iterdir()] == ["crash-1700000000"]
    names = sorted(each.name for each in (output / "crash-1700000000").iterdir())
    assert names == ["dmesg-1700000000", "dump-1700000000"]


def test_names_that_are_too_long(tmp_path: Path) -> None:
    # With what is added to them while they are written.
    long = "ä" * 120
    done = save(
        tmp_path, logged(sample()[0]), directory="x" * 300, dump_name=long, dmesg_name="d" * 255
    )
    assert (done.status, done.folder.name) == (0, "x" * 80)
    names = sorted(path.name for path in done.folder.iterdir())
    assert names == ["-" * 80, "d" * 255, "report.json"]


def test_names_that_differ_in_the_case_of_letters_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = os.open

    def fold(path: str, flags: int, mode: int = 0o777) -> int:
        head, _, name = path.rpartition("/")
        if name.startswith("VMCORE") and flags & os.O_CREAT:
            path = f"{head}/{name.lower()}"
        return open_(path, flags, mode)

    monkeypatch.setattr(os, "open", fold)
    done = save(tmp_path, logged(sample()[0]), dmesg_name="vmcore", dump_name="VMCORE")
    assert done.status == 0
    assert (done.folder / "vmcore").read_text().endswith(f"{LOG[-1]}\n")
    assert done.dump.name == "dump-1700000000"


@pytest.mark.parametrize(
    ("mount", "folder", "path"),
    [
        ("/kdump", "", "/kdump/"),
        ("/kdump", "/var", "/kdump/var"),
        ("/kdump/", "var", "/kdump/var"),
        ("/", "/var", "/var"),
        ("", "/var/crash", "/var/crash"),
    ],
)
def test_the_folder_is_below_the_mount_point(mount: str, folder: str, path: str) -> None:
    assert TargetParams(mount=mount, folder=folder).path == path
