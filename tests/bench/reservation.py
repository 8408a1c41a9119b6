# SPDX-License-Identifier: GPL-2.0-or-later
"""The smallest crashkernel= that saves a dump, beside the one that is advised.

Of the newest kernel in --root, ours stands beside the floor; --port NAME measures a port of
tests/ports/table.py instead, on the machine of its architecture, and --layers NAME an image for
disks with layers (tests/vm/layered.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image import reservation
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.kernel import releases
from kdump_initrd.recipes.parts.kernelterms import terms_of
from tests.ports.table import PORTS
from tests.vm import layered, product, workshop
from tests.vm.kernels import Kernel, newest
from tests.vm.machine import Hang, PanicWithoutDump, Phase
from tests.vm.scenario import Scenario, crash, folder_of

from .subject import LIKE_THE_FLOOR, floored, ours, progress
from .table import Row, report

#: MiB. The floor has no advice: it is sought from there.
_START = 112
_STEP, _STRIDE = 4, 16
_HIGHEST, _LOWEST = 512, 24
#: The demands, in MiB: of the smallest for our image, and of how far above it the advice is.
_LIMIT, _ABOVE = 96, 32
#: The demands, in MiB, for images of disks with layers.
_LAYERS = {"lvm": 104, "raid1": 96}
_ROUNDS = 5
#: Seconds: a kernel short of memory may hang instead of panicking, and is not waited for long.
_DEADLINES: Mapping[Phase, float] = {Phase.CAPTURING: 45, Phase.SAVED: 120}


def _works(scenario: Scenario, crashkernel_mib: int) -> bool:
    trial = replace(scenario, crashkernel_mib=crashkernel_mib, deadlines=_DEADLINES)
    try:
        crash(trial)
    except (PanicWithoutDump, Hang) as error:
        kept = error.log.with_name(f"console.{crashkernel_mib}M")  # the next trial writes its own
        error.log.replace(kept)
        progress(f"{scenario.name}: {crashkernel_mib}M: {str(error).splitlines()[0]} ({kept})")
        return False
    progress(f"{scenario.name}: {crashkernel_mib}M: saved")
    return True


def smallest(scenario: Scenario, start: int) -> int | None:
    """Return the smallest reservation in MiB that works, None if none does.

    It is sought from ``start`` by long steps, and from there by short ones.
    """
    size = start
    while not _works(scenario, size):
        size += _STRIDE
        if size > _HIGHEST:
            return None
    for step in (_STRIDE, _STEP):
        while size - step >= _LOWEST and _works(scenario, size - step):
            size -= step
    return size


def _plain(kernel: Kernel) -> Scenario:
    return ours(f"bench-reservation-{kernel.release}", kernel)


def _on_layers(name: str) -> Scenario:
    """Return a crash of the machine that has these layers, with its own image and its disks."""
    made, kernel = layered.layered(name), workshop.kernel()
    title = f"bench-reservation-{name}"
    folder = folder_of(title)
    image = product.build(
        folder / "capture.img", kernel, layered.DEVICE, *LIKE_THE_FLOOR,
        fstype=made.recipe.fstype, command=[*made.command(), *product.ME],
    )  # fmt: skip
    return Scenario(title, kernel, image.path, image.command_line, disks=made.copy(folder))


def _by_formula(scenario: Scenario) -> tuple[int, int]:
    """Return the smallest reservation by the product's formula, and the advice, in MiB."""
    root = Root(scenario.kernel.root)
    profile = profiles.detect(root, search_path=search_path("distros", root=root))
    kernel = releases.find(scenario.kernel.release, root=root, layout=profile.kernel)
    assert kernel.header is not None
    terms = terms_of(kernel.header.machine, kernel.header, kernel.config)
    weight = reservation.weigh(scenario.image)
    return reservation.least(weight, terms), reservation.crashkernel(weight, terms)


def _up(mib: int) -> int:
    return -(-mib // _STEP) * _STEP


def _rows(scenario: Scenario, limit: int | None, rounds: int) -> list[Row]:
    least, advised = _by_formula(scenario)
    saved = sum(_works(scenario, advised) for _ in range(rounds))
    found = smallest(scenario, advised)
    above = None if found is None else advised - found
    return [
        Row("ours", found, "MiB", limit),
        Row("ours, against the formula", found, "MiB", _up(least), f"{least} MiB, in such steps"),
        Row("the advice above it", above, "MiB", _ABOVE, f"crashkernel={advised}M"),
        Row("saved with the advice", saved, "times", rounds, at_least=True),
    ]


def main() -> int:
    """Search and print; the status is 1 if ours needs more than is demanded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"), help="where boot/ and modules are")
    parser.add_argument("--port", choices=[*PORTS], help="a kernel of another architecture")
    parser.add_argument("--layers", choices=[*_LAYERS], help="an image for disks with layers")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="crashes with the advice")
    arguments = parser.parse_args()
    if arguments.port:
        kernel = PORTS[arguments.port].kernel()
        rows = _rows(_plain(kernel), None, arguments.rounds)
    elif arguments.layers:
        kernel = workshop.kernel()
        rows = _rows(_on_layers(arguments.layers), _LAYERS[arguments.layers], arguments.rounds)
    else:
        kernel = newest(arguments.root)
        floor = smallest(floored("bench-reservation-floor", kernel), _START)
        rows = [Row("floor", floor, "MiB"), *_rows(_plain(kernel), _LIMIT, arguments.rounds)]
    machine = kernel.architecture.name
    return report(f"smallest crashkernel=, 1 GiB guest, {machine}, {kernel.release}", rows)


if __name__ == "__main__":
    sys.exit(main())
