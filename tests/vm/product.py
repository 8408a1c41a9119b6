# SPDX-License-Identifier: GPL-2.0-or-later
"""The product as a user runs it: build a capture image, and ask for its command line."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import run

from .kernels import Kernel

#: The command, as an installed one is run.
ME = (sys.executable, "-m", "kdump_initrd")
#: Options for an image for QEMU's disks, whatever hardware the host has.
VIRTIO = ("--hardware", "virtio")
#: Options for an image without busybox.
NO_BUSYBOX = ("--tools", "root")
#: The prefix of its console lines.
SPEAKER = "kdump-initrd"


@dataclass(frozen=True)
class Product:
    """A capture image of ours, the capture kernel's command line, and the seconds it took."""

    path: Path
    command_line: str
    seconds: float


def _root(kernel: Kernel) -> list[str]:
    return [] if kernel.root == Path("/") else ["--root", str(kernel.root)]


def build(
    target: Path,
    kernel: Kernel,
    device: str,
    *options: str,
    fstype: str = "ext4",
    command: Sequence[str] = ME,
) -> Product:
    """Build a capture image that saves to ``device``; ``command`` runs the product.

    Without a device, the options say where dumps go. Raises KdumpInitrdError with the product's own
    words when it fails.
    """
    target.unlink(missing_ok=True)
    start = time.monotonic()
    where = ["-c", device, "-f", fstype] if device else []
    argv = [*where, "-o", str(target), *_root(kernel), *options]
    run([*command, *argv, kernel.release], timeout=120)
    seconds = time.monotonic() - start
    line = run([*ME, "--print-cmdline", target], timeout=60).stdout.decode().strip()
    return Product(target, line, seconds)


def build_first(target: Path, capture: Path, kernel: Kernel, *options: str) -> Product:
    """Build an initrd for ``kernel`` that loads it with the capture initrd.

    The command line is what is built in of the capture kernel's. Raises KdumpInitrdError with
    the product's own words when it fails.
    """
    target.unlink(missing_ok=True)
    start = time.monotonic()
    argv = ["-i", str(capture), "-v", kernel.release, "-o", str(target), *_root(kernel), *options]
    run([*ME, *argv, kernel.release], timeout=120)
    seconds = time.monotonic() - start
    line = run([*ME, "--print-cmdline", target], timeout=60).stdout.decode().strip()
    return Product(target, line, seconds)
