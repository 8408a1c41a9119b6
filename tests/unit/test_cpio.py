# SPDX-License-Identifier: GPL-2.0-or-later
"""Writing images: foreign readers agree, the bytes are reproducible, failures leave nothing."""

from __future__ import annotations

import gc
import os
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdump_initrd.core.compression import Codec
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.image.archive import filters
from kdump_initrd.image.archive.cpio import Packing, write_image
from kdump_initrd.image.archive.newc import Member
from kdump_initrd.image.archive.segments import Segment, read_segments
from kdump_initrd.image.tree import Tree

TIME = 1_600_000_000
UNPACK = {
    Codec.ZSTD: ["zstd", "-dcq"],
    Codec.XZ: ["xz", "-dc"],
    Codec.GZIP: ["gzip", "-dc"],
    Codec.LZ4: ["lz4", "-dcq"],
    Codec.NONE: ["cat"],
    Codec.BZIP2: ["bzip2", "-dc"],
    Codec.LZMA: ["xz", "--format=lzma", "-dc"],
    Codec.LZO: ["lzop", "-dc"],
}
#: What an image may be written with: the others are for what is appended, which is written fast.
WHOLE = ("zstd", "xz", "gzip", "lz4", "none")
PACKINGS = [Packing(Codec(name), TIME) for name in WHOLE]
PACKINGS += [Packing(each, TIME, fast=True) for each in UNPACK]


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    tree.add_content("init", b"#!/bin/sh\n", why="first process", mode=0o755)
    tree.add_content("kdump-initrd/manifest.json", b"{}", why="manifest")
    tree.add_content("empty", b"", why="x", mode=0o4640)
    tree.add_content("usr/big", bytes(range(256)) * 4096, why="x")
    tree.add_content("bin/größe", b"123", why="x")
    tree.add_symlink("lib", "usr/lib", why="layout")
    tree.add_symlink("usr/odd", "/nowhere/größe", why="x")
    tree.add_node("dev/console", (5, 1), why="x", mode=0o600)
    tree.add_node("dev/ttyS300", (204, 300), why="x", mode=0o620)
    return tree


def write(tree: Tree, out: Path, compression: Codec = Codec.NONE) -> None:
    write_image(tree, out, Packing(compression, TIME), force=False)


def failure(tree: Tree, out: Path, compression: Codec, *, fast: bool = False) -> KdumpInitrdError:
    with pytest.raises(KdumpInitrdError) as caught:
        write_image(tree, out, Packing(compression, TIME, fast), force=False)
    return caught.value


def name_of(packing: Packing) -> str:
    return packing.compression.value + (" fast" if packing.fast else "")


@pytest.mark.parametrize("packing", PACKINGS, ids=name_of)
def test_foreign_readers_find_what_was_written(
    tree: Tree, tmp_path: Path, packing: Packing
) -> None:
    out = tmp_path / "image"
    write_image(tree, out, packing, force=False)
    assert out.stat().st_mode & 0o7777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["image"]
    unpacked = subprocess.run(
        UNPACK[packing.compression],
        input=out.read_bytes(),
        capture_output=True,
        timeout=30,
        check=True,
    ).stdout
    listed = subprocess.run(
        ["cpio", "-itv", "--quiet", "--numeric-uid-gid"], input=unpacked, capture_output=True,
        timeout=30, check=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    lines = [re.sub(r" +", " ", line) for line in listed.stdout.decode().splitlines()]
    stamp = "Sep 13 2020"
    assert lines == [
        f"drwxr-xr-x 1 0 0 0 {stamp} kdump-initrd",
        f"-rw-r--r-- 1 0 0 2 {stamp} kdump-initrd/manifest.json",
        f"drwxr-xr-x 1 0 0 0 {stamp} bin",
        f"-rw-r--r-- 1 0 0 3 {stamp} bin/größe",
        f"drwxr-xr-x 1 0 0 0 {stamp} dev",
        f"crw------- 1 0 0 5, 1 {stamp} dev/console",
        f"crw--w---- 1 0 0 204, 300 {stamp} dev/ttyS300",
        f"-rwSr----- 1 0 0 0 {stamp} empty",
        f"-rwxr-xr-x 1 0 0 10 {stamp} init",
        f"lrwxrwxrwx 1 0 0 7 {stamp} lib -> usr/lib",
        f"drwxr-xr-x 1 0 0 0 {stamp} usr",
        f"-rw-r--r-- 1 0 0 1048576 {stamp} usr/big",
        f"lrwxrwxrwx 1 0 0 16 {stamp} usr/odd -> /nowhere/größe",
    ]


@pytest.mark.parametrize("packing", PACKINGS, ids=name_of)
def test_both_of_our_readers_agree(tree: Tree, tmp_path: Path, packing: Packing) -> None:
    write_image(tree, tmp_path / "image", packing, force=False)
    (segment,) = read_segments(tmp_path / "image")
    members = list(segment.entries(contents=True))
    assert members == list(segment.again())
    assert {member.path for member in members} == {str(entry.dest) for entry in tree}


@pytest.mark.parametrize("packing", PACKINGS, ids=name_of)
def test_same_tree_same_bytes(tree: Tree, tmp_path: Path, packing: Packing) -> None:
    for name in ("a", "b"):
        write_image(tree, tmp_path / name, packing, force=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_time_is_in_it_that_the_tree_does_not_have(tree: Tree, tmp_path: Path) -> None:
    """Of all programs lzop alone writes when it ran, which lzop -l prints."""
    path = tmp_path / "image.lzo"
    write_image(tree, path, Packing(Codec.LZO, TIME, fast=True), force=False)
    listed = subprocess.run(
        ["lzop", "--list", "--verbose", path],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert re.search(r"LZO.*image$", listed.stdout, re.MULTILINE)
    assert not re.search(r"\d{4}-\d\d-\d\d", listed.stdout)


@pytest.mark.parametrize("fast", [False, True])
def test_what_the_kernel_can_unpack(tree: Tree, tmp_path: Path, fast: bool) -> None:
    for name in WHOLE:
        write_image(tree, tmp_path / name, Packing(Codec(name), TIME, fast), force=False)
    assert (tmp_path / "lz4").read_bytes()[:4] == b"\x02\x21\x4c\x18"
    check = subprocess.run(
        ["xz", "--robot", "-lvv", tmp_path / "xz"], capture_output=True, text=True, timeout=30
    )
    assert "CRC32" in check.stdout
    assert (tmp_path / "gzip").read_bytes()[4:8] == bytes(4)


def test_facts_of_the_codecs() -> None:
    assert {each.value: each.row.kernel_option for each in Codec} == {
        "zstd": "CONFIG_RD_ZSTD", "xz": "CONFIG_RD_XZ", "gzip": "CONFIG_RD_GZIP",
        "lz4": "CONFIG_RD_LZ4", "none": "", "bzip2": "CONFIG_RD_BZIP2",
        "lzma": "CONFIG_RD_LZMA", "lzo": "CONFIG_RD_LZO", "lz4-frame": "",
    }  # fmt: skip


def test_an_existing_file_needs_force(tree: Tree, tmp_path: Path) -> None:
    out = tmp_path / "image"
    out.symlink_to("nowhere")
    error = failure(tree, out, Codec.NONE)
    assert (error.message, error.hint) == (f"{out}: exists already", "--force replaces it")
    write_image(tree, out, Packing(Codec.NONE, TIME), force=True)
    assert out.is_file() and not out.is_symlink()
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_comes_up_meanwhile_is_kept(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    out = tmp_path / "image"
    link = os.link

    def late(source: Path, target: Path) -> None:
        out.write_text("mine")
        if not links:
            raise OSError(1, "Operation not permitted")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert failure(tree, out, Codec.NONE).message == f"{out}: exists already"
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


def test_a_file_system_without_hard_links(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write(tree, tmp_path / "image")
    assert len(read_segments(tmp_path / "image")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


@pytest.mark.parametrize("name", ["x.img", "link/x.img", "{top}/link/x.img"])
def test_the_place_may_be_relative_or_behind_a_link(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    monkeypatch.chdir(tmp_path)
    out = Path(name.format(top=tmp_path))
    write(tree, out)
    assert [each.path for each in read_segments(out.resolve())[0].entries()][:2] == [
        "kdump-initrd",
        "kdump-initrd/manifest.json",
    ]


def test_a_folder_that_is_not_there_or_is_the_target(tree: Tree, tmp_path: Path) -> None:
    error = failure(tree, tmp_path / "gone/image", Codec.NONE)
    assert error.message == f"{tmp_path}/gone: No such file or directory"
    error = failure(tree, tmp_path, Codec.NONE)
    assert error.message == f"{tmp_path}: is a folder"


def open_files() -> set[str]:
    gc.collect()  # what other tests have left for it to close
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def small_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("compression", UNPACK)
def test_a_write_error_leaves_nothing(tmp_path: Path, compression: Codec) -> None:
    tree = Tree()
    tree.add_content("noise", os.urandom(1 << 20), why="x")
    before = open_files()
    fast = compression.value not in WHOLE
    error = failure(tree, tmp_path / "image", compression, fast=fast)
    assert error.message.startswith(f"{tmp_path}/image: ")
    if fast:  # their output flows at once, and libarchive forgets what stopped it
        assert f"{UNPACK[compression][0]}: Can't write to program: " in error.message
    else:
        assert error.message.endswith("File too large")
    assert list(tmp_path.iterdir()) == []
    assert open_files() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_missing_program(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "find", lambda name: None)
    error = failure(tree, tmp_path / "image", Codec.ZSTD)
    assert error.message == "zstd: program not found"
    assert error.hint == "install zstd, or choose another compression"
    assert list(tmp_path.iterdir()) == []


def test_a_failing_program(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "find", lambda name: "/bin/false")
    error = failure(tree, tmp_path / "image", Codec.XZ)
    assert error.message.startswith(f"{tmp_path}/image: xz: ") and "/bin/false" in error.message
    assert list(tmp_path.iterdir()) == []


def test_a_time_out_of_range(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        write_image(tree, tmp_path / "i", Packing(Codec.NONE, 1 << 31), force=False)
    assert caught.value.message.startswith("modification time 2147483648: out of range")
    assert caught.value.hint == "correct SOURCE_DATE_EPOCH"


def test_appending_to_a_base(tree: Tree, tmp_path: Path) -> None:
    write(tree, tmp_path / "base", Codec.ZSTD)
    base = (tmp_path / "base").read_bytes()
    more = Tree()
    more.add_content("more", b"x", why="x")
    packing = Packing(Codec.ZSTD, 0, fast=True)
    write_image(more, tmp_path / "both", packing, force=False, mode=0o640, base=base)
    assert (tmp_path / "both").stat().st_mode & 0o7777 == 0o640
    assert (tmp_path / "both").read_bytes().startswith(base)
    first, second = read_segments(tmp_path / "both")
    assert (first.size, second.offset) == (len(base), len(base))
    assert [member.path for member in second.entries()] == ["more"]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("path", "other", "path is other, not init"),
        ("mode", 0o100644, "mode is 0o100644, not 0o100755"),
        ("size", 9, "size is 9, not 10"),
        ("uid", 7, "uid is 7, not 0"),
        ("mtime", 1, f"mtime is 1, not {TIME}"),
        ("device", (1, 1), "device is (1, 1), not (0, 0)"),
        ("target", "x", "target is x, not "),
        ("content", b"#!/bin/xx\n", "content differs"),
    ],
)
def test_an_archive_that_differs_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: object, text: str
) -> None:
    tree = Tree()
    tree.add_content("init", b"#!/bin/sh\n", why="x", mode=0o755)
    again = Segment.again

    def wrong(self: Segment) -> Iterator[Member]:
        for member in again(self):
            yield Member(**{**vars(member), field: value})

    monkeypatch.setattr(Segment, "again", wrong)
    error = failure(tree, tmp_path / "image", Codec.NONE)
    assert error.message == f"{tmp_path}/image: init was not written correctly: {text}"
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_lacks_an_entry_is_an_error(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = Segment.again
    monkeypatch.setattr(Segment, "again", lambda self: list(again(self))[:-1])
    error = failure(tree, tmp_path / "image", Codec.NONE)
    assert error.message.endswith("usr/odd was not written correctly: one side lacks it")
