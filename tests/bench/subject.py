# SPDX-License-Identifier: GPL-2.0-or-later
"""The two images that are measured side by side, ours and the floor, ready to crash with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.vm import disks, floor, product
from tests.vm.kernels import Kernel, newest
from tests.vm.scenario import Scenario, folder_of

#: Both sides leave out the same pages, those of the default level, and compress with LZO.
LEVEL = 31
#: The options for that.
LIKE_THE_FLOOR = ("--dump-level", str(LEVEL), "--dump-compress", "lzo")


def chosen_kernel(description: str) -> Kernel:
    """Read a bench's command line, [--root DIR], and return its kernel: the newest in DIR."""
    return kernel_in(command_line(description).parse_args().root)


def command_line(description: str) -> argparse.ArgumentParser:
    """Return the parser of a command line that has at least [--root DIR]."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=Path("/"), help="where boot/ and modules are")
    return parser


def kernel_in(root: Path) -> Kernel:
    """Return the newest kernel in a root, and say which one that is."""
    kernel = newest(root)
    progress(f"kernel {kernel.release} ({kernel.image})")
    return kernel


def ours(name: str, kernel: Kernel, *options: str) -> Scenario:
    """Return a crash with our image and a fresh disk."""
    folder = folder_of(name)
    disk = disks.make(folder / "disk.raw")
    options = (*product.VIRTIO, *LIKE_THE_FLOOR, *options)
    image = product.build(folder / "capture.img", kernel, f"UUID={disks.UUID}", *options)
    return Scenario(name, kernel, image.path, image.command_line, disks=(disk.path,))


def floored(name: str, kernel: Kernel) -> Scenario:
    """Return a crash with the floor image and a fresh disk."""
    folder = folder_of(name)
    disk = disks.make(folder / "disk.raw")
    image = floor.build(folder / "floor.zst", kernel, collect=floor.collector(LEVEL))
    return Scenario(
        name, kernel, image.path, floor.COMMAND_LINE, disks=(disk.path,), speaker=floor.SPEAKER
    )


def progress(text: str) -> None:
    """Say on stderr what is being done: a bench takes minutes."""
    print(text, file=sys.stderr, flush=True)
