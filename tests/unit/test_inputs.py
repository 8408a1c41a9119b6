# SPDX-License-Identifier: GPL-2.0-or-later
"""What is read is noticed, by whatever it is read, and so is each way in which it changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.core.run import run
from kdump_initrd.upkeep import inputs
from kdump_initrd.upkeep.inputs import Input, collect, take, watch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/tool").write_text("one")
    return tmp_path


def by_open(path: Path) -> None:
    with path.open("rb") as file:
        file.read()


def by_descriptor(path: Path) -> None:
    os.close(os.open(path, os.O_RDONLY))


def by_program(path: Path) -> None:
    run(["cat", path], timeout=10)


def by_program_of_the_folder(path: Path) -> None:
    run(["ls", path.parent], timeout=10)


READERS = [by_open, by_descriptor, by_program, by_program_of_the_folder]


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_was_read(root: Path, read: Callable[[Path], None]) -> None:
    path = root / "usr/bin/tool"
    with watch() as opened:
        read(path)
    found = collect([opened], root=root)
    assert {str(path), str(path.parent)} <= set(found)
    assert inputs.changed(found, root=root) is None
    path.write_text("two")
    assert inputs.changed(found, root=root) == str(path)


def test_what_is_written_or_read_outside_of_the_block_is_none(root: Path) -> None:
    by_open(root / "usr/bin/tool")
    with watch() as opened:
        (root / "usr/bin/new").write_text("")
    by_open(root / "usr/bin/tool")
    assert collect([opened], root=root) == {str(root / "etc/kdump-initrd"): Input("")}


def test_blocks_in_blocks_and_two_that_noted_the_same(root: Path) -> None:
    with watch() as outer:
        with watch() as inner:
            by_open(root / "usr/bin/tool")
        assert inner == outer
        by_open(root / "usr/bin/tool")
        by_descriptor(Path(__file__))
    assert str(Path(__file__)) in outer.files
    assert str(Path(__file__)) not in inner.files


@pytest.mark.parametrize("folder", ["proc", "dev", "run", "tmp", "var/cache"])
def test_what_does_not_last_is_no_input(root: Path, folder: str) -> None:
    path = root / folder / "file"
    path.parent.mkdir(parents=True)
    path.write_text("")
    with watch() as opened:
        by_open(path)
        list(path.parent.iterdir())
    assert collect([opened], root=root) == {str(root / "etc/kdump-initrd"): Input("")}


def test_another_file_beside_it_is_a_change_but_not_in_boot(root: Path) -> None:
    (root / "boot").mkdir()
    (root / "boot/kernel").write_text("")
    with watch() as opened:
        by_open(root / "boot/kernel")
    found = collect([opened], root=root)
    (root / "boot/other").write_text("")
    assert inputs.changed(found, root=root) is None
    with watch() as opened:
        by_open(root / "usr/bin/tool")
    found = collect([opened], root=root)
    (root / "usr/bin/better").write_text("")
    assert inputs.changed(found, root=root) == str(root / "usr/bin")


@pytest.mark.parametrize("name", ["", "hooks", "hooks/pre-save"])
def test_a_new_folder_of_the_administrators(root: Path, name: str) -> None:
    top = root / "etc/kdump-initrd"
    if name:
        (top / name).parent.mkdir(parents=True)
    found = collect([], root=root)
    assert inputs.changed(found, root=root) is None
    (top / name).mkdir(parents=True)
    assert inputs.changed(found, root=root) is not None


def test_the_same_content_under_another_stamp(root: Path) -> None:
    path = root / "usr/bin/tool"
    before = take(path)
    assert before is not None
    path.unlink()
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    assert inputs.stamp(path) != before.stamp
    assert inputs.is_same(path, before)
    # The size is the same, and the time as well: the change of the inode tells.
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert not inputs.is_same(path, before)


def test_what_comes_and_goes(root: Path) -> None:
    path = root / "usr/bin/later"
    nothing = take(path)
    assert nothing == Input("")
    assert inputs.is_same(path, nothing)
    path.write_text("")
    something = take(path)
    assert something is not None
    assert not inputs.is_same(path, nothing)
    path.unlink()
    assert not inputs.is_same(path, something)


def test_a_device_is_no_input() -> None:
    assert take(Path("/dev/null")) is None
