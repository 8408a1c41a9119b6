# SPDX-License-Identifier: GPL-2.0-or-later
"""Stored and unpacked size of our images, beside the floor's and those of other tools."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from kdump_initrd.core.run import run
from tests.vm import disks, floor, product
from tests.vm.kernels import Kernel
from tests.vm.scenario import folder_of

from .subject import chosen_kernel
from .table import Row, report

_MB = 1e6
_SECOND_STAGE = re.compile(
    r"second stage: .* (?P<stored>\d+) bytes stored, (?P<unpacked>\d+) bytes"
)
_STORED = 7.0
_UNPACKED = 17.0
#: Measured once, on Debian 12 with its kernel 6.1: stored and unpacked MB.
_PEERS = {
    "Debian kdump-tools": (7.6, 20.1),
    "dracut, no systemd": (12.7, 33.2),
    "dracut, systemd": (14.0, 37.0),
}


@dataclass(frozen=True)
class _Sizes:
    # All in MB; ``early`` is what the kernel itself unpacks, before /init.
    stored: float
    early: float
    unpacked: float


def _ours(kernel: Kernel, *options: str) -> _Sizes:
    # The image without compression is the archive itself; a second stage in it is not unpacked.
    device = f"UUID={disks.UUID}"
    options = (*product.VIRTIO, *options)
    folder = folder_of("bench-size")
    stored = product.build(folder / "stored.img", kernel, device, *options).path.stat().st_size
    plain = product.build(folder / "plain.img", kernel, device, *options, "--compress", "none").path
    early = plain.stat().st_size
    listing = run([sys.executable, "-m", "kdump_initrd", "--list", str(plain)], timeout=60)
    stage = _SECOND_STAGE.search(listing.stdout.decode())
    more = int(stage["unpacked"]) - int(stage["stored"]) if stage else 0
    return _Sizes(stored / _MB, early / _MB, (early + more) / _MB)


def main() -> int:
    """Measure and print; the status is 1 if an image is too large."""
    kernel = chosen_kernel(__doc__ or "")
    rows = []
    for name, options in (("ours, busybox", ()), ("ours, no busybox", product.NO_BUSYBOX)):
        sizes = _ours(kernel, *options)
        rows.append(Row(f"{name}: stored", sizes.stored, "MB", _STORED))
        rows.append(Row(f"{name}: unpacked before /init", sizes.early, "MB"))
        rows.append(Row(f"{name}: unpacked in all", sizes.unpacked, "MB", _UNPACKED))
    least = floor.build(folder_of("bench-size") / "floor.zst", kernel)
    rows.append(Row("floor: stored", least.stored / _MB, "MB"))
    rows.append(Row("floor: unpacked", least.unpacked / _MB, "MB"))
    for name, (stored, unpacked) in _PEERS.items():
        rows.append(Row(f"{name}: stored", stored, "MB", note="earlier measurement, kernel 6.1"))
        rows.append(Row(f"{name}: unpacked", unpacked, "MB", note="earlier measurement"))
    return report(f"size of a capture initrd, kernel {kernel.release}", rows)


if __name__ == "__main__":
    sys.exit(main())
