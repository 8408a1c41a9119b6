# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left in a thin pool of LVM: a file system on it may have room that the pool has not."""

from __future__ import annotations

from ...core.errors import KdumpInitrdError
from ...core.run import run
from .sysfs import Hardware

#: What LVM calls the mapping that a pool's volumes lie on (lib/activate/dev_manager.c, LAYER_POOL).
_SUFFIX = "-tpool"
_TIMEOUT = 30.0


def pools_below(found: Hardware) -> tuple[str, ...]:
    """Return the thin pools that a device lies on, as /dev/mapper/NAME."""
    return tuple(name.removesuffix(_SUFFIX) for name in found.volumes if name.endswith(_SUFFIX))


def left(pool: str) -> int | None:
    """Return the bytes that are left in a pool; None if LVM does not tell, or not in time."""
    options = ["--noheadings", "--nosuffix", "--units", "b", "--separator", "|"]
    argv = ["lvs", *options, "--options", "lv_size,data_percent", pool]
    try:
        done = run(argv, timeout=_TIMEOUT, check=False)
        size, _, per_cent = done.stdout.decode(errors="replace").strip().partition("|")
        return int(int(size) * (100 - float(per_cent)) / 100)
    except (KdumpInitrdError, ValueError, OverflowError):
        return None
