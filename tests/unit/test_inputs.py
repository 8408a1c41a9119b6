# SPDX-License-Identifier: GPL-2.0-or-later
"""What a root was asked is an input, found or not, and each way in which it changes is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.core.root import Root
from kdump_initrd.upkeep import inputs
from kdump_initrd.upkeep.inputs import Input, collect, take

#: Where names come and go with each start, on a machine.
VOLATILE = ("proc", "dev", "run", "tmp", "var/tmp", "var/cache")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/tool").write_text("one")
    return tmp_path


def is_changed(asked: Root, change: Callable[[], object]) -> bool:
    """Tell whether a change makes another answer to what was asked."""
    found = collect(asked.asked, root=asked)
    assert inputs.changed(found, root=asked) is None
    change()
    return inputs.changed(found, root=asked) is not None


def test_another_content(root: Path) -> None:
    asked = Root(root)
    asked.read("usr/bin/tool")
    assert collect(asked.asked, root=asked).keys() == {str(root / "usr/bin/tool")}
    assert is_changed(asked, lambda: (root / "usr/bin/tool").write_text("two"))


def test_a_file_that_is_only_looked_for_is_one(root: Path) -> None:
    asked = Root(root)
    asked.first_file(["usr/bin/tool"])
    assert is_changed(asked, (root / "usr/bin/tool").unlink)


def test_python_may_leave_its_bytecode_anywhere(root: Path) -> None:
    asked = Root(root)
    asked.entries("usr/bin")
    assert not is_changed(asked, (root / "usr/bin/__pycache__").mkdir)
    assert is_changed(asked, (root / "usr/bin/another").mkdir)


@pytest.mark.parametrize("folder", ["usr/bin", "usr/sbin", "opt", "usr/bin/tool"])
def test_a_file_that_comes_earlier_on_the_way(root: Path, folder: str) -> None:
    asked = Root(root)
    asked.first_file([f"{folder}/better", "usr/bin/tool"])

    def change() -> None:
        (root / folder).unlink() if folder.endswith("tool") else None
        (root / folder).mkdir(exist_ok=True)
        (root / folder / "better").write_text("")

    assert is_changed(asked, change)


def test_what_comes_beside_is_none(root: Path) -> None:
    asked = Root(root)
    asked.first_file(["usr/bin/other", "usr/sbin/tool", "usr/bin/tool"])
    asked.folder("usr/bin")
    assert not is_changed(asked, lambda: (root / "usr/bin/new").write_text(""))


def test_another_name_in_a_folder_that_was_listed(root: Path) -> None:
    asked = Root(root)
    asked.entries("usr/bin", "*.conf")
    assert is_changed(asked, lambda: (root / "usr/bin/x.conf").write_text(""))


@pytest.mark.parametrize("pattern", ["{}", "usr/{}", "usr/bin/{}"])
def test_another_target_of_a_link_on_the_way(root: Path, pattern: str) -> None:
    link = root / pattern.format("link")
    (root / "usr/lib").mkdir()
    link.symlink_to("/usr/lib")
    asked = Root(root)
    asked.file(pattern.format("link/none"))

    def change() -> None:
        link.unlink()
        link.symlink_to("/usr/bin")

    assert is_changed(asked, change)


@pytest.mark.parametrize(
    ("name", "levels"),
    [("usr/bin/tool", 0), ("usr/bin/none", 0), ("usr/none", 0), ("usr/bin/none", 1), ("a/b/c", 1)],
)
def test_a_folder_that_becomes_a_link(root: Path, name: str, levels: int) -> None:
    (root / "a/b").mkdir(parents=True)
    asked = Root(root)
    asked.file(name)

    def change() -> None:
        for each in ("tool", "none", "bin/none", "b/c"):
            path = root / "other" / each
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("another")
        folder = (root / name).parents[levels]
        folder.rename(root / "before")
        folder.symlink_to("/other")

    assert is_changed(asked, change)


@pytest.mark.parametrize("folder", VOLATILE)
def test_a_folder_is_as_good_as_another(root: Path, folder: str) -> None:
    path = root / folder / "file"
    path.parent.mkdir(parents=True)
    path.write_text("one")
    asked = Root(root)
    asked.read(f"{folder}/file")
    asked.file(f"{folder}/none")
    assert is_changed(asked, lambda: path.write_text("two"))
    assert is_changed(asked, lambda: path.with_name("none").write_text(""))


def test_what_was_written_is_none(root: Path) -> None:
    asked = Root(root)
    asked.read("usr/bin/tool")
    assert collect(asked.asked, root=asked, leave_out=[root / "usr/bin/tool"]) == {}


def test_the_same_content_under_another_stamp(root: Path) -> None:
    path = root / "usr/bin/tool"
    before = take(path)
    path.unlink()
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    assert take(path).stamp != before.stamp
    assert inputs.is_same(path, before)
    # The size is the same, and the time as well: the change of the inode tells.
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert not inputs.is_same(path, before)


def test_what_comes_and_goes(root: Path) -> None:
    path = root / "usr/bin/later"
    nothing = take(path)
    assert nothing == Input()
    assert inputs.is_same(path, nothing)
    path.write_text("")
    something = take(path)
    assert not inputs.is_same(path, nothing)
    path.unlink()
    assert not inputs.is_same(path, something)


def test_of_a_device_only_that_it_is_there() -> None:
    found = take(Path("/dev/null"))
    assert found == Input("other")
    assert inputs.is_same(Path("/dev/null"), found)
