# SPDX-License-Identifier: GPL-2.0-or-later
"""Listings and manifests of images."""

from __future__ import annotations

import gzip
import logging
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.compression import Codec
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.image.archive.cpio import Packing, write_image
from kdump_initrd.image.archive.segments import read_manifest
from kdump_initrd.image.listing import list_entries, list_image
from kdump_initrd.image.manifest import MANIFEST, SEGMENT, Manifest
from kdump_initrd.image.tree import Tree

MANIFEST_OF_TEST = Manifest(
    kind="capture",
    version="0.1",
    distro="debian",
    kernel="6.1.0-9-amd64",
    target="UUID=1234",
    fstype="ext4",
    cmdline="panic=10 irqpoll",
    modules=("virtio_blk", "ext4"),
    entries={"init": "first process", "lib": "layout"},
)


def ours(path: Path, manifest: bytes) -> Path:
    tree = Tree()
    tree.add_content("init", b"#!/bin/sh\n", why="first process", mode=0o755)
    tree.add_symlink("lib", "usr/lib", why="layout")
    tree.add_node("dev/console", (5, 1), why="console", mode=0o600)
    tree.add_content(MANIFEST, manifest, why="what this image is")
    tree.add_content("a\x1b[31m\n", b"", why="odd")
    write_image(tree, path, Packing(Codec.NONE, 0), force=False)
    return path


def test_list_of_ours(tmp_path: Path) -> None:
    body = MANIFEST_OF_TEST.to_json().encode()
    path = ours(tmp_path / "initrd", body)
    assert list(list_image(path)) == [
        "# image: capture, made by kdump-initrd 0.1",
        "# distribution: debian",
        "# kernel: 6.1.0-9-amd64",
        "# dump target: UUID=1234 ext4",
        "# command line: panic=10 irqpoll",
        "# kernel modules: virtio_blk ext4",
        f"# segment 1: offset 0, none, {path.stat().st_size} bytes stored, "
        f"{10 + len(body)} bytes unpacked, 7 entries",
        "drwxr-xr-x          0 kdump-initrd",
        f"-rw-r--r-- {len(body):>10} kdump-initrd/manifest.json",
        "-rw-r--r--          0 a\\x1b[31m\\n",
        "drwxr-xr-x          0 dev",
        "crw-------        5,1 dev/console",
        "-rwxr-xr-x         10 init  # first process",
        "lrwxrwxrwx          7 lib -> usr/lib  # layout",
    ]


def test_list_of_entries_that_are_not_written() -> None:
    tree = Tree()
    tree.add_symlink("lib", "usr/lib", why="layout")
    assert list(list_entries(tree)) == ["lrwxrwxrwx          7 lib -> usr/lib  # layout"]


def test_list_of_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("12345")
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], input=b"file", cwd=tmp_path, check=True,
        capture_output=True, timeout=30,
    ).stdout  # fmt: skip
    path = tmp_path / "initrd"
    path.write_bytes(archive + gzip.compress(archive, mtime=0))
    lines = list(list_image(path))
    assert lines[1::2] == ["-rw-r--r--          5 file"] * 2
    assert lines[0].startswith("# segment 1: offset 0, none, ")
    assert lines[2].startswith(f"# segment 2: offset {len(archive)}, gzip, ")
    assert lines[2].endswith("5 bytes unpacked, 1 entries")
    assert read_manifest(path) is None


def test_a_damaged_manifest_does_not_stop_the_list(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = ours(tmp_path / "initrd", b"{")
    with caplog.at_level(logging.WARNING):
        lines = list(list_image(path))
    assert f"{path}: kdump-initrd/manifest.json: not JSON: " in caplog.text
    assert lines[-1] == "lrwxrwxrwx          7 lib -> usr/lib"


def test_manifest_there_and_back(tmp_path: Path) -> None:
    text = MANIFEST_OF_TEST.to_json()
    assert Manifest.from_json(text) == MANIFEST_OF_TEST
    assert read_manifest(ours(tmp_path / "initrd", text.encode())) == MANIFEST_OF_TEST
    assert Manifest.from_json('{"kind": "capture", "version": "9", "newer": 1}').version == "9"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "m: not a JSON object"),
        ('{"kind": "capture"}', "m: version is missing"),
        ('{"kind": 1, "version": ""}', "m: kind is of the wrong type"),
        ('{"kind": "", "version": "", "modules": "x"}', "m: modules is of the wrong type"),
        ('{"kind": "", "version": "", "entries": {"a": 1}}', "m: entries is of the wrong type"),
        ('{"kind": "", "version": "", "base_size": "1"}', "m: base_size is of the wrong type"),
        ('{"kind": "", "version": "", "base_size": -1}', "m: base_size is of the wrong type"),
        ('{"kind": "", "version": "", "base_sha256": 1}', "m: base_sha256 is of the wrong type"),
    ],
)
def test_manifests_that_are_none(text: str, message: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        Manifest.from_json(text, name="m")
    assert caught.value.message == message


def test_a_segment_of_ours_behind_a_base_comes_first_in_it(tmp_path: Path) -> None:
    tree = Tree()
    tree.add_content("etc/a", b"", why="x")
    tree.add_content(SEGMENT, b"{}", why="what is ours")
    path = tmp_path / "initrd"
    write_image(tree, path, Packing(Codec.NONE, 0), force=False)
    lines = [line.split()[-1] for line in list_image(path)][1:]
    assert lines == ["kdump-initrd", "kdump-initrd/segment.json", "etc", "etc/a"]
