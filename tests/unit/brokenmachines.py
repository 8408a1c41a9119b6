# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways to break one link of the chain on a machine that was ready, and how that is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from . import machines
from .machines import DISK, NUMBER
from .refreshroots import CONFIGURATION, NEWER, Host
from .thiskernel import RELEASE

CAPTURE = f"boot/initrd.img-{RELEASE}-kdump"


def _cmdline(host: Host, text: str) -> None:
    machines.reserve(host, 0)
    machines.load(host, loaded=False)
    host.write("proc/cmdline", text)


def _without_kexec(host: Host) -> None:
    _cmdline(host, "quiet\n")
    shutil.rmtree(host.root / "sys/kernel/kexec")


def _configured(host: Host) -> None:
    _cmdline(host, "quiet\n")
    host.write("usr/sbin/update-grub", "")
    host.write("etc/default/grub", "")
    host.write("boot/grub/grub.cfg", "linux /vmlinuz crashkernel=256M\n")


def _other_tool(host: Host) -> None:
    wants = host.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "kdump.service").symlink_to("/lib/systemd/system/kdump.service")


def _gone(name: str) -> Callable[[Host], None]:
    return lambda host: (host.root / name).unlink()


def _text(name: str, text: str) -> Callable[[Host], None]:
    return lambda host: host.write(name, text)


def _too_small(host: Host) -> None:
    machines.reserve(host, 32)
    host.write("proc/cmdline", "crashkernel=32M\n")


def _unrecorded_image(text: str | None) -> Callable[[Host], None]:
    def do(host: Host) -> None:
        (host.root / f"var/lib/kdump-initrd/capture-{RELEASE}.json").unlink()
        (host.root / CAPTURE).unlink()
        if text is not None:
            host.write(CAPTURE, text)

    return do


def _new_kernel(host: Host) -> None:
    host.write("proc/sys/kernel/osrelease", f"{NEWER}\n")
    host.write(f"boot/vmlinuz-{NEWER}", "")


def _xfs_unmounted(host: Host) -> None:
    machines.mount(host, "")
    host.write(f"run/udev/data/b{NUMBER}", "S:disk\nE:ID_FS_TYPE=xfs\n")


#: Name: how it breaks, the link, and parts of its text and of its hint.
BROKEN: dict[str, tuple[Callable[[Host], None], str, str, str]] = {
    "no-word": (
        *(lambda host: _cmdline(host, "quiet\n"), "reservation"),
        *("no memory is reserved", "kdump-initrd reserve --set"),
    ),
    "not-restarted": (_configured, "reservation", "not in effect yet", "restart"),
    "not-reserved": (
        *(lambda host: _cmdline(host, "crashkernel=9G\n"), "reservation"),
        *("could not reserve", "dmesg | grep -i crashkernel"),
    ),
    "too-small": (_too_small, "reservation", "too little, the image needs", "reserve --set"),
    "kernel-without-kexec": (
        *(_without_kexec, "reservation"),
        *("cannot load a capture kernel", "boot a kernel with CONFIG_KEXEC and CONFIG_CRASH_DUMP"),
    ),
    "refused": (
        *(lambda host: machines.load(host, loaded=False, log="not armed: lockdown"), "loaded"),
        *("lockdown", "kdump-initrd load"),
    ),
    "not-loaded": (
        *(lambda host: machines.load(host, loaded=False), "loaded"),
        *("loaded since the machine started", "kdump-initrd load"),
    ),
    "other-tool": (
        _other_tool, "other tools", "kdump.service also", "systemctl disable --now kdump.service"
    ),
    "typo": (
        _text("etc/kdump-initrd.toml", f"{CONFIGURATION}dump-levl = 1\n"),
        *("settings", "image.dump-levl: unknown key", "mkinitrd-kdump --check-config"),
    ),
    "changed-setting": (
        _text("etc/kdump-initrd.toml", CONFIGURATION.replace("ext4", "xfs")),
        *("image", "etc/kdump-initrd.toml has been changed", "mkinitrd-kdump --refresh"),
    ),
    "changed-program": (
        _text("usr/bin/busybox", "another"),
        *("image", "usr/bin/busybox has been changed", "mkinitrd-kdump --refresh"),
    ),
    "no-image": (_gone(CAPTURE), "image", "has been removed", "mkinitrd-kdump --refresh"),
    "empty-image": (
        *(_text(CAPTURE, ""), "image", "has been changed", "mkinitrd-kdump --refresh --force"),
    ),
    "another-image": (
        *(_unrecorded_image("not an initrd"), "image"),
        *("is not an initrd", "mkinitrd-kdump --refresh --force"),
    ),
    "no-record-no-image": (
        *(_unrecorded_image(None), "image"), "none for the running", "mkinitrd-kdump --refresh"
    ),
    "no-kernel": (
        *(_gone(f"boot/vmlinuz-{RELEASE}"), "image"),
        *(f"kernel {RELEASE} is not installed", "install it again"),
    ),
    "new-initrd": (
        _text(f"boot/initrd.img-{RELEASE}", "the distribution's, without our segment"),
        *("image", f"initrd.img-{RELEASE}: it has been changed", "mkinitrd-kdump --refresh"),
    ),
    "not-armed-by-any": (
        _gone(f"var/lib/kdump-initrd/first-kernel-{RELEASE}.json"),
        *("image", "no initrd", "mkinitrd-kdump --refresh"),
    ),
    "new-kernel": (
        _new_kernel,
        *("image", f"none for the running kernel {NEWER}", "mkinitrd-kdump --refresh"),
    ),
    "no-disk": (
        lambda host: shutil.rmtree(host.root / "dev/disk/by-uuid"),
        *("target", "is not here", "lsblk"),
    ),
    "dead-link": (_gone(f"dev/{DISK}"), "target", "is not here", "lsblk"),
    "another-type": (
        lambda host: machines.mount(host, "xfs"),
        *("target", "holds xfs, and the image mounts ext4", "mkinitrd-kdump --refresh"),
    ),
    "another-type-unmounted": (
        _xfs_unmounted, "target", "holds xfs, and the image mounts ext4", "mkinitrd-kdump --refresh"
    ),
    "no-room": (
        _text("proc/meminfo", f"MemTotal: {1 << 50} kB\nMemFree: 0 kB\n"),
        *("target", "a dump takes about", "make room"),
    ),
}  # fmt: skip
