# SPDX-License-Identifier: GPL-2.0-or-later
"""Stored and unpacked size of our images, beside the floor's and those of other tools."""

from __future__ import annotations

import sys

from tests.vm import disks, floor, product
from tests.vm.kernels import Kernel
from tests.vm.scenario import folder_of

from .subject import chosen_kernel
from .table import Row, report

_MB = 1e6
_STORED = 7.0
_UNPACKED = 17.0
#: Measured once, on Debian 12 with its kernel 6.1: stored and unpacked MB.
_PEERS = {
    "Debian kdump-tools": (7.6, 20.1),
    "dracut, no systemd": (12.7, 33.2),
    "dracut, systemd": (14.0, 37.0),
}


def _ours(kernel: Kernel, *options: str) -> tuple[float, float]:
    # The image without compression is the archive itself.
    device = f"UUID={disks.UUID}"
    options = (*product.VIRTIO, *options)
    folder = folder_of("bench-size")
    stored = product.build(folder / "stored.img", kernel, device, *options)
    plain = product.build(folder / "plain.img", kernel, device, *options, "--compress", "none")
    return stored.path.stat().st_size / _MB, plain.path.stat().st_size / _MB


def main() -> int:
    """Measure and print; the status is 1 if an image is too large."""
    kernel = chosen_kernel(__doc__ or "")
    rows = []
    for name, options in (("ours, busybox", ()), ("ours, no busybox", product.NO_BUSYBOX)):
        stored, unpacked = _ours(kernel, *options)
        demanded = not options
        rows.append(Row(f"{name}: stored", stored, "MB", _STORED if demanded else None))
        rows.append(Row(f"{name}: unpacked", unpacked, "MB", _UNPACKED if demanded else None))
    least = floor.build(folder_of("bench-size") / "floor.zst", kernel)
    rows.append(Row("floor: stored", least.stored / _MB, "MB"))
    rows.append(Row("floor: unpacked", least.unpacked / _MB, "MB"))
    for name, (stored, unpacked) in _PEERS.items():
        rows.append(Row(f"{name}: stored", stored, "MB", note="earlier measurement, kernel 6.1"))
        rows.append(Row(f"{name}: unpacked", unpacked, "MB", note="earlier measurement"))
    return report(f"size of a capture initrd, kernel {kernel.release}", rows)


if __name__ == "__main__":
    sys.exit(main())
