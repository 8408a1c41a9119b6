# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps whose parts do not fit together: none of them is saved as if nothing were wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from . import flattening
from .logged import logged
from .minireader import MiniReader
from .running import Outcome, save
from .samples import sample
from .vmcore import PAGE, X86_64, Core, text

#: The sub header's (PAGE and its offsets): split, start_pfn, end_pfn, start_pfn_64, max_mapnr_64.
SUB = {"split": 12, "start": 16, "end": 20, "start64": 80, "frames": 96}
Change = Callable[[bytearray, MiniReader], None]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """A sound dump."""
    return save(tmp_path, logged(sample()[0]), directory="sound", dump_level=1).dump


def put(at: int, layout: str, value: int) -> Change:
    return lambda raw, _: struct.pack_into(layout, raw, at, value)


def sub(name: str, value: int) -> Change:
    return put(PAGE + SUB[name], "<Q" if SUB[name] > 20 else "<I", value)


def both(*changes: Change) -> Change:
    def change(raw: bytearray, reader: MiniReader) -> None:
        for each in changes:
            each(raw, reader)

    return change


def bits(which: int, change: Callable[[int, list[int]], int | None]) -> Change:
    """Change bits of the first or second bitmap: each byte becomes what change says of it."""

    def apply(raw: bytearray, reader: MiniReader) -> None:
        size = reader.bitmap_blocks // 2 * PAGE
        start = PAGE * (1 + reader.sub_blocks) + (which - 1) * size
        frames = reader.second
        for at in range(size):
            new = change(at, frames)
            if new is not None:
                raw[start + at] = new

    return apply


def without(frame: int) -> Callable[[int, list[int]], int | None]:
    def change(at: int, frames: list[int]) -> int | None:
        if at != frames[frame] >> 3:
            return None
        return sum(1 << (pfn & 7) for pfn in frames if pfn >> 3 == at and pfn != frames[frame])

    return change


def one_more(at: int, frames: list[int]) -> int | None:
    # A frame that no memory has.
    return 1 if at == (frames[-1] >> 3) // 2 else None


HEADERS = "its headers disagree: {main} and {sub} page frames"
CASES: dict[str, tuple[Change, str]] = {
    "sub header of 1 frame": (sub("frames", 1), HEADERS),
    "sub header of none": (sub("frames", 0), HEADERS),
    "sub header of one frame less": (
        lambda raw, reader: sub("frames", reader.frames[2] - 1)(raw, reader),
        HEADERS,
    ),
    "main header of 1 frame": (put(440, "<I", 1), HEADERS),
    "main header of far too many": (put(440, "<I", 0xFFFFFFFF), HEADERS),
    "both headers of 1 frame": (
        both(sub("frames", 1), put(440, "<I", 1)),
        "{blocks} blocks of bitmaps do not match 1 page frames",
    ),
    "both headers of too few": (
        lambda raw, reader: both(sub("frames", reader.frames[2] - 1),
                                 put(440, "<I", reader.frames[2] - 1))(raw, reader),
        "its bitmaps have pages beyond its {less} page frames",
    ),
    "an odd count of blocks": (
        lambda raw, reader: put(436, "<I", reader.bitmap_blocks + 1)(raw, reader),
        "blocks of bitmaps do not match",
    ),
    "two blocks more": (
        lambda raw, reader: put(436, "<I", reader.bitmap_blocks + 2)(raw, reader),
        "blocks of bitmaps do not match",
    ),
    "too few blocks": (put(436, "<I", 0), "its bitmaps are smaller than memory"),
    "split": (sub("split", 1), "a part of a dump that was split"),
    "the start of a part": (sub("start", 5), "a part of a dump that was split"),
    "the end of a part": (sub("end", 5), "a part of a dump that was split"),
    "the start of a part, 64 bits": (sub("start64", 5), "a part of a dump that was split"),
    "blocks of an odd size": (put(428, "<I", 5000), "the dump's header is damaged"),
    "blocks of another size": (put(428, "<I", 2 * PAGE), ""),
    "pages of another size": (
        lambda raw, _: put(raw.index(b"PAGESIZE=4096") + 9, "<I", 0x32393138)(raw, _),
        "pages have 4096 bytes by its header, and 8192 by its VMCOREINFO",
    ),
    "no page at all": (bits(2, lambda *_: 0), "no page is in the dump: its bitmap is empty"),
    "a page less at the start": (bits(2, without(0)), "there are descriptors for more"),
    "a page less at the end": (bits(2, without(-1)), "there are descriptors for more"),
    "a page less in the middle": (bits(2, without(77)), "there are descriptors for more"),
    "half of the pages less": (
        bits(2, lambda at, frames: 0 if at > frames[170] >> 3 else None),
        "there are descriptors for more",
    ),
    "a page more": (
        both(bits(1, one_more), bits(2, one_more)),
        "there are descriptors for fewer",
    ),
    "a page that no memory has": (
        bits(2, one_more),
        "its second bitmap has pages that its first one lacks",
    ),
    "memory less": (
        bits(1, without(77)),
        "its second bitmap has pages that its first one lacks",
    ),
    "a page in the headers": (
        lambda raw, reader: struct.pack_into("<QI", raw, reader.table + 24 * 9, PAGE, PAGE),
        "",
    ),
}  # fmt: skip


def wrong(done: Outcome, said: str, why: str) -> None:
    """Demand that a line and the status tell of damage."""
    assert done.status in (1, 3)
    assert done.report["result"] == {1: "incomplete", 3: "failed"}[done.status]
    assert why in said
    assert any("error: " in line and why in line for line in said.splitlines())
    facts = done.report["dump"]
    assert not facts or (facts["verified"], facts["sha256"]) == ("none", "")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("verify", ["full", "none"])
def test_what_does_not_fit(
    tmp_path: Path, dump: Path, name: str, verify: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change, why = CASES[name]
    reader = MiniReader(dump, X86_64)
    raw = bytearray(reader.raw)
    change(raw, reader)
    (tmp_path / "damaged").write_bytes(raw)
    capfd.readouterr()
    done = save(tmp_path, tmp_path / "damaged", verify=verify, dump_level=0)
    main = struct.unpack_from("<I", raw, 440)[0]
    frames = struct.unpack_from("<Q", raw, PAGE + SUB["frames"])[0]
    blocks = struct.unpack_from("<I", raw, 436)[0]
    text = why.format(main=main, sub=frames, blocks=blocks, less=reader.frames[2] - 1)
    said = capfd.readouterr().err
    assert "Traceback" not in said
    wrong(done, said, text)


def test_headers_that_disagree_cost_no_page(tmp_path: Path, dump: Path) -> None:
    whole = MiniReader(dump, X86_64)
    for change in (sub("frames", 1), put(440, "<I", 1)):
        raw = bytearray(whole.raw)
        change(raw, whole)
        (tmp_path / "damaged").write_bytes(raw)
        done = save(tmp_path, tmp_path / "damaged", dump_level=0)
        back = MiniReader(done.dump, X86_64)
        assert {pfn: back.page(pfn) for pfn in back.second} == {
            pfn: whole.page(pfn) for pfn in whole.second
        }


def test_records_of_a_flattened_dump_that_moved(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Wherever one record goes, what comes out is the whole dump, or an error.
    core = logged(sample()[0])
    done = save(tmp_path, core, directory="sound", dump_format="flat", dump_level=1)
    found = flattening.records(done.dump)
    whole = flattening.plain(found)
    (tmp_path / "plain").write_bytes(whole)
    wanted = MiniReader(tmp_path / "plain", X86_64)
    contents = {pfn: wanted.page(pfn) for pfn in wanted.second}
    moved = 0
    for number, (offset, data) in enumerate(found):
        for step in (-PAGE, -24, -1, 1, 24, PAGE, 1 << 20, 1 << 40):
            if offset + step < 0:
                continue
            other = list(found)
            other[number] = (offset + step, data)
            (tmp_path / "moved").write_bytes(flattening.flatten(other))
            capfd.readouterr()
            done = save(tmp_path, tmp_path / "moved", dump_level=0, verify="none")
            moved += 1
            if done.status:
                assert "error: " in capfd.readouterr().err
                continue
            back = MiniReader(done.dump, X86_64)
            assert {pfn: back.page(pfn) for pfn in back.second} == contents, (number, step)
    assert moved > 40


def test_a_vmcore_of_which_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kdump_initrd.saver.filter.walk.PageFilter.run", lambda *_: None)
    done = save(tmp_path, Core().load(0x100000, text(3)))
    wrong(done, capfd.readouterr().err, "there is no page of memory in it")
