# SPDX-License-Identifier: GPL-2.0-or-later
"""Seconds to build a capture initrd, medians of five, beside one run of mkinitramfs.

Also for other architectures, whose programs this host cannot run: the usual ports of
tests/ports/table.py.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from kdump_initrd.core.run import find, run
from tests.ports.table import PORTS
from tests.vm import disks, product
from tests.vm.kernels import Kernel
from tests.vm.scenario import folder_of

from .subject import chosen_kernel
from .table import Row, report

_ROUNDS = 5
#: The demands in seconds, by set of hardware; and for another architecture.
_LIMITS = {"virtio": 1.2, "generic": 2.0}
_FOREIGN_LIMIT = 2.0


def _ours(kernel: Kernel, hardware: str, *, cold: bool) -> list[float]:
    # The product keeps what is slow to make: a cold build finds nothing of it.
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_ROUNDS + 1):
            os.environ["XDG_CACHE_HOME"] = f"{folder}/{number if cold else 0}"
            times.append(_build(kernel, hardware))
    return times[1:]


def _rows(name: str, kernel: Kernel, hardware: str, limit: float) -> list[Row]:
    rows = []
    for cold in (True, False):
        times = _ours(kernel, hardware, cold=cold)
        what = f"{name}, {hardware}, {'first build' if cold else 'built before'}"
        spread = f"{min(times):.2f} to {max(times):.2f} s"
        rows.append(Row(what, statistics.median(times), "s", limit, spread))
    return rows


def _build(kernel: Kernel, hardware: str) -> float:
    target = folder_of("bench-build") / "capture.img"
    options = ("--hardware", hardware)
    device = f"UUID={disks.UUID}"
    return product.build(target, kernel, device, *options).seconds


def _mkinitramfs(kernel: Kernel, modules: str) -> float | None:
    """Return the seconds of Debian's own tool, with the host's configuration but for MODULES."""
    if find("mkinitramfs") is None or kernel.root != Path("/"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "initramfs-tools"
        shutil.copytree("/etc/initramfs-tools", config)
        with (config / "initramfs.conf").open("a") as file:
            file.write(f"MODULES={modules}\n")
        start = time.monotonic()
        run(["mkinitramfs", "-d", config, "-o", f"{folder}/peer.img", kernel.release], timeout=300)
        return time.monotonic() - start


def main() -> int:
    """Measure and print; the status is 1 if a build takes too long."""
    kernel = chosen_kernel(__doc__ or "")
    rows = []
    for hardware, limit in _LIMITS.items():
        rows += _rows("ours", kernel, hardware, limit)
    for name in (name for name, port in PORTS.items() if port.usual):
        rows += _rows(name, PORTS[name].kernel(), "virtio", _FOREIGN_LIMIT)
    for modules, what in (("most", "one run"), ("dep", "as kdump-tools' hook does; one run")):
        peer = _mkinitramfs(kernel, modules)
        if peer is not None:
            rows.append(Row(f"mkinitramfs, MODULES={modules}", peer, "s", note=what))
    return report(f"build time, kernel {kernel.release}", rows)


if __name__ == "__main__":
    sys.exit(main())
