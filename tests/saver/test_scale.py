# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine of 1 TiB: 268 million struct pages, filtered in little memory."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from . import oracle, synthetic
from .description import parse
from .running import arguments, child
from .vmcore import PAGE

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]
#: Page frames of 1 TiB, and of the first GiB.
ALL, FIRST = (1 << 40) // PAGE, (1 << 30) // PAGE


def bitmaps(dump: Path) -> tuple[bytes, bytes]:
    """Return both bitmaps of a dump, without reading all of it."""
    with dump.open("rb") as file:
        header = file.read(464)
        block, sub_blocks, bitmap_blocks = struct.unpack_from("<iiI", header, 428)
        file.seek(block * (1 + sub_blocks))
        both = file.read(block * bitmap_blocks)
    return both[: len(both) // 2], both[len(both) // 2 :]


def test_a_tebibyte_mostly_free(tmp_path: Path) -> None:
    vmcore = synthetic.tebibyte_free(tmp_path / "vmcore")
    options = {"dump_level": 31, "dump_compress": "lzo"}
    done = child(*arguments(vmcore, tmp_path / "out", **options))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "crash"
    report = json.loads((folder / "report.json").read_text())
    layout = parse(synthetic.TEBIBYTE_FREE)
    rules = oracle.Rules(layout.info, layout.dialect, layout.page)
    kept = {*range(FIRST)} - oracle.excluded(rules, list(range(FIRST)), 31)
    first, second = bitmaps(folder / report["dump"]["name"])
    assert len(first) == len(second) == ALL // 8
    assert first == b"\xff" * (ALL // 8)
    wanted = bytearray(ALL // 8)
    for pfn in kept:
        wanted[pfn >> 3] |= 1 << (pfn & 7)
    assert second == wanted
    assert report["dump"]["pages"] == len(kept)
    assert report["rss_anon_kib"] <= 20_000
    # Debugging the saver's time is easier with the figures at hand (pytest -rP).
    print(report["seconds"], report["rss_anon_kib"], report["dump"])
