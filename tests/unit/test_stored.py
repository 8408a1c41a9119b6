# SPDX-License-Identifier: GPL-2.0-or-later
"""Initrds that are larger than memory, or would be: they are read in pieces, or refused."""

from __future__ import annotations

import bz2
import gzip
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.image.archive.base import read_base
from kdump_initrd.image.archive.segments import read_manifest, read_segments
from kdump_initrd.image.archive.stored import Part, open_stored
from kdump_initrd.image.listing import list_image

from .initrdwriter import newc

_TRAILER = newc([])


def test_slices_are_those_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    stored = open_stored(path)
    path.unlink()
    part = Part(stored, 2, 6, padding=2)
    assert (len(stored), len(part)) == (10, 6)
    assert stored == b"0123456789"
    assert part == b"2345\0\0"
    assert part != b"2345\0"
    for start in (None, 0, 1, 4, 9, 99, -3):
        for end in (None, 0, 3, 5, 99, -1):
            assert stored[start:end] == b"0123456789"[start:end]
            assert part[start:end] == b"2345\0\0"[start:end]


def test_a_link_or_fifo_is_no_initrd(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo")
    for name, why in (
        ("link", "is a symbolic link, or behind one"),
        ("fifo", "is not a regular file"),
    ):
        with pytest.raises(KdumpInitrdError) as caught:
            read_segments(tmp_path / name)
        assert caught.value.message == f"{tmp_path / name}: {why}"


def test_listing_follows_a_users_link(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(_TRAILER)
    (tmp_path / "link").symlink_to("image")
    assert [*list_image(tmp_path / "link")] == [*list_image(tmp_path / "image")]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(KdumpInitrdError, match="loop: is a symbolic link, or behind one"):
        [*list_image(tmp_path / "loop")]


def _zeros(program: list[str], path: Path, size: int) -> None:
    with path.open("wb") as file:
        maker = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE)
        subprocess.run(program, stdin=maker.stdout, stdout=file, check=True, timeout=60)
        assert maker.wait(timeout=10) == 0
        assert maker.stdout
        maker.stdout.close()


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    _zeros(["zstd", "-q", "-1"], path, 300 << 20)
    size = path.stat().st_size
    assert size < 200_000
    most = ((1 << 28) + 50 * size) >> 20
    for read in (lambda path: [*list_image(path)], read_manifest, read_base):
        start = time.process_time()
        with pytest.raises(KdumpInitrdError) as caught:
            read(path)
        assert caught.value.message == (
            f"{path}: segment 1 at offset 0: unpacks to more than {most} MB"
        )
        assert time.process_time() - start < 10


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_the_end_of_a_bomb_is_not_sought(
    tmp_path: Path, pack: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kdump_initrd.image.archive.meter.Meter._ANY", 1 << 20)
    assert callable(pack)
    (tmp_path / "bomb").write_bytes(pack(bytes(4 << 20)))
    with pytest.raises(KdumpInitrdError, match=r"unpacks to more than 1 MB"):
        read_segments(tmp_path / "bomb")


def test_many_entries_do_not_fill_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdump_initrd.image.archive.base._MEMORY", 1 << 16)
    many = b"".join(_folder(f"d{number}") for number in range(70))
    (tmp_path / "many").write_bytes(many + _TRAILER)
    with pytest.raises(KdumpInitrdError, match=r"many: segment 1: too many entries"):
        read_base(tmp_path / "many")


def _folder(name: str) -> bytes:
    raw = name.encode() + b"\0"
    numbers = (1, 0o40755, 0, 0, 2, 0, 0, 0, 0, 0, 0, len(raw), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return (header + raw).ljust(-(-(110 + len(raw)) // 4) * 4, b"\0")


def test_an_initrd_of_gigabytes_is_listed_in_little_memory(tmp_path: Path) -> None:
    size = 3 << 30
    raw = b"large\0"
    numbers = (1, 0o100644, 0, 0, 1, 0, size, 0, 0, 0, 0, len(raw), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers) + raw
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)  # a hole
        file.seek(0, os.SEEK_END)
        file.write(_TRAILER)
    done = subprocess.run(
        [sys.executable, "-m", "kdump_initrd", "--list", path],
        capture_output=True, timeout=60, check=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20)),
    )  # fmt: skip
    assert re.search(rf"-rw-r--r-- {size} large", done.stdout)
