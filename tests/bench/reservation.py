# SPDX-License-Identifier: GPL-2.0-or-later
"""The smallest crashkernel= that saves a dump, ours beside the floor, in steps of 4 MiB."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

from kdump_initrd.image import reservation
from kdump_initrd.probe.kernel import kernelimage
from kdump_initrd.recipes.parts.kernelterms import terms_of
from tests.vm.kernels import Kernel
from tests.vm.machine import Hang, PanicWithoutDump, Phase
from tests.vm.scenario import Scenario, crash, folder_of

from .subject import chosen_kernel, floored, ours, progress
from .table import Row, report

_START = 112
_STEP = 4
_HIGHEST = 192
_LOWEST = 64
#: The demand, in MiB.
_LIMIT = 96
#: Seconds: a kernel short of memory may hang instead of panicking, and is not waited for long.
_DEADLINES: Mapping[Phase, float] = {Phase.CAPTURING: 45, Phase.SAVED: 120}


def _works(scenario: Scenario, crashkernel_mib: int) -> bool:
    trial = replace(scenario, crashkernel_mib=crashkernel_mib, deadlines=_DEADLINES)
    try:
        crash(trial)
    except (PanicWithoutDump, Hang) as error:
        progress(f"{scenario.name}: {crashkernel_mib}M: {str(error).splitlines()[0]}")
        return False
    progress(f"{scenario.name}: {crashkernel_mib}M: saved")
    return True


def smallest(scenario: Scenario) -> int | None:
    """Return the smallest reservation in MiB that works, None if none does."""
    size = _START
    while not _works(scenario, size):
        size += 2 * _STEP
        if size > _HIGHEST:
            return None
    while size - _STEP >= _LOWEST and _works(scenario, size - _STEP):
        size -= _STEP
    return size


def _by_formula(kernel: Kernel) -> int:
    """Return the smallest reservation in MiB by the product's formula, for the same image."""
    image = folder_of("bench-reservation-ours") / "capture.img"
    header = kernelimage.read(kernel.image)
    terms = terms_of(header.machine, header.unpacked)
    return reservation.least(reservation.weigh(image), terms)


def main() -> int:
    """Search and print; the status is 1 if ours needs more than is demanded."""
    kernel = chosen_kernel(__doc__ or "")
    found = {
        "floor": smallest(floored("bench-reservation-floor", kernel)),
        "ours": smallest(ours("bench-reservation-ours", kernel)),
    }
    least = _by_formula(kernel)
    rows = [
        Row("floor", found["floor"], "MiB"),
        Row("ours", found["ours"], "MiB", _LIMIT),
        Row("ours, against the formula", found["ours"], "MiB", least, "what the tool reckons with"),
    ]
    return report(f"smallest crashkernel=, 1 GiB guest, kernel {kernel.release}", rows)


if __name__ == "__main__":
    sys.exit(main())
