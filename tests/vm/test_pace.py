# SPDX-License-Identifier: GPL-2.0-or-later
"""Deadlines stretch with what the host does."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pace import Pace, slowness


def stat(path: Path, *, running: int, idle: int = 0, stolen: int = 0) -> None:
    """Write a /proc/stat."""
    path.write_text(
        f"cpu  100 0 50 {idle} 0 0 0 {stolen} 0 0\ncpu0 1 2 3\nprocs_running {running}\n"
    )


@pytest.mark.parametrize(
    ("running", "worth"),
    [(1, 1.0), (3, 1.0), (5, 0.5), (9, 0.25)],
    ids=["idle", "two machines", "twice as many", "four times as many"],
)
def test_who_shares_the_processors_slows_the_clock(
    tmp_path: Path, running: int, worth: float
) -> None:
    stat(tmp_path / "stat", running=running)
    pace = Pace(stat=tmp_path / "stat", processors=2)
    stat(tmp_path / "stat", running=running, idle=100)
    assert pace.worth(10) * slowness() == pytest.approx(10 * worth)


def test_what_a_hypervisor_takes_slows_the_clock(tmp_path: Path) -> None:
    stat(tmp_path / "stat", running=1)
    pace = Pace(stat=tmp_path / "stat", processors=2)
    stat(tmp_path / "stat", running=1, idle=60, stolen=40)
    assert pace.worth(10) * slowness() == pytest.approx(6)


def test_this_host_can_tell() -> None:
    assert 0 < Pace().worth(1) <= 1
    assert slowness() >= 1
