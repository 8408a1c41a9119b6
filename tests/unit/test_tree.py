# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree of an image: parents, links, conflicts, order."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.image.tree import Kind, Tree


def paths(tree: Tree) -> list[str]:
    return [str(entry.dest) for entry in tree]


def test_parents_come_before_children_in_path_order() -> None:
    tree = Tree()
    tree.add_content("usr/lib/b", b"", why="x")
    tree.add_content("/etc/a", b"", why="x")
    tree.add_content("usr/lib-x", b"", why="x")
    assert paths(tree) == ["etc", "etc/a", "usr", "usr/lib", "usr/lib/b", "usr/lib-x"]
    assert {entry.why for entry in tree if entry.kind is Kind.DIRECTORY} == {"parent directory"}


def test_paths_below_a_link_go_where_it_points() -> None:
    tree = Tree()
    tree.add_symlink("lib", "usr/lib", why="layout")
    tree.add_symlink("usr/lib/x", "/opt/../srv", why="layout")
    tree.add_content("lib/x/f", b"1", why="x")
    assert "srv/f" in paths(tree)
    assert PurePosixPath("srv/f") in tree and PurePosixPath("lib/x/f") not in tree
    assert tree[PurePosixPath("srv/f")].content == b"1"
    assert str(tree.resolve("/lib/../lib/a")) == "usr/lib/a"


def test_a_loop_of_links() -> None:
    tree = Tree()
    tree.add_symlink("a", "b", why="x")
    tree.add_symlink("b", "a", why="x")
    with pytest.raises(KdumpInitrdError, match="a/f: too many symbolic links in the image"):
        tree.add_content("a/f", b"", why="x")


def test_the_same_twice_is_no_change_another_is_an_error() -> None:
    tree = Tree()
    tree.add_content("f", b"1", why="first")
    tree.add_content("f", b"1", why="second")
    tree.add_directory("d", why="first", mode=0o700)
    tree.add_directory("d", why="second")
    assert [entry.why for entry in tree] == ["first", "first"]
    with pytest.raises(KdumpInitrdError) as caught:
        tree.add_content("f", b"2", why="third")
    assert caught.value.message == "f: added to the image twice: first and third"
    with pytest.raises(KdumpInitrdError, match="f/g: f is not a directory in the image"):
        tree.add_content("f/g", b"", why="x")


def test_files_of_the_host(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"#!/bin/sh\n")
    tree = Tree()
    tree.add_file("plain", tool, why="x")
    tool.chmod(0o4711)
    tree.add_file("tool", tool, why="x")
    tree.add_file("secret", tool, why="x", mode=0o600)
    assert [oct(entry.mode) for entry in tree] == ["0o644", "0o600", "0o755"]
    with pytest.raises(KdumpInitrdError) as caught:
        tree.add_file("gone", tmp_path / "gone", why="the saver")
    assert caught.value.message == f"{tmp_path / 'gone'}: No such file or directory"
    assert caught.value.hint == "needed: the saver"


def test_sizes_and_digests() -> None:
    tree = Tree()
    tree.add_content("f", b"12345", why="x")
    tree.add_symlink("l", "ü", why="x")
    tree.add_node("n", (5, 1), why="x", mode=0o600)
    assert [entry.size for entry in tree] == [5, 2, 0]
    assert tree.unpacked_size() == 5
    assert next(iter(tree)).digest == hashlib.sha256(b"12345").hexdigest()
    assert len(tree) == 3
