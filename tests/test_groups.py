# SPDX-License-Identifier: GPL-2.0-or-later
"""The groups of ``make test-full``: each test belongs to one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]


def groups() -> dict[str, list[Path]]:
    """Return the paths of each group, as make knows them."""
    argv = ["make", "--no-print-directory", "-s", "-C", str(REPO), "groups"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split(": ", 1) for line in done.stdout.splitlines()]
    return {name: [REPO / path for path in paths.split()] for name, paths in rows}


def test_each_test_is_in_one_group() -> None:
    found = groups()
    for path in sorted((REPO / "tests").rglob("test_*.py")):
        names = [
            name
            for name, tops in found.items()
            if any(path == top or top in path.parents for top in tops)
        ]
        assert len(names) == 1, f"{path.relative_to(REPO)}: in the groups {names}"


def test_each_path_of_a_group_is_there() -> None:
    for name, paths in groups().items():
        assert paths, f"{name} is empty"
        for path in paths:
            assert path.exists(), f"{name}: {path}"


def test_an_unknown_group_is_refused() -> None:
    argv = ["make", "-n", "-C", str(REPO), "test-full", "GROUP=disk"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert re.search(r"GROUP=disk: expected one of disks faults \S+", done.stderr)
