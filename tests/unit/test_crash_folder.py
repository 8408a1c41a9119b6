# SPDX-License-Identifier: GPL-2.0-or-later
"""The crash's folder and names: the shell and the saver make the same, whatever is on the disk."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.memory.vmcoreinfo import VmcoreInfo
from kdump_initrd.saver.store.crashfolder import make_folder
from kdump_initrd.saver.store.naming import expand

from ..saver.places import CASES, Case, grow
from .shells import REPO, SHELLS

TIME = 981216306


#: What is there already below /c, the pattern of a crash's folder, and its name.
NAMES: dict[str, tuple[dict[str, str], str, str]] = {
    "by the time of the crash": ({}, "%Y-%m-%d-%H:%M", "2001-02-03-16:05"),
    "there already": ({"x": "", "x-2": "text"}, "x", "x-3"),
    "a link of that name": ({"b": "", "x": "-> b"}, "x", "x-2"),
    "a dangling link of that name": ({"x": "-> /b"}, "x", "x-2"),
    "blanks and umlauts": ({}, "ö c", "ö c"),
    "too long": ({}, "ü%Y" + "%%" * 300, "-2001" + "-" * 75),
    "too long, with dots": ({}, "." * 9 + "x" * 300 + ".", "x" * 71),
    "like an option": ({}, "-m", "-m"),
    "none": ({}, "..", f"crash-{TIME}"),
}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A mount point, where each maker gets a disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    return path


@contextmanager
def fresh(disk: Path, tree: dict[str, str]) -> Iterator[None]:
    """Mount a new disk with a tree on it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], check=True)
    mounted = [disk]
    try:
        for path in grow(tree, disk):
            subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)
            mounted.append(path)
        yield
    finally:
        for path in reversed(mounted):
            subprocess.run(["umount", path], check=True)


def by_saver(disk: Path, folder: str, pattern: str) -> tuple[str, str]:
    """Return the folder that the saver makes, below the mount point, and its note."""
    last = f"crash-{TIME}"
    try:
        name = expand(pattern, TIME)
    except SaverError:
        name = last
    made, note = make_folder(f"{disk}{folder}", name, last=last, mount=str(disk))
    return str(Path(made).relative_to(disk)), note


def by_shell(disk: Path, folder: str, pattern: str, shell: list[str]) -> tuple[str, str]:
    """Return the same of the copy's."""
    script = f"""
        KDUMP_LIB={REPO}/hooks
        warn() {{ echo "$*"; }}
        . "$KDUMP_LIB/folder.sh"
        time={TIME}
        make_folder || {{ echo "$error" >&2; exit 1; }}
        printf %s "$folder"
    """
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "KDUMP_MOUNT": str(disk)}
    env |= {"KDUMP_FOLDER": folder, "KDUMP_DUMP_FOLDER": pattern, "LC_ALL": "C.UTF-8"}
    argv = [*shell, "-c", script]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    note, _, made = done.stdout.rpartition("\n")
    return str(Path(made).relative_to(disk)), note


def listing(disk: Path) -> dict[str, int]:
    return {str(path.relative_to(disk)): path.lstat().st_mode for path in disk.rglob("*")}


def check_same(disk: Path, tree: dict[str, str], folder: str, pattern: str, wanted: str) -> str:
    """Check that all make the wanted folder, and no other; return the saver's note."""
    with fresh(disk, tree):
        made, saver_note = by_saver(disk, folder, pattern)
        assert made == wanted
        there = listing(disk)
    for shell in SHELLS:
        with fresh(disk, tree):
            made, note = by_shell(disk, folder, pattern, shell)
            assert made == wanted, shell
            assert listing(disk) == there, shell
        assert ("top of the file system" in note) is ("top of the file system" in saver_note)
    return saver_note and note


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_shell_and_saver_make_it_in_the_same_place(disk: Path, case: Case) -> None:
    wanted = f"{case.found}/x".lstrip("/")
    note = check_same(disk, case.tree, case.folder, "x", wanted)
    assert case.why in note
    assert bool(note) is bool(case.why)


@pytest.mark.parametrize("name", NAMES)
def test_shell_and_saver_give_it_the_same_name(disk: Path, name: str) -> None:
    tree, pattern, wanted = NAMES[name]
    tree = {"c": "", **{f"c/{path}": what for path, what in tree.items()}}
    check_same(disk, tree, "/c", pattern, f"c/{wanted}")


def test_planted_names_are_no_end(disk: Path) -> None:
    tree = {"c": "", "c/x": "", **{f"c/x-{number}": "text" for number in range(2, 1001)}}
    for make in (by_saver, partial(by_shell, shell=["busybox", "ash"])):
        with fresh(disk, tree):
            made, _ = make(disk, "/c", "x")
        assert made.startswith("c/x-")
        assert int(made.removeprefix("c/x-")) > 1000


@pytest.mark.parametrize(
    "text", ["1700000000", "1", "0", "", "-5", "17e9", "253402300799", "253402300800", "9" * 30]
)
def test_time_of_the_crash(tmp_path: Path, text: str) -> None:
    notes = f"OSRELEASE=6.1\nCRASHTIME={text}\nSIZE(list_head)=16\n".encode()
    known = VmcoreInfo(notes).crash_time()
    vmcore = tmp_path / "vmcore"
    vmcore.write_bytes(b"\x7fELF\0\xff" * 9000 + b"\n" + notes + b"\0" * 99)
    script = (REPO / "hooks/folder.sh").read_text().replace("/proc/vmcore", str(vmcore))
    for shell in SHELLS:
        argv = [*shell, "-c", f'{script}\ndate() {{ echo now; }}\nfind_time\nprintf %s "$time"']
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True)
        assert done.stdout == (str(known) if known else "now"), shell
