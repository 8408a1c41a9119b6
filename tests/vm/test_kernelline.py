# SPDX-License-Identifier: GPL-2.0-or-later
"""What the regular kernel's command line does to the capture kernel and its modules."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from . import bases, disks, loop, product, rootfs
from .bases import Base
from .loop import EARLY, Loop
from .phases import Phase
from .rootfs import Root
from .sabotage import sabotage

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

#: In the place of a hook that runs when the drivers are loaded: it tells what one of them got.
_TELLS = b"""#!/bin/sh
. "$KDUMP_LIB/functions.sh"
read -r depth </sys/module/virtio_blk/parameters/queue_depth
say "depth $depth"
read -r line </proc/cmdline
say "length ${#line}"
"""
#: Words that the capture kernel has no room for: the regular one has, by a hair.
_FILL = [f"nvme_core.none{n}={'x' * 180}" for n in range(9)]


@pytest.mark.parametrize(
    "tools", ["busybox", pytest.param("root", marks=pytest.mark.full)], ids=str
)
def test_parameters_of_modules_and_words_without_room(
    name: str, folder: Path, crash_copy: Path, tools: str
) -> None:
    """It is a crash before the root is mounted, and tells the memory that is left, too."""
    root: Root = rootfs.debian()
    dump = disks.make(folder / "dump.raw")
    capture, first = folder / "capture.img", folder / "first.img"
    options = product.NO_BUSYBOX if tools == "root" else ()
    product.build(capture, root.kernel, f"UUID={disks.UUID}", *product.VIRTIO, *options)
    sabotage(capture, **{"/usr/lib/kdump-initrd/hooks/pre-mount/20-watchdog": _TELLS})
    base = bases.base(root, Base.EARLY)
    product.build_first(first, capture, root.kernel, "--base", str(base))
    words = ['"virtio-blk.queue_depth=32"', "reboot=pci", "nokaslr", *_FILL]
    disk = rootfs.disk(root, folder / "root.raw")
    run = Loop(name, root.kernel, first, (disk.path, dump.path), test="early", phases=EARLY)
    run = replace(run, more=" ".join(words))
    outcome = loop.go(run)
    console = outcome.run.console
    assert "kdump-initrd: depth 32" in console
    (length,) = re.findall(r"kdump-initrd: length (\d+)", console)
    # elfcorehdr= is in it; nothing of what is left out was cut in the middle.
    assert 2047 - 64 - 200 < int(length) <= 2047
    left_out = re.findall(r"left out, .*? would be too long: (.*)", console)
    assert left_out, "nothing is said of the words that had no room"
    assert " ".join(left_out).split() == _FILL[-len(" ".join(left_out).split()) :]
    loop.read_back(dump, crash_copy, outcome, root.kernel.release)
    plain = loop.go(replace(run, initrd=base, test="memory", phases=(Phase.OFF,)))
    assert loop.kept_kib(outcome, plain) <= loop.SLACK_KIB, "the payload keeps memory"
