# SPDX-License-Identifier: GPL-2.0-or-later
"""Seconds from panic to restart: ours beside the floor, turn about, medians of three."""

from __future__ import annotations

import statistics
import sys

from tests.vm.machine import Phase, Run
from tests.vm.scenario import crash

from .subject import LEVEL, chosen_kernel, floored, ours, progress
from .table import Row, report

_ROUNDS = 3
#: The demand: ours takes at most so many times the floor's seconds.
_RATIO = 1.25


def main() -> int:
    """Measure and print; the status is 1 if the ratio is too high."""
    kernel = chosen_kernel(__doc__ or "")
    runs: dict[str, list[Run]] = {"floor": [], "ours": []}
    for number in range(1, _ROUNDS + 1):
        for name, make in (("floor", floored), ("ours", ours)):
            run = crash(make(f"bench-restart-{name}", kernel)).run
            progress(f"round {number}: {name}: {run.restart_seconds:.1f} s")
            runs[name].append(run)
    medians = {
        name: statistics.median(run.restart_seconds for run in of) for name, of in runs.items()
    }
    rows = []
    for name, of in runs.items():
        to_init = statistics.median(run.took(Phase.CAPTURING) for run in of)
        rows.append(Row(name, medians[name], "s", note=f"of it {to_init:.2f} s before /init"))
    rows.append(Row("ours / floor", medians["ours"] / medians["floor"], "x", _RATIO))
    return report(
        f"panic to restart, level {LEVEL}, LZO, 1 GiB guest, kernel {kernel.release}", rows
    )


if __name__ == "__main__":
    sys.exit(main())
