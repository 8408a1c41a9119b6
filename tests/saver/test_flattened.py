# SPDX-License-Identifier: GPL-2.0-or-later
"""The flattened format: records in any order, and what is wrong with some."""

from __future__ import annotations

import ctypes
import os
import random
import struct
from pathlib import Path

import pytest

from kdump_initrd.saver.formats.kdump.flatwindow import FlatWindow
from kdump_initrd.saver.low.board import Lock
from kdump_initrd.saver.store.medium import FlatOutput

from . import flattening
from .minireader import MiniReader
from .running import save
from .samples import sample
from .vmcore import X86_64


@pytest.mark.parametrize("seed", range(4))
def test_records_in_any_order(tmp_path: Path, seed: int) -> None:
    core, pages = sample()
    raw = save(tmp_path, core).dump.read_bytes()
    found = flattening.cut(raw, random.Random(seed))
    path = tmp_path / "flat"
    path.write_bytes(flattening.flatten(found))
    assert flattening.plain(found) == raw
    window = FlatWindow(str(path))
    rng = random.Random(seed)
    for _ in range(300):
        at, size = rng.randrange(len(raw)), rng.choice((1, 24, 5000))
        assert window.read(at, size) == raw[at : at + size]
    assert window.read(0, 1 << 30) == raw and window.read(len(raw), 9) == b""
    window.close()
    done = save(tmp_path, path)
    assert done.status == 0
    dump = MiniReader(done.dump, X86_64)
    assert {pfn: dump.page(pfn) for pfn in dump.second} == pages


def test_a_long_record_under_short_ones(tmp_path: Path) -> None:
    # The first one reaches far behind those that begin later.
    found = [(0, b"a" * 1000), (10, b"b" * 5), (500, b"c"), (400, b"d" * 10)]
    path = tmp_path / "flat"
    path.write_bytes(flattening.flatten(found))
    window = FlatWindow(str(path))
    raw = flattening.plain(found)
    assert [window.read(at, 1) for at in range(1000)] == [raw[at : at + 1] for at in range(1000)]
    window.close()


def test_what_no_record_has_is_zeros(tmp_path: Path) -> None:
    path = tmp_path / "flat"
    path.write_bytes(flattening.flatten([(100, b"x"), (0, b"y"), (50, b"z" * 9)]))
    window = FlatWindow(str(path))
    assert window.read(0, 200) == b"y" + bytes(49) + b"z" * 9 + bytes(41) + b"x"
    window.close()


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (b"", "truncated: the flattened dump has no end"),
        (flattening.END[:15], "truncated: the flattened dump has no end"),
        (struct.pack(">qq", 5, 0), "a record of the flattened dump is damaged at"),
        (struct.pack(">qq", 5, 1), "a record of the flattened dump is damaged at"),
        (struct.pack(">qq", -2, 1) + b"x" + flattening.END, "damaged at"),
        (struct.pack(">qq", 1 << 60, 1) + b"x" + flattening.END, "damaged at"),
        (struct.pack(">qq", 1, 1 << 60) + flattening.END, "damaged at"),
    ],
)
def test_damaged_records_are_refused(tmp_path: Path, end: bytes, why: str) -> None:
    found = flattening.records(save(tmp_path, sample()[0], dump_format="flat").dump)
    path = tmp_path / "flat"
    path.write_bytes(flattening.flatten(found, end=end))
    done = save(tmp_path, path)
    assert (done.status, done.report["result"]) == (3, "failed")
    assert why in done.step("vmcore")["detail"]


def test_no_byte_of_a_flattened_dump_is_written_twice(tmp_path: Path) -> None:
    done = save(tmp_path, sample()[0], dump_format="flat")
    found = flattening.records(done.dump)
    end = 0
    for offset, data in sorted(found):
        assert offset >= end
        end = offset + len(data)
    assert found[-1][0] == 0, "not the main header"
    plain = save(tmp_path, sample()[0])
    assert flattening.plain(found) == plain.dump.read_bytes()


@pytest.mark.parametrize("append", [False, True])
def test_a_flattened_dump_behind_something_else(tmp_path: Path, append: bool) -> None:
    path = tmp_path / "flat"
    path.write_bytes(b"before")
    fd = os.open(path, os.O_WRONLY | (os.O_APPEND if append else 0))
    os.lseek(fd, 6, os.SEEK_SET)
    out = FlatOutput(fd, Lock(-1))
    out.write(b"data", 5)
    assert out.write_from(ctypes.addressof(ctypes.create_string_buffer(b"more")), 4, 9) == (4, 0)
    out.write(b"header", 0)
    out.end(13)
    os.close(fd)
    raw = path.read_bytes()
    assert raw == b"before" + flattening.flatten([(5, b"data"), (9, b"more"), (0, b"header")])
