# SPDX-License-Identifier: GPL-2.0-or-later
"""The door to a root: links end in it, and what is opened is a file of a size that makes sense."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from kdump_initrd.core import root as rooted
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.upkeep import inputs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "host").write_text("host's")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("target", "inside"),
    [("/a/b", "a/b"), ("../../../a", "a"), ("b", "etc/b"), ("/../../a", "a"), ("/etc/../a", "a")],
)
def test_a_link_ends_in_the_root(root: Path, target: str, inside: str) -> None:
    (root / "etc/link").symlink_to(target)
    assert rooted.resolve("etc/link", root=root) == root / inside
    assert rooted.place("etc/link/x", root=root) == root / inside / "x"
    assert rooted.real_path(root / "etc/link", root=root) == root / inside


def test_a_place_may_be_a_link_itself(root: Path) -> None:
    (root / "etc/link").symlink_to("/elsewhere")
    assert rooted.place("etc/link", root=root) == root / "etc/link"


@pytest.mark.parametrize("path", ["etc/loop", "x" * 300, "a\0b"])
def test_no_path_of_a_file(root: Path, path: str) -> None:
    (root / "etc/loop").symlink_to("loop")
    assert rooted.resolve(path, root=root) is None


def test_a_loop_is_no_place(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    with pytest.raises(KdumpInitrdError, match="loop: Too many levels of symbolic links"):
        rooted.place("loop/x", root=root)


def test_what_is_not_in_the_root_is_the_programs_own(root: Path, tmp_path: Path) -> None:
    (tmp_path / "own").symlink_to("host")
    assert rooted.real_or_own(tmp_path / "own", root=root) == tmp_path / "host"
    (root / "own").symlink_to("/host")
    assert rooted.real_or_own(root / "own", root=root) == root / "host"


def test_read(root: Path) -> None:
    path = root / "etc/file"
    path.write_bytes(b"a\xff")
    assert rooted.read(path) == b"a\xff"
    assert rooted.read_text(path) == "a\ufffd"


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
        rooted.read(path, limit=3 << 20)
    assert caught.value.strerror == text
    assert caught.value.filename == str(path)


def test_no_device_is_opened() -> None:
    for name in ("/dev/null", "/dev/zero", "/dev/tty"):
        with pytest.raises(OSError, match="is not a regular file"):
            rooted.read(Path(name))


def test_endless_file_is_read_up_to_the_limit() -> None:
    # It has no size, and holds more than that.
    with pytest.raises(OSError, match="is larger than 0 MB"):
        rooted.read(Path("/proc/filesystems").resolve(), limit=16)


def test_what_is_read_is_an_input(root: Path) -> None:
    path = root / "etc/file"
    path.write_text("x")
    with inputs.watch() as opened:
        rooted.read(path)
    assert str(path) in opened.files
