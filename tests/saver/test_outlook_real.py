# SPDX-License-Identifier: GPL-2.0-or-later
"""The estimate beside real dumps: the kinds of pages that a crash had, and a sample of memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.upkeep.ready import sample
from kdump_initrd.upkeep.ready.forecast import Memory
from kdump_initrd.upkeep.ready.outlook import LEVELS
from tests.vm.kernels import Kernel, newest
from tests.vm.vmcores import filled_vmcore, raw_vmcore

from .running import save

pytestmark = pytest.mark.timeout(600)

#: How far off the estimate may be at level 31; at lower levels it only must not promise too much,
#: since free memory and page cache of a machine that has just started are full of zeros.
FACTOR = 2
PAGE = 4096


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(raw_vmcore, marks=pytest.mark.qemu, id="idle"),
        pytest.param(filled_vmcore, marks=pytest.mark.full, id="filled"),
    ],
)
def test_a_dump_is_as_large_as_estimated(tmp_path: Path, make: Callable[[Kernel], Path]) -> None:
    vmcore = make(newest())
    sizes, found = {}, {}
    for level in LEVELS:
        (tmp_path / str(level)).mkdir()
        report = save(tmp_path / str(level), vmcore, dump_level=level, dump_compress="lzo").report[
            "dump"
        ]
        sizes[level] = report["bytes"]
        found = {"pages": report["pages"], **report["left_out"]}
    # At level 31, which is the last one, each kind of page has been counted.
    pages = {name: PAGE * found.get(name, 0) for name in ("cache", "private_cache", "user", "free")}
    memory = Memory(
        whole=PAGE * found["pages"] + sum(pages.values()),
        cache=pages["cache"],
        private=pages["private_cache"],
        user=pages["user"],
        free=pages["free"],
        page=PAGE,
    )
    ratio = sample.measure(["lzo"]).ratio
    wanted = {level: memory.size(level, ratio) for level in LEVELS}
    said = {level: (wanted[level], sizes[level]) for level in LEVELS}
    assert sizes[31] / FACTOR < wanted[31] < sizes[31] * FACTOR, said
    for level in LEVELS:
        assert wanted[level] > sizes[level] * 2 / 3, said
