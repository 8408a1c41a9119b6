# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian on a disk that GRUB starts, as a person's machine: it is sent on errands, one a boot."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import run

from . import rootfs
from .cached import making
from .disks import Disk
from .kernels import Kernel
from .loop import LOGIN
from .machine import Machine, MachineConfig, Run
from .phases import Phase
from .rootfs import GUEST, Root
from .scenario import Outcome, folder_of

UUID = "7c1e0a52-93d4-4f6b-8a1d-2b6c5e9f0d14"
_PACKAGES = (
    "systemd-sysv,udev,kmod,initramfs-tools,busybox,zstd,e2fsprogs,kexec-tools,fdisk,python3,"
    "python3-jinja2,python3-libarchive-c,python3-pyelftools,liblzo2-2,linux-image-amd64,grub-pc"
)
_UNIT = "etc/systemd/system"
#: What it says is for the serial console; and an initrd that emulation unpacks quickly.
_FILES = {
    "etc/hostname": "grubbox\n",
    "etc/hosts": "127.0.0.1 localhost grubbox\n",
    "etc/fstab": f"UUID={UUID} / ext4 errors=remount-ro 0 1\n",
    "etc/machine-id": "5d3a1c0ffee04be1a2b3c4d5e6f70820\n",
    "etc/default/grub.d/console.cfg": (
        "GRUB_TIMEOUT=0\nGRUB_TERMINAL=serial\nGRUB_SERIAL_COMMAND=serial\n"
        'GRUB_CMDLINE_LINUX="console=ttyS0 panic=-1"\nGRUB_CMDLINE_LINUX_DEFAULT=\n'
        "GRUB_DISABLE_OS_PROBER=true\nGRUB_DISABLE_RECOVERY=true\n"
    ),
    "etc/initramfs-tools/conf.d/machine": "MODULES=list\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
    f"{_UNIT}/errand.service": (GUEST / "errand.service").read_text(),
    "usr/local/sbin/errand": (GUEST / "errand").read_text(),
}
_LINKS = {
    f"{_UNIT}/multi-user.target.wants/errand.service": "../errand.service",
    f"{_UNIT}/serial-getty@ttyS0.service": "/dev/null",
    **rootfs.SILENT,
}
_INSTALL = """\
step grub-install grub-install /dev/vda
step update-grub update-grub
systemctl poweroff --force
"""
_MIB = 1 << 20
#: Between the table of partitions and the first one lies GRUB.
_OFFSET = _MIB
_SIZE_MIB = 2560


@dataclass(frozen=True)
class Errand:
    """A boot of a machine: ``script`` is what it does then, and ``files`` are beside the script.

    With ``kernel`` that is booted, with the initrd beside it, and no boot loader. The expected
    ``phases`` end with OFF or REBOOTED; ``seconds`` is how long the last one may take.
    """

    name: str
    script: str
    phases: tuple[Phase, ...]
    files: tuple[Path, ...] = ()
    kernel: Kernel | None = None
    seconds: float = 120


def system() -> Root:
    """Return the Debian root of the cache, made by debootstrap if it is not there."""
    root = rootfs.bootstrapped(_PACKAGES, prefix="grub")
    with making(root.home / "dressed"):  # never there: only the lock is wanted
        rootfs.dress(root.path, _FILES, _LINKS)
    return root


def image(root: Root) -> Disk:
    """Return the cache's disk with the root, and with GRUB, which it has installed itself."""
    recipe = rootfs.digest(_FILES, _LINKS, _INSTALL, UUID, _SIZE_MIB)
    target = root.home / f"disk-{recipe}.raw"
    with making(target) as missing:
        if missing:
            for old in root.home.glob("disk-*"):
                old.unlink()
            root.enter(["update-initramfs", "-u"], out=root.home, timeout=180)
            _install(root, target)
    return Disk(target, _OFFSET)


def _install(root: Root, target: Path) -> None:
    new = target.with_suffix(".new")
    with new.open("wb") as out:
        out.truncate(_SIZE_MIB * _MIB)
    table = f"label: dos\nstart={_OFFSET // 512}, type=83, bootable\n"
    run(["sfdisk", "-q", new], timeout=30, stdin=table.encode())
    argv = ["mkfs.ext4", "-q", "-U", UUID, "-d", str(root.path), "-E", f"offset={_OFFSET}"]
    run([*argv, new, f"{(_SIZE_MIB * _MIB - _OFFSET) // 1024}k"], timeout=300)
    go(Errand("grub", _INSTALL, LOGIN, kernel=root.kernel), Disk(new, _OFFSET))
    for step in ("grub-install", "update-grub"):
        status, said = result(Disk(new, _OFFSET), step, folder_of("grub"))
        if status:
            raise AssertionError(f"{step}: {said}")
    new.rename(target)


def disk(root: Root, target: Path) -> Disk:
    """Copy the cache's disk to ``target``."""
    target.unlink(missing_ok=True)
    run(["cp", "--sparse=always", "--reflink=auto", image(root).path, target], timeout=120)
    return Disk(target, _OFFSET)


def go(errand: Errand, system: Disk) -> Outcome:
    """Start the machine, and let it do its errand; raises MachineError as Machine.run does."""
    token = secrets.token_hex(8)
    folder = folder_of(errand.name)
    second = _second(folder, errand, token)
    kernel = errand.kernel
    config = MachineConfig(
        folder=folder,
        kernel=kernel.image if kernel else None,
        initrd=kernel.image.with_name(f"initrd.img-{kernel.release}") if kernel else None,
        append=f"root=UUID={UUID} ro console=ttyS0 panic=-1",
        token=token,
        disks=(system.path, second),
        phases=errand.phases,
        final="guest-reset" if errand.phases[-1] is Phase.REBOOTED else "guest-shutdown",
        deadlines={errand.phases[-1]: errand.seconds},
    )
    with Machine(config) as machine:
        done: Run = machine.run()
    second.unlink()
    return Outcome(done, token)


def _second(folder: Path, errand: Errand, token: str) -> Path:
    made = folder / "errand.raw"
    made.unlink(missing_ok=True)
    run(["mkfs.ext4", "-q", "-L", "errand", made, "16m"], timeout=30)
    texts = {"token": f"{token}\n", "script": errand.script}
    for name, text in texts.items():
        (folder / name).write_text(text)
    files: Sequence[Path] = (*(folder / name for name in texts), *errand.files)
    Disk(made).edit(*(f"write {path} {path.name}" for path in files))
    return made


def result(system: Disk, step: str, into: Path) -> tuple[int, str]:
    """Return the exit status of a step and what it said, as they lie on the machine's disk."""
    words = []
    for name in (step, f"{step}.status"):
        system.copy_out(f"/var/errand/{name}", into / name)
        words.append((into / name).read_text(errors="replace"))
    return int(words[1]), words[0]
