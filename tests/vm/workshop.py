# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with device-mapper and md: a whole Debian userland, by 9p, for an errand on disks."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from kdump_initrd.core.run import run

from .archive import Archive
from .kernels import Kernel, fetched
from .machine import Machine, MachineConfig, Phase
from .sources import LAYERS_6_1
from .tools import tool

#: Seconds for an errand.
_DEADLINE = 240
_KMODS = ("virtio_pci", "virtio_blk", "9pnet_virtio", "9p")
_APPLETS = ("sh", "mount", "mkdir", "insmod", "switch_root")
_INIT = """\
#!/bin/sh
export PATH=/bin
mkdir -p /proc /sys /dev /root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for file in {files}; do insmod "/kmods/$file"; done
mount -t 9p -o trans=virtio,ro,cache=loose,version=9p2000.L,msize=262144 root /root
for each in proc sys dev; do mount -o move "/$each" "/root/$each"; done
for each in run tmp; do mount -t tmpfs "$each" "/root/$each"; done
mkdir /root/run/out /root/run/mnt
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 out /root/run/out
exec switch_root /root /bin/sh /run/out/errand
"""
#: No program waits for udev, which is not here; what is on disks that are there is not looked for.
_ERRAND = """\
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DM_DISABLE_UDEV=1 MDADM_NO_UDEV=1
exec </dev/null >/dev/console 2>&1
echo "{token} booted"
cd /run/out
sh -eux script && echo done >done
sync
echo o >/proc/sysrq-trigger
sleep 60
"""


class ErrandError(Exception):
    """An errand failed; the text has the last lines of the console."""


def kernel() -> Kernel:
    """Return the kernel of the guest, whose root has the tools; fetched if it is not there."""
    return fetched(LAYERS_6_1)


def work(folder: Path, script: str, disks: Sequence[Path], *, devices: Sequence[str] = ()) -> None:
    """Run a shell script in the guest, with /dev/vda and so on, in ``folder``; raises ErrandError.

    ``devices`` are further words for QEMU.
    """
    done = folder / "done"
    done.unlink(missing_ok=True)
    config = machine_config(kernel(), folder, script, disks, devices=devices)
    with Machine(config) as machine:
        console = machine.run().console
    if not done.exists():
        raise ErrandError("\n".join(console.splitlines()[-30:]))


def machine_config(
    guest: Kernel, folder: Path, script: str, disks: Sequence[Path], *, devices: Sequence[str] = ()
) -> MachineConfig:
    """Return the machine that runs a script, with a kernel and the root that belongs to it."""
    folder.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(8)
    (folder / "errand").write_text(_ERRAND.format(token=token))
    (folder / "script").write_text(script)
    archive = Archive()
    archive.busybox(tool("busybox"), _APPLETS)
    modules = guest.load_order(*_KMODS)
    for name, data in modules.items():
        archive.content(f"/kmods/{name}", data)
    archive.content("/init", _INIT.format(files=" ".join(modules)).encode())
    archive.write(folder / "workshop.cpio")
    words: list[str] = []
    for tag, path in (("root", f"{guest.root},readonly=on"), ("out", str(folder))):
        words += ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none"]
    return MachineConfig(
        folder=folder,
        kernel=guest.image,
        initrd=folder / "workshop.cpio",
        append="console=ttyS0 quiet panic=-1 no_timer_check",
        token=token,
        disks=tuple(disks),
        phases=(Phase.BOOTED, Phase.OFF),
        final="guest-shutdown",
        deadlines={Phase.OFF: _DEADLINE},
        more=(*words, *devices),
    )


def copied(source: Path, target: Path) -> Path:
    """Copy a sparse disk."""
    target.unlink(missing_ok=True)
    run(["cp", "--sparse=always", "--reflink=auto", source, target], timeout=120)
    return target
