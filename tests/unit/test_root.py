# SPDX-License-Identifier: GPL-2.0-or-later
"""The door to a root: links end in it, what is opened is a file, and what is asked is kept."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from kdump_initrd.core import files
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "host").write_text("host's")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    return root


def looked(root: Root) -> set[str]:
    return {str(Path(each).relative_to(root.path)) for each in root.asked.looked}


@pytest.mark.parametrize(
    ("target", "inside"),
    [("/a/b", "a/b"), ("../../../a", "a"), ("b", "etc/b"), ("/../../a", "a"), ("/etc/../a", "a")],
)
def test_a_link_ends_in_the_root(root: Path, target: str, inside: str) -> None:
    (root / "etc/link").symlink_to(target)
    assert Root(root).resolve("etc/link") == root / inside
    assert Root(root).place("etc/link/x") == root / inside / "x"
    assert Root(root).real_path(root / "etc/link") == root / inside


def test_a_place_may_be_a_link_itself(root: Path) -> None:
    (root / "etc/link").symlink_to("/elsewhere")
    assert Root(root).place("etc/link") == root / "etc/link"


@pytest.mark.parametrize("path", ["etc/loop", "x" * 300, "a\0b"])
def test_no_path_of_a_file(root: Path, path: str) -> None:
    (root / "etc/loop").symlink_to("loop")
    assert Root(root).resolve(path) is None
    assert Root(root).file(path) is None


def test_a_loop_is_no_place(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    with pytest.raises(KdumpInitrdError, match="loop: Too many levels of symbolic links"):
        Root(root).place("loop/x")


def test_what_is_not_in_the_root_is_the_programs_own(root: Path, tmp_path: Path) -> None:
    (tmp_path / "own").symlink_to("host")
    assert Root(root).real_path(tmp_path / "own") == tmp_path / "host"
    (root / "own").symlink_to("/host")
    assert Root(root).real_path(root / "own") == root / "host"


def test_a_path_below_the_root_has_a_name_in_it(root: Path) -> None:
    assert str(Root(root).inside(root / "etc/x")) == "/etc/x"
    assert str(Root().inside(Path("/etc/x"))) == "/etc/x"
    with pytest.raises(KdumpInitrdError, match=f"/elsewhere: not in the root {root}"):
        Root(root).inside(Path("/elsewhere"))


def test_what_a_person_names(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to("/etc/x")
    (tmp_path / "own").symlink_to("host")
    assert Root(root).named(root / "link") == root / "etc/x"
    assert Root(root).named(tmp_path / "own") == tmp_path / "host"
    assert Root().named(str(tmp_path / "own")) == tmp_path / "host"


def test_what_is_there(root: Path) -> None:
    (root / "etc/file").write_text("")
    (root / "etc/pipe").symlink_to("/dev/null")
    os.mkfifo(root / "etc/fifo")
    there = Root(root)
    assert there.file("/etc/file") == there.there("etc/file") == root / "etc/file"
    assert there.folder("etc") == root / "etc"
    # The host has one, and it is not a file anyway.
    assert there.file("etc/pipe") is there.there("etc/pipe") is None
    assert there.file("etc/fifo") is there.file("etc") is there.folder("etc/file") is None
    assert there.first_file(["etc/none", "etc", "etc/file", "x"]) == root / "etc/file"
    (root / "also").symlink_to("etc")
    assert there.folders(["none", "etc", "also"]) == [root / "etc"]


def test_entries(root: Path) -> None:
    for name in ("b.conf", "a.conf", "a.old"):
        (root / "etc" / name).write_text("")
    (root / "etc/c.conf").symlink_to("/none")
    (root / "conf").symlink_to("/etc")
    found = Root(root).entries("conf", "*.conf")
    assert found == [root / "etc" / name for name in ("a.conf", "b.conf", "c.conf")]
    assert Root(root).entries("none") == []


def test_one_name_is_no_reason_to_list_a_folder(root: Path) -> None:
    (root / "etc/link").symlink_to("/none")
    asked = Root(root)
    assert asked.entries("etc", "link") == [root / "etc/link"]
    assert asked.entries("etc", "none") == []
    assert (looked(asked), asked.asked.listed) == ({"etc", "etc/link", "etc/none", "none"}, set())


def test_read(root: Path) -> None:
    path = root / "etc/file"
    path.write_bytes(b"a\xff")
    (root / "link").symlink_to("/etc/file")
    for name in (path, root / "link", "link", "/etc/../etc/file"):
        assert Root(root).read(name) == b"a\xff"
        assert Root(root).read_text(name) == "a\ufffd"
    (root / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        Root(root).read("loop")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def _link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _behind_a_link(path: Path) -> None:
    path.parent.rename(path.parents[1] / "elsewhere")
    path.parent.symlink_to("elsewhere")
    path.write_text("there")


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate((3 << 20) + 1)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (_fifo, "is not a regular file"),
        (_socket, "is not a regular file"),
        (_link, "is a symbolic link, or behind one"),
        (_behind_a_link, "is a symbolic link, or behind one"),
        (_large, "is larger than 3 MB"),
        (Path.mkdir, "Is a directory"),
        (str, "No such file or directory"),
    ],
)
def test_what_is_refused(root: Path, make: object, text: str) -> None:
    path = root / "etc/file"
    assert callable(make)
    make(path)
    with pytest.raises(OSError, match=text) as caught:
        files.read(path, limit=3 << 20)
    assert caught.value.strerror == text
    assert caught.value.filename == str(path)


def test_no_device_is_opened() -> None:
    for name in ("/dev/null", "/dev/zero", "/dev/tty"):
        with pytest.raises(OSError, match="is not a regular file"):
            files.read(Path(name))


def test_endless_file_is_read_up_to_the_limit() -> None:
    # It has no size, and holds more than that.
    with pytest.raises(OSError, match="is larger than 0 MB"):
        files.read(Path("/proc/filesystems").resolve(), limit=16)


def test_what_was_found_is_remembered(root: Path) -> None:
    (root / "etc/file").write_text("")
    (root / "bin").symlink_to("/etc")
    (root / "link").symlink_to("bin/file")
    asked = Root(root)
    assert asked.file("link") is not None
    assert looked(asked) == {"link", "bin", "etc/file"}
    assert asked.asked.listed == set()
    asked.entries("bin")
    assert asked.asked.listed == {str(root / "etc")}


def test_what_was_not_found_is_remembered_by_what_is_missing(root: Path) -> None:
    (root / "etc/file").write_text("")
    (root / "dangling").symlink_to("/usr/lib/x")
    asked = Root(root)
    assert asked.file("etc/none") is asked.file("lib/firmware/x") is asked.folder("a/b") is None
    assert looked(asked) == {"etc/none", "lib", "a"}
    asked = Root(root)
    assert asked.file("dangling") is asked.file("etc/file/x") is None
    assert looked(asked) == {"dangling", "usr", "etc/file/x"}


def test_a_name_that_is_read_is_remembered_though_it_cannot_be(root: Path) -> None:
    asked = Root(root)
    os.mkfifo(root / "fifo")
    for name in ("fifo", "none"):
        with pytest.raises(OSError, match=r"is not a regular file|No such file"):
            asked.read(name)
    assert looked(asked) == {"fifo", "none"}


def test_where_something_is_to_be_written_is_no_question(root: Path) -> None:
    (root / "boot").symlink_to("/etc")
    asked = Root(root)
    asked.place("boot/new")
    assert looked(asked) == set()


def test_two_roots_of_one_path_are_equal_and_remember_each_its_own(root: Path) -> None:
    first, second = Root(root), Root(root)
    first.file("none")
    assert first == second
    assert looked(second) == set()
    assert (first.asked | second.asked).looked == {str(root / "none")}
