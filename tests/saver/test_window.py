# SPDX-License-Identifier: GPL-2.0-or-later
"""Mapping, and the road around it where it fails."""

from __future__ import annotations

import ctypes
import errno
from pathlib import Path

import pytest

from kdump_initrd.saver.memory import window
from kdump_initrd.saver.memory.window import Window

from .faults import FaultyWindow
from .vmcore import PAGE, noise


def _all(view: Window, size: int) -> tuple[bytes, list[int]]:
    # What views give of a file, unreadable pages as zeros, and the numbers of those.
    got, bad = b"", []
    while len(got) < size:
        address, count = view.view(len(got), size - len(got), PAGE)
        if not count:
            bad.append(len(got) // PAGE)
            got += bytes(PAGE)
        else:
            got += ctypes.string_at(address, count)
    return got, bad


def test_mapped_and_read_bytes_are_the_file_s(tmp_path: Path) -> None:
    data = noise(window.SPAN // PAGE + 40)
    path = tmp_path / "file"
    path.write_bytes(data)
    for view in (Window(str(path)), FaultyWindow(str(path), map_fails=True)):
        assert _all(view, len(data)) == (data, [])
        address, count = view.view(5000, 100, PAGE)
        assert ctypes.string_at(address, count) == data[5000:5100]
        assert view.read(10, 20) == data[10:30]
        assert view.read(len(data) - 5, 100) == data[-5:]
        assert view.view(len(data), 1, PAGE) == (0, 0)
        view.close()


def test_unreadable_pages_are_left_out_one_by_one(tmp_path: Path) -> None:
    data = noise(100)
    path = tmp_path / "file"
    path.write_bytes(data)
    view = FaultyWindow(str(path), map_fails=True, bad_pages=(3, 4, 70))
    got, bad = _all(view, len(data))
    assert bad == [3, 4, 70]
    for page in range(100):
        part = got[page * PAGE : (page + 1) * PAGE]
        assert part == (bytes(PAGE) if page in bad else data[page * PAGE : (page + 1) * PAGE])
    with pytest.raises(OSError, match="Input/output error") as caught:
        view.read(3 * PAGE, 10)
    assert caught.value.errno == errno.EIO
    view.close()


def test_a_file_that_shrank_does_not_end_the_process(tmp_path: Path) -> None:
    # The same SIGBUS as from a bad sector, without a bad disk.
    data = noise(64)
    path = tmp_path / "file"
    path.write_bytes(data)
    view = Window(str(path))
    with path.open("r+b") as file:
        file.truncate(20 * PAGE)
    got, bad = _all(view, len(data))
    assert got[: 20 * PAGE] == data[: 20 * PAGE]
    assert bad == list(range(20, 64))
    view.close()
