# SPDX-License-Identifier: GPL-2.0-or-later
"""The saver cut short at every call that changes the disk: what lies there is always true."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.saver.__main__ import main
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.kdump.kdumpread import KdumpDump
from kdump_initrd.saver.low import libc

from .logged import logged
from .running import arguments
from .vmcore import PAGE, Core, noise, text, zero

#: What changes the disk.
CALLS = (
    *((os, name) for name in ("open", "mkdir", "write", "pwrite", "ftruncate", "posix_fallocate")),
    *((os, name) for name in ("fsync", "fdatasync", "rename", "unlink")),
    *((libc, name) for name in ("write_at", "sync_range")),
)
CONTENT = text(30) + zero(20) + noise(40)
_CUT = 77


def cut_short(vmcore: Path, output: Path, number: int) -> int:
    """Run the saver in a child that ends before a call, the first being 0; return its status."""
    pid = os.fork()
    if not pid:
        left = [number]

        def counting(call: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*words: object, **more: object) -> object:
                if not left[0]:
                    os._exit(_CUT)
                left[0] -= 1
                return call(*words, **more)

            return counted

        try:
            for place, name in CALLS:
                setattr(place, name, counting(getattr(place, name)))
            options = {"dump_level": 1, "readme_name": "README", "console": output / "said"}
            os._exit(main(arguments(vmcore, output / "out", **options)))
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def look(folder: Path) -> str:
    """Check what is there against the report; return its result, "" where there is none yet."""
    whole, part = folder / "vmcore", folder / "vmcore-incomplete"
    assert not (whole.exists() and part.exists())
    if not (folder / "report.json").exists():
        assert not whole.exists() and not part.exists()
        return ""
    report = json.loads((folder / "report.json").read_text())
    result = report["result"]
    if whole.exists():
        assert result in ("finishing", "saved") and report["dump"]["name"] == "vmcore"
        assert read(whole) == CONTENT
    elif result == "finishing":
        assert read(part) == CONTENT
    else:
        assert result == "incomplete"
        if part.exists() and part.stat().st_size:
            read(part)
    return str(result)


def read(path: Path) -> bytes:
    """Return what a dump has of the content, without the pages that are lost."""
    try:
        dump = open_dump(str(path))
    except Exception:
        # Its headers are not all there yet: no page is.
        assert path.stat().st_size < 40 * PAGE
        return b""
    assert isinstance(dump, KdumpDump)
    found = [dump.page(0x100 + number) for number in range(90)]
    dump.close()
    return b"".join(page for page in found if page is not None)


@pytest.mark.timeout(300)
def test_a_saver_that_ends_at_any_call_leaves_the_truth(tmp_path: Path) -> None:
    vmcore = logged(Core().load(0x100000, CONTENT)).write(tmp_path / "vmcore.in")
    results: list[str] = []
    for number in range(2000):
        output = tmp_path / str(number)
        output.mkdir()
        status = cut_short(vmcore, output, number)
        folder = output / "out/crash"
        results.append(look(folder) if folder.exists() else "")
        if status != _CUT:
            break
    assert (status, results[-1]) == (0, "saved")
    assert len(results) > 80, "what is counted is not what the saver calls"
    order = ["", "incomplete", "finishing", "saved"]
    assert list(dict.fromkeys(results)) == order
    assert [order.index(each) for each in results] == sorted(map(order.index, results))
