# SPDX-License-Identifier: GPL-2.0-or-later
"""The floor: the least capture initrd there can be, busybox and makedumpfile and no more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import run

from .archive import Archive
from .kernels import Kernel

#: The prefix of the floor's console lines, as "kdump-initrd" is the product's.
SPEAKER = "floor"
#: The capture kernel's command line for it.
COMMAND_LINE = "irqpoll nr_cpus=1 reset_devices panic=10 cgroup_disable=memory mce=off numa=off"
#: Name of the dump on the disk.
DUMP = "/dump"

_APPLETS = (
    "sh",
    "mount",
    "umount",
    "mkdir",
    "insmod",
    "sync",
    "echo",
    "sleep",
    "reboot",
    "tail",
    "cp",
)
_KMODS = ("virtio_pci", "virtio_blk", "ext4")
_INIT = """\
#!/bin/sh
export PATH=/bin
mkdir -p /proc /sys /dev /tmp /mnt
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
say() {{ echo "<2>floor: $*" > /dev/kmsg; }}
say capturing
for kmod in {kmods}; do
    insmod "/kmods/$kmod" 2>/dev/null
done
mount -t ext4 /dev/vda /mnt || say "cannot mount /dev/vda"
if {collect} /proc/vmcore /mnt{dump} 2>/tmp/error; then
    umount /mnt && say "saved {dump}"
else
    say "$(tail -n 1 /tmp/error)"
fi
sync
reboot -f
"""


@dataclass(frozen=True)
class Floor:
    """A floor image: its path and its sizes in bytes, stored and unpacked."""

    path: Path
    stored: int
    unpacked: int


def collector(level: int) -> str:
    """Return the command that dumps at makedumpfile's ``level``."""
    return f"makedumpfile --message-level 4 -f -l -d {level}"


def build(target: Path, kernel: Kernel, *, collect: str = collector(1)) -> Floor:
    """Write the floor image for a kernel; ``collect`` gets /proc/vmcore and a file of /dev/vda."""
    archive = Archive()
    archive.busybox(kernel.program("busybox"), _APPLETS)
    program = collect.split()[0]
    if program not in _APPLETS:
        archive.program(f"/bin/{program}", kernel.program(program), kernel.programs)
    kmods = kernel.load_order(*_KMODS)
    for name, data in kmods.items():
        archive.content(f"/kmods/{name}", data)
    init = _INIT.format(kmods=" ".join(kmods), collect=collect, dump=DUMP)
    archive.content("/init", init.encode())
    plain = target.with_suffix(".cpio")
    unpacked = archive.write(plain)
    # The window of 128 KiB keeps the kernel's decompressor small in the reservation.
    run(["zstd", "-qf19", "--zstd=wlog=17", "--rm", str(plain), "-o", str(target)], timeout=120)
    return Floor(target, target.stat().st_size, unpacked)
