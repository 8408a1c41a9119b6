# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw vmcores of real crashes, made once: what the capture kernel's /proc/vmcore held."""

from __future__ import annotations

from pathlib import Path

from . import disks, floor
from .kernels import Kernel, cache
from .scenario import Scenario, crash, folder_of

_MEMORY_MIB = 512
#: More than the 128 KiB that Debian's kernels keep of their log (CONFIG_LOG_BUF_SHIFT=17).
_FILL_LOG = "i=0; while [ $i -lt 4000 ]; do say filler $i; i=$((i + 1)); done"


def raw_vmcore(kernel: Kernel, *, wrapped_log: bool = False) -> Path:
    """Return the ELF core of a crash of ``kernel``, of 512 MiB; ``wrapped_log`` overruns its log.

    It is copied by cp, so that nothing of ours has touched it.
    """
    suffix = "-wrapped-log" if wrapped_log else ""
    target = cache() / f"vmcore-{kernel.release}{suffix}"
    if target.exists():
        return target
    folder = folder_of(f"vmcore{suffix}")
    disk = disks.make(folder / "disk.raw")
    image = floor.build(folder / "floor.img", kernel, collect="cp")
    scenario = Scenario(
        name=folder.name,
        kernel=kernel,
        image=image.path,
        command_line=floor.COMMAND_LINE,
        disks=(disk.path,),
        speaker=floor.SPEAKER,
        memory_mib=_MEMORY_MIB,
        extra=_FILL_LOG if wrapped_log else "",
    )
    crash(scenario)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f"{target.name}.new")
    disk.copy_out(floor.DUMP, new)
    new.replace(target)
    disk.path.unlink()
    return target
