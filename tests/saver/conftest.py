# SPDX-License-Identifier: GPL-2.0-or-later
"""A small file system that can be filled, and a look at what is left behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a tmpfs of so many KiB; that needs root."""
    mounted: list[Path] = []

    def mount(kib: int) -> Path:
        path = tmp_path / f"disk{len(mounted)}"
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=755", "tmpfs", str(path)]
        subprocess.run(command, timeout=20, check=True)
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", str(path)], timeout=20, check=True)


@pytest.fixture
def nothing_is_left_behind() -> Iterator[None]:
    """Demand that no process and no open file remains."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
