# SPDX-License-Identifier: GPL-2.0-or-later
"""Roots with a boot loader, as its distribution lays them out, and stand-ins for the tools."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import standins
from .standins import KERNELS

STANDINS = Path(__file__).with_name("standins.py")
#: A machine's command line, and one's /etc/default/grub.
LINE = "root=UUID=1 ro quiet"
GRUB = """\
# If you change this file, run 'update-grub' afterwards; crashkernel=1M is but an example.
GRUB_DEFAULT=0
GRUB_TIMEOUT_STYLE=hidden
GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"
GRUB_CMDLINE_LINUX=""
"""
ZIPL = """\
[defaultboot]
default = one

[one]
target = /boot
image = /boot/vmlinuz
parameters = "root=/dev/dasda1 quiet"
"""


@dataclass(frozen=True)
class Layout:
    """A boot loader: how its root is made, where a person writes a word, and how it counts there.

    ``tool`` is the program that is run, "" for none.
    """

    make: Callable[[Path], None]
    by_hand: Callable[[Path, str], None]
    tool: str


def put(root: Path, name: str, text: str = "") -> Path:
    """Write a file of a root."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _common(root: Path) -> None:
    put(root, "etc/os-release", "ID=none\n")
    put(root, "etc/machine-id", f"{'a' * 32}\n")
    put(root, "proc/cmdline", f"BOOT_IMAGE=/vmlinuz {LINE}\n")
    put(root, "proc/meminfo", f"MemTotal: {8 << 20} kB\n")
    for kernel in KERNELS:
        put(root, f"boot/vmlinuz-{kernel}", "a kernel")
        (root / f"lib/modules/{kernel}").mkdir(parents=True)


def _grub(*marks: str, out: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for mark in marks:
            put(root, mark)
        put(root, "etc/default/grub", GRUB)
        standins.mkconfig(root, out)

    return make


def _in_grub(out: str) -> Callable[[Path, str], None]:
    def write(root: Path, word: str) -> None:
        text = GRUB.replace('DEFAULT="quiet', f'DEFAULT="{word} quiet')
        put(root, "etc/default/grub", text)
        standins.mkconfig(root, out)

    return write


def _entries(folder: str, *marks: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for mark in marks:
            put(root, mark)
        for kernel in KERNELS:
            text = f"title x\nversion {kernel}\noptions {LINE}\nlinux /x/{kernel}/linux\n"
            put(root, f"{folder}/x-{kernel}.conf", text)
        put(root, f"{folder}/other.conf", f"machine-id {'b' * 32}\nlinux /y\noptions root=/dev/b\n")
        put(root, f"{folder}/shell.conf", "title shell\nefi /shell.efi\n")

    return make


def _in_entries(folder: str) -> Callable[[Path, str], None]:
    def write(root: Path, word: str) -> None:
        for path in (root / folder).glob("x-*.conf"):
            standins.options(path, lambda line: f"{line} {word}")

    return write


def _cmdline(folder: str, *marks: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        _entries(folder, *marks)(root)
        put(root, "etc/kernel/cmdline", f"{LINE}\n")

    return make


def _in_cmdline(folder: str) -> Callable[[Path, str], None]:
    def write(root: Path, word: str) -> None:
        put(root, "etc/kernel/cmdline", f"{LINE} {word}\n")
        _in_entries(folder)(root, word)

    return write


def _ostree(root: Path) -> None:
    _entries("boot/loader/entries", "usr/bin/rpm-ostree")(root)
    (root / "ostree").mkdir()
    put(root, "kargs.json", json.dumps(LINE.split()))


def _in_kargs(root: Path, word: str) -> None:
    put(root, "kargs.json", json.dumps([*LINE.split(), word]))


def _zipl(root: Path) -> None:
    put(root, "usr/sbin/zipl")
    put(root, "etc/zipl.conf", ZIPL)
    standins.zipl(root, [])


def _in_zipl(root: Path, word: str) -> None:
    put(root, "etc/zipl.conf", ZIPL.replace('quiet"', f'quiet {word}"'))
    standins.zipl(root, [])


def _u_boot(root: Path) -> None:
    put(root, "usr/sbin/u-boot-update")
    standins.u_boot_update(root, [])


def _in_u_boot(root: Path, word: str) -> None:
    put(root, "etc/default/u-boot", f'U_BOOT_PARAMETERS="ro quiet {word}"\n')
    standins.u_boot_update(root, [])


def _u_boot_cmdline(root: Path) -> None:
    put(root, "etc/kernel/cmdline", f"{LINE}\n")
    _u_boot(root)


def _in_u_boot_cmdline(root: Path, word: str) -> None:
    put(root, "etc/kernel/cmdline", f"{LINE} {word}\n")
    standins.u_boot_update(root, [])


_BOOT, _BOOT2 = "boot/grub/grub.cfg", "boot/grub2/grub.cfg"
_BLS, _ESP, _EFI = "boot/loader/entries", "boot/efi/loader/entries", "efi/loader/entries"
LAYOUTS: Mapping[str, Layout] = {
    "grub": Layout(_grub("usr/sbin/update-grub", out=_BOOT), _in_grub(_BOOT), "update-grub"),
    "grub-mkconfig": Layout(
        _grub("usr/sbin/grub-mkconfig", out=_BOOT), _in_grub(_BOOT), "grub-mkconfig"
    ),
    "grub2-mkconfig": Layout(
        _grub("usr/sbin/grub2-mkconfig", out=_BOOT2), _in_grub(_BOOT2), "grub2-mkconfig"
    ),
    "pbl": Layout(
        _grub("usr/sbin/update-bootloader", "usr/sbin/grub2-mkconfig", out=_BOOT2),
        *(_in_grub(_BOOT2), "update-bootloader"),
    ),
    "grubby": Layout(_entries(_BLS, "usr/sbin/grubby"), _in_entries(_BLS), "grubby"),
    "sdbootutil": Layout(_cmdline(_ESP, "usr/bin/sdbootutil"), _in_cmdline(_ESP), "sdbootutil"),
    "kernel-install": Layout(
        _cmdline(_EFI, "usr/bin/kernel-install"), _in_cmdline(_EFI), "kernel-install"
    ),
    "u-boot-menu": Layout(_u_boot, _in_u_boot, "u-boot-update"),
    "u-boot-menu-cmdline": Layout(_u_boot_cmdline, _in_u_boot_cmdline, "u-boot-update"),
    "zipl": Layout(_zipl, _in_zipl, "zipl"),
    "rpm-ostree": Layout(_ostree, _in_kargs, "rpm-ostree"),
}


@dataclass(frozen=True)
class Host:
    """A root, and beside it the stand-ins and the list of what was run."""

    top: Path

    @property
    def root(self) -> Path:
        """The root."""
        return self.top / "root"

    @property
    def programs(self) -> Path:
        """The folder of the stand-ins, for PATH."""
        return self.top / "bin"

    def make(self, name: str) -> None:
        """Make the root of a layout."""
        _common(self.root)
        LAYOUTS[name].make(self.root)
        self.add_tools()

    def add_tools(self) -> None:
        """Make the stand-ins."""
        for tool in standins.TOOLS:
            line = f'exec {sys.executable} {STANDINS} {tool} {self.root} {self.top}/calls "$@"'
            put(self.top, f"bin/{tool}", f"#!/bin/sh\n{line}\n").chmod(0o755)

    def lame(self, tool: str) -> None:
        """Let a tool do nothing, and say that all is well."""
        put(self.top, f"bin/{tool}", "#!/bin/sh\n")

    def calls(self) -> list[list[str]]:
        """Return what was run, without questions, and forget it."""
        path = self.top / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        found = [json.loads(line) for line in lines]
        return [call for call in found if call != ["rpm-ostree", "kargs"]]

    def files(self) -> dict[str, bytes]:
        """Return all files but the note of what was done."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and path.name != "crashkernel"
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the stand-ins."""
        path = self.programs / words[0]
        return subprocess.run([path, *words[1:]], check=True, text=True, capture_output=True)
