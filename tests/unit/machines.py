# SPDX-License-Identifier: GPL-2.0-or-later
"""A root with current images that looks as if it ran: its /proc, /sys, /dev, udev, dump disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kdump_initrd.image.archive.segments import read_manifest
from kdump_initrd.recipes.firstkernel.loadedname import LOADED
from kdump_initrd.upkeep.loading import loadedfile

from . import refreshroots
from .fakesysfs import FakeSysfs
from .refreshroots import Host
from .thiskernel import RELEASE
from .wholeimages import UUID

#: The dump disk: its name, number, and where it is mounted; the folder for dumps on it.
DISK, NUMBER, MOUNTED, DUMPS = "sdb1", "8:17", "srv", "srv/var/crash"
#: What the kernel says of this boot.
BOOT = "this-boot"
#: More than any image here needs, in MiB.
ENOUGH = 512
_MIB = 1 << 20
#: Where the disk hangs: on virtio.
VIRTIO = "devices/pci0000:00/0000:00:05.0"
_DISK = f"{VIRTIO}/virtio2/block/sdb"


def ready(root: Path) -> Path:
    """Make a machine that is ready; return its root."""
    host = Host(refreshroots.make(root))
    assert host.run() == 0
    start(host)
    return root


@contextmanager
def copied(pattern: Path) -> Iterator[Host]:
    """Give a copy of a machine at the same place, so that its records are about it."""
    kept = pattern.with_name("kept")
    pattern.rename(kept)
    shutil.copytree(kept, pattern, symlinks=True, copy_function=os.link)
    try:
        yield Host(pattern)
    finally:
        shutil.rmtree(pattern)
        kept.rename(pattern)


def start(host: Host, *, loaded: bool = True) -> None:
    """Make it look like a machine that is ready, ``loaded`` or not, and has crashed before."""
    host.write("proc/sys/kernel/osrelease", f"{RELEASE}\n")
    host.write("proc/cmdline", f"root=/dev/sda1 crashkernel={ENOUGH}M quiet\n")
    host.write("proc/sys/kernel/random/boot_id", f"{BOOT}\n")
    reserve(host, ENOUGH)
    load(host, loaded=loaded)
    host.write("proc/meminfo", f"MemTotal: {_MIB} kB\nMemFree: {_MIB - 4096} kB\nCached: 0 kB\n")
    system = FakeSysfs(host.root / "sys")
    system.disk(_DISK, DISK)
    system.write(f"{_DISK}/{DISK}/dev", NUMBER)
    system.device(VIRTIO, "pci:v00001AF4d00001042", "virtio-pci")
    system.device(f"{VIRTIO}/virtio2", "virtio:d00000002v00001AF4", "virtio_blk")
    for module in ("virtio_pci", "virtio_blk"):
        system.write(f"module/{module}/initstate", "live")
    host.write(f"dev/{DISK}", "")
    tag = host.root / "dev/disk/by-uuid" / UUID.partition("=")[2]
    tag.parent.mkdir(parents=True)
    tag.symlink_to(f"../../{DISK}")
    mount(host, "ext4")
    report(host, "202611010101", "saved")


def reserve(host: Host, mib: int) -> None:
    """Reserve so many MiB."""
    host.write("sys/kernel/kexec/crash_size", f"{mib * _MIB}\n")


def load(host: Host, *, loaded: bool, log: str = "armed in 12 ms", lacks: str = "") -> None:
    """Load the capture kernel or not; ``log`` is what the hook has said, ``lacks`` in its file."""
    host.write("sys/kernel/kexec/crash_loaded", f"{loaded:d}\n")
    host.write("dev/kmsg", f"6,1,2,-;kdump-initrd: {log}\n")
    manifest = read_manifest(host.capture) if loaded else None
    if manifest is not None:
        said = {
            "boot_id": BOOT,
            "by": loadedfile.HOOK,
            "kernel": _digest(host.root / f"boot/vmlinuz-{RELEASE}"),
            "image": _digest(host.capture),
            "lacks": lacks,
            "cmdline": manifest.cmdline,
        }
        host.write(LOADED, "".join(f"{name}={value}\n" for name, value in said.items()))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def mount(host: Host, fstype: str) -> None:
    """Mount the dump disk as ``fstype``; "" for not at all."""
    (host.root / MOUNTED).mkdir(exist_ok=True)
    lines = ["25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw"]
    if fstype:
        lines += [f"30 25 {NUMBER} / /{MOUNTED} rw - {fstype} /dev/{DISK} rw"]
    host.write("proc/self/mountinfo", "".join(f"{line}\n" for line in lines))


def report(host: Host, stamp: str, result: str, panic: str = "Fatal exception") -> Path:
    """Leave the report of a crash; return its folder's name in the root."""
    text = json.dumps({"crash_time": f"{stamp}Z", "result": result, "panic": panic})
    host.write(f"{DUMPS}/{stamp}/report.json", text)
    return host.root / DUMPS / stamp
