# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts whose initrd is left alone: a unified image, ostree, and a /boot that is read-only."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from kdump_initrd.core.run import Result, run
from tests.vm import unified
from tests.vm.tools import tool

from . import refreshroots
from .refreshroots import Host
from .thiskernel import RELEASE

KERNEL = f"var/lib/kdump-initrd/vmlinuz-{RELEASE}"
STATE = "var/lib/kdump-initrd"
IMAGE = f"{STATE}/initrd.img-{RELEASE}-kdump"
READ_ONLY = """\
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
shift
exec "$@"
"""


def with_one(tmp_path: Path) -> Host:
    """Make a host that has its kernel only in a unified image, which ukify has made."""
    root = refreshroots.make(tmp_path / "root")
    kernel, base = (root / f"boot/{name}-{RELEASE}" for name in ("vmlinuz", "initrd.img"))
    unified.make(root / f"efi/EFI/Linux/x-{RELEASE}.efi", kernel, release=RELEASE, initrd=base)
    shutil.copy(kernel, tmp_path / "kernel")
    kernel.unlink()
    base.unlink()
    return Host(root)


def of_ostree(root: Path) -> Host:
    """Make a host of ostree: /boot has deployments, each with a folder of its own."""
    host = Host(refreshroots.make(root))
    host.write("run/ostree-booted", "")
    deployment = host.root / "boot/ostree/debian-0123"
    deployment.mkdir(parents=True)
    modules = host.root / "lib/modules" / RELEASE
    shutil.copy(host.root / f"boot/vmlinuz-{RELEASE}", modules / "vmlinuz")
    shutil.copy(host.root / f"boot/config-{RELEASE}", modules / "config")
    for path in (host.root / "boot").glob(f"*-{RELEASE}"):
        path.rename(deployment / path.name)
    names = {key: f"/ostree/{deployment.name}/{name}-{RELEASE}" for key, name in
             (("linux", "vmlinuz"), ("initrd", "initrd.img"))}  # fmt: skip
    lines = "".join(f"{key} {path}\n" for key, path in names.items())
    host.write("boot/loader/entries/ostree-1.conf", f"title Debian\nversion 1\n{lines}")
    return host


def on_read_only_boot(host: Host, *words: str, program: str = "mkinitrd") -> Result:
    """Run a program of commands.start for a root whose /boot is read-only meanwhile."""
    code = f"from kdump_initrd.commands.start import {program}; raise SystemExit({program}())"
    command = [sys.executable, "-c", code, *words, "--root", str(host.root)]
    argv: list[str | Path] = [tool("unshare"), "--mount", "sh", "-ec", READ_ONLY, "sh"]
    return run([*argv, host.root / "boot", *command], timeout=120, check=False)
