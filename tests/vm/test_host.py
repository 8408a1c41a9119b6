# SPDX-License-Identifier: GPL-2.0-or-later
"""The generator on a real host of another kind: a guest that runs it on this root, by 9p."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import sys
from pathlib import Path

import pytest

from kdump_initrd.core.root import Root
from kdump_initrd.core.run import run
from kdump_initrd.probe.kernel import kmod
from kdump_initrd.probe.kernel import releases as kernels_probe
from tests.unit.debianlayout import LAYOUT

from . import disks, product
from .archive import Archive
from .kernels import Kernel
from .machine import Machine, MachineConfig, Phase
from .tools import tool

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]

REPO = Path(__file__).resolve().parents[2]
_KMODS = ("virtio_pci", "9pnet_virtio", "9p", "nvme", "ahci", "sd_mod", "ext4")
_APPLETS = ("sh", "mount", "mkdir", "insmod", "chroot", "env", "cat", "sleep", "poweroff")
_INIT = """\
#!/bin/sh
export PATH=/bin
mkdir -p /proc /sys /dev /host
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for file in {files}; do insmod "/kmods/$file"; done
sleep 2
mount -t 9p -o trans=virtio,ro,cache=loose,version=9p2000.L,msize=262144 host /host
mount -t proc proc /host/proc
mount -t sysfs sysfs /host/sys
mount -t devtmpfs dev /host/dev
mount -t tmpfs tmpfs /host/run
mkdir /host/run/out
mount -t 9p -o trans=virtio,version=9p2000.L out /host/run/out
echo
echo "{token} booted"
for dev in {devices}; do
    chroot /host env PYTHONPATH={repo} PYTHONPYCACHEPREFIX={compiled} XDG_CACHE_HOME=/run \
        TMPDIR=/run {python} -m kdump_initrd -c "/dev/$dev" -f ext4 -o /run/image \
        --force --quiet --compress none {release} || echo FAILED
    cat /host/run/image >"/host/run/out/$dev"
done
poweroff -f
"""


def _compile(target: Path, kernel: Kernel) -> Path:
    """Compile what the generator imports into a folder: the guest would take half a minute."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(target), "PYTHONDONTWRITEBYTECODE": ""}
    argv = [*product.ME, "-c", f"UUID={disks.UUID}", "-f", "ext4", "--dry-run", kernel.release]
    run(argv, timeout=60, environment=environment)
    return target


def _initrd(
    target: Path, kernel: Kernel, token: str, compiled: Path, devices: tuple[str, ...]
) -> Path:
    release = kernels_probe.find(kernel.release, root=Root(kernel.root), layout=LAYOUT)
    wishes = [kmod.Wish(_KMODS, "the guest", required=True)]
    archive = Archive()
    archive.busybox(tool("busybox"), _APPLETS)
    files = []
    for module in kmod.closure(wishes, kernel=release, root=Root(kernel.root)):
        archive.content(f"/kmods/{module.name}.ko", module.data)
        files.append(f"{module.name}.ko")
    init = _INIT.format(
        files=" ".join(files),
        token=token,
        repo=shlex.quote(str(REPO)),
        compiled=shlex.quote(str(compiled)),
        python=shlex.quote(sys.executable),
        devices=" ".join(devices),
        release=kernel.release,
    )
    archive.content("/init", init.encode())
    archive.write(target)
    return target


def _modules(listing: str, why: str) -> set[str]:
    return set(re.findall(rf"/([\w-]+)\.ko  # {why}$", listing, re.MULTILINE))


def test_host_hardware_is_found_on_a_real_machine(folder: Path, kernel: Kernel) -> None:
    """An NVMe partition and a SATA disk: each image has the drivers of its own device."""
    token = secrets.token_hex(8)
    compiled = _compile(folder / "compiled", kernel)
    nvme = disks.make(folder / "nvme.raw", partitioned=True)
    sata = disks.make(folder / "sata.raw")
    out = folder / "out"
    out.mkdir(exist_ok=True)
    devices = ("nvme0n1p1", "sda")
    virtfs = {
        "host": "local,path=/,readonly=on,multidevs=remap",
        "out": f"local,path={out}",
    }
    more: list[str] = []
    for tag, words in virtfs.items():
        more += ["-virtfs", f"{words},mount_tag={tag},security_model=none"]
    more += ["-drive", f"file={nvme.path},format=raw,if=none,id=nvme"]
    more += ["-device", "nvme,drive=nvme,serial=1"]
    more += ["-drive", f"file={sata.path},format=raw,if=none,id=sata"]
    more += ["-device", "ahci,id=ahci", "-device", "ide-hd,drive=sata,bus=ahci.0"]
    config = MachineConfig(
        folder=folder,
        kernel=kernel.image,
        initrd=_initrd(folder / "host.cpio", kernel, token, compiled, devices),
        append="console=ttyS0 quiet panic=-1 no_timer_check",
        token=token,
        phases=(Phase.BOOTED, Phase.REBOOTED),
        final="guest-shutdown",
        deadlines={Phase.REBOOTED: 300},
        more=tuple(more),
    )
    with Machine(config) as machine:
        console = machine.run().console
    assert "FAILED" not in console
    listings = [
        run([*product.ME, "--list", out / device], timeout=60).stdout.decode() for device in devices
    ]
    of_nvme, of_sata = listings
    for listing in listings:
        assert f"# dump target: UUID={disks.UUID} ext4" in listing, "the path became its UUID"
        assert "ext4" in _modules(listing, "dump file system ext4")
    assert "nvme" in _modules(of_nvme, "hardware of the dump device")
    assert "ahci" in _modules(of_sata, "hardware of the dump device")
    assert "sd_mod" in _modules(of_sata, "hardware of the dump device")
    assert "ahci.ko" not in of_nvme
    assert "nvme.ko" not in of_sata
