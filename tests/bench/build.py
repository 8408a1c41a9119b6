# SPDX-License-Identifier: GPL-2.0-or-later
"""Seconds to build a capture initrd, medians of five, beside one run of mkinitramfs.

Also for other architectures, of whose roots no program may be started: the usual ports of
tests/ports/table.py. --port NAME measures that port alone, and may be repeated.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kdump_initrd.core.run import find, run
from tests.ports.table import PORTS
from tests.vm import disks, layered, product, workshop
from tests.vm.kernels import Kernel
from tests.vm.scenario import folder_of

from .subject import command_line, kernel_in
from .table import Row, report

_ROUNDS = 5
#: The demands in seconds, by set of hardware; and for another architecture.
_LIMITS = {"virtio": 1.2, "generic": 2.0}
_FOREIGN_LIMIT = 2.0
_LAYERS_LIMIT = 1.5
#: Runs the product, and writes each program that it starts as a line of a file.
_LISTENER = """
import os, runpy, sys
heard = open(sys.argv.pop(1), "w", buffering=1)
events = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system")
sys.addaudithook(lambda event, words: event in events and print(words[0], file=heard))
runpy.run_module("kdump_initrd", run_name="__main__", alter_sys=True)
"""


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


def _build(kernel: Kernel, hardware: str, command: Sequence[str] = product.ME) -> float:
    target = folder_of("bench-build") / "capture.img"
    options = ("--hardware", hardware)
    device = f"UUID={disks.UUID}"
    return product.build(target, kernel, device, *options, command=command).seconds


def _layers() -> list[Row]:
    """Return the rows of images for the machine that has these layers, without its first build."""
    rows, kernel = [], workshop.kernel()
    for name in ("lvm", "raid1"):
        made = layered.layered(name)
        command = [*made.command(), *product.ME]
        target = folder_of("bench-build") / "capture.img"
        times = [
            product.build(
                target, kernel, layered.DEVICE, fstype=made.recipe.fstype, command=command
            ).seconds
            for _ in range(_ROUNDS + 1)
        ][1:]
        spread = f"{min(times):.2f} to {max(times):.2f} s"
        rows.append(Row(f"ours, {name}", statistics.median(times), "s", _LAYERS_LIMIT, spread))
    return rows


def _started(name: str, kernel: Kernel) -> Row:
    """Return how many programs of a kernel's root one build starts: of another machine's, none."""
    with tempfile.TemporaryDirectory() as folder:
        heard = Path(folder) / "heard"
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        _build(kernel, "virtio", (sys.executable, "-c", _LISTENER, str(heard)))
        programs = [Path(line).resolve() for line in heard.read_text().splitlines()]
    own = [each for each in programs if kernel.root.resolve() in each.parents]
    note = f"of {len(programs)} programs in all"
    return Row(f"{name}, programs of its root started", len(own), "", 0, note)


def _ports(names: Sequence[str]) -> list[Row]:
    rows = []
    for name in names:
        kernel = PORTS[name].kernel()
        rows += _rows(name, kernel, "virtio", _FOREIGN_LIMIT)
        rows.append(_started(name, kernel))
    return rows


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
    parser = command_line(__doc__ or "")
    parser.add_argument("--port", action="append", choices=PORTS, help="a port, and nothing else")
    words = parser.parse_args()
    if words.port:
        return report("build time for other architectures", _ports(words.port))
    kernel = kernel_in(words.root)
    rows = []
    for hardware, limit in _LIMITS.items():
        rows += _rows("ours", kernel, hardware, limit)
    rows += _layers()
    rows += _ports([name for name, port in PORTS.items() if port.usual])
    for modules, what in (("most", "one run"), ("dep", "as kdump-tools' hook does; one run")):
        peer = _mkinitramfs(kernel, modules)
        if peer is not None:
            rows.append(Row(f"mkinitramfs, MODULES={modules}", peer, "s", note=what))
    return report(f"build time, kernel {kernel.release}", rows)


if __name__ == "__main__":
    sys.exit(main())
