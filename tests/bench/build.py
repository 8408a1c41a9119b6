# SPDX-License-Identifier: GPL-2.0-or-later
"""Seconds to build a capture initrd, medians of five, beside one run of mkinitramfs."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from kdump_initrd.run import find, run
from tests.vm import disks, product
from tests.vm.kernels import Kernel
from tests.vm.scenario import folder_of

from .subject import chosen_kernel
from .table import Row, report

_ROUNDS = 5
#: The demands in seconds, by set of hardware.
_LIMITS = {"virtio": 1.2, "generic": 2.0}


def _ours(kernel: Kernel, hardware: str) -> list[float]:
    target = folder_of("bench-build") / "capture.img"
    options = ("--hardware", hardware)
    device = f"UUID={disks.UUID}"
    return [product.build(target, kernel, device, *options).seconds for _ in range(_ROUNDS)]


def _mkinitramfs(kernel: Kernel) -> float | None:
    if find("mkinitramfs") is None or kernel.root != Path("/"):
        return None
    start = time.monotonic()
    run(["mkinitramfs", "-o", folder_of("bench-build") / "peer.img", kernel.release], timeout=300)
    return time.monotonic() - start


def main() -> int:
    """Measure and print; the status is 1 if a build takes too long."""
    kernel = chosen_kernel(__doc__ or "")
    rows = []
    for hardware, limit in _LIMITS.items():
        times = _ours(kernel, hardware)
        spread = f"{min(times):.2f} to {max(times):.2f} s"
        rows.append(Row(f"ours, {hardware}", statistics.median(times), "s", limit, spread))
    peer = _mkinitramfs(kernel)
    if peer is not None:
        rows.append(Row("mkinitramfs", peer, "s", note="one run"))
    return report(f"build time, kernel {kernel.release}", rows)


if __name__ == "__main__":
    sys.exit(main())
