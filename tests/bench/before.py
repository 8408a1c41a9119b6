# SPDX-License-Identifier: GPL-2.0-or-later
"""This checkout beside another one, turn about: panic to restart, build time, stored size.

before.py CHECKOUT takes both from images that each checkout's own generator makes; figures are
medians of five pairs, and their ratio is what counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import run
from tests.vm import disks, product
from tests.vm.kernels import Kernel, newest
from tests.vm.scenario import Scenario, crash, folder_of

from .subject import LEVEL, progress
from .table import Row, report

_ROUNDS = 5
_BUILDS = 15
#: The demand: so many times the other checkout's, for each figure.
_RATIO = 1.05
_CRASHKERNEL_MIB = 128
_HERE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class _Side:
    # A checkout, and where its images and its cache are.
    name: str
    checkout: Path

    def call(self, *words: str) -> bytes:
        cache = folder_of(f"bench-before-{self.name}") / "cache"
        command = f"PYTHONPATH={self.checkout}", f"XDG_CACHE_HOME={cache}", sys.executable
        return run(["env", "-C", "/", *command, "-m", "kdump_initrd", *words], timeout=120).stdout

    def build(self, kernel: Kernel) -> Path:
        target = folder_of(f"bench-before-{self.name}") / "capture.img"
        target.unlink(missing_ok=True)
        words = ("-c", f"UUID={disks.UUID}", "-f", "ext4", "-o", str(target), *product.VIRTIO)
        self.call(*words, "--dump-level", str(LEVEL), "--dump-compress", "lzo", kernel.release)
        return target

    def crash(self, kernel: Kernel, image: Path) -> float:
        name = f"bench-before-{self.name}"
        disk = disks.make(folder_of(name) / "disk.raw")
        line = self.call("--print-cmdline", os.fspath(image)).decode().strip()
        scenario = Scenario(
            name, kernel, image, line, disks=(disk.path,), crashkernel_mib=_CRASHKERNEL_MIB
        )
        return crash(scenario).run.restart_seconds


def _builds(sides: Sequence[_Side], kernel: Kernel) -> Mapping[str, list[float]]:
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(_BUILDS + 1):
        for side in sides:
            start = time.monotonic()
            side.build(kernel)
            if number:  # the first one fills the cache
                times[side.name].append(time.monotonic() - start)
    return times


def main() -> int:
    """Measure and print; the status is 1 if a ratio is too high."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="a worktree of what it is compared with")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="pairs of crashes")
    arguments = parser.parse_args()
    kernel = newest()
    sides = (_Side("before", arguments.checkout.resolve()), _Side("now", _HERE))
    built = _builds(sides, kernel)
    images = {side.name: side.build(kernel) for side in sides}
    restarts: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(1, arguments.rounds + 1):
        for side in sides if number % 2 else reversed(sides):
            seconds = side.crash(kernel, images[side.name])
            progress(f"round {number}: {side.name}: {seconds:.1f} s")
            restarts[side.name].append(seconds)
    rows = []
    for what, figures in (("panic to restart", restarts), ("build, built before", built)):
        medians = {name: statistics.median(of) for name, of in figures.items()}
        rows += [Row(f"{what}: {name}", median, "s") for name, median in medians.items()]
        rows.append(Row(f"{what}: ratio", medians["now"] / medians["before"], "x", _RATIO))
    sizes = {name: image.stat().st_size / 1e6 for name, image in images.items()}
    rows += [Row(f"stored: {name}", size, "MB") for name, size in sizes.items()]
    rows.append(Row("stored: ratio", sizes["now"] / sizes["before"], "x", _RATIO))
    return report(f"this checkout beside {arguments.checkout}, kernel {kernel.release}", rows)


if __name__ == "__main__":
    sys.exit(main())
