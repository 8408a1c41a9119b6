# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole initrds for the first kernel, and their /init's parts run in a folder under each shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core.resources import find_data
from kdump_initrd.core.root import Root
from kdump_initrd.probe.programs import closure

from .firstimages import Parts
from .thiskernel import RELEASE

UUID = "UUID=0b5e6f4e-8a53-4c3d-9a57-7d8a3f6c1e02"
USE_A_BASE = "use a base: leave --standalone out"
PARTS = ("cmdline.sh", "device.sh", "root.sh")
#: What a root needs to make an image of; the tools of volumes are others by their names.
_PROGRAMS = {
    "usr/bin/busybox": "/usr/bin/busybox",
    "usr/sbin/kexec": "/usr/sbin/kexec",
    "usr/sbin/findfs": "/usr/sbin/findfs",
    "usr/sbin/blkid": "/usr/sbin/blkid",
    "usr/sbin/fsck.ext4": "/usr/sbin/e2fsck",
    "usr/sbin/lvm": "/usr/bin/true",
    "usr/sbin/thin_check": "/usr/bin/true",
    "usr/sbin/mdadm": "/usr/bin/true",
}


def words(parts: Parts, *options: str, device: str | None = UUID) -> list[str]:
    """Return the words that make a whole image of this machine's root."""
    named = ["--root-device", device] if device else []
    first = ["-i", str(parts.capture), "-v", str(parts.kernel), "--standalone"]
    return [*first, *named, *options, RELEASE]


def build(parts: Parts, out: Path, *options: str, device: str | None = UUID) -> Path:
    """Make a whole image and return it."""
    assert main(words(parts, "-o", str(out), *options, device=device)) == 0
    return out


def make_root(root: Path) -> Path:
    """Make a root with all that an image can take, copied from this one."""
    programs = {name: Path(source) for name, source in _PROGRAMS.items()}
    for name, source in programs.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, root / name)
    libraries = closure.closure([path.resolve() for path in programs.values()], root=Root())
    for library in libraries.libraries:
        (root / library.dest).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library.source, root / library.dest)
    modules = f"lib/modules/{RELEASE}"
    shutil.copytree(Path("/", modules), root / modules, symlinks=True, copy_function=os.link)
    (root / "boot").mkdir()
    shutil.copy(f"/boot/config-{RELEASE}", root / "boot")
    (root / "etc/lvm").mkdir(parents=True)
    (root / "etc/mdadm").mkdir()
    (root / "etc/os-release").write_text("ID=debian\n")
    (root / "etc/fstab").write_text(f"{UUID} / ext4 errors=remount-ro 0 1\n")
    (root / "etc/lvm/lvm.conf").write_text("devices {\n}\n")
    (root / "etc/mdadm/mdadm.conf").write_text("HOMEHOST <system>\n")
    return root


@dataclass(frozen=True)
class Outcome:
    """What a run printed, what went to the kernel's log, and each call of a replaced command."""

    status: int
    printed: str
    log: list[str]
    calls: list[str]


class RootBoot:
    """A machine in a folder: what the parts read and write is there, their commands only talk."""

    def __init__(self, top: Path, shell: list[str]) -> None:
        self.top = top
        self.shell = shell
        for name in ("proc/sys/kernel", "sys/class/block", "sys/block", "dev/mapper", "run", "tmp",
                     "sysroot", "usr/sbin", "etc/kdump-initrd/on-demand"):  # fmt: skip
            (top / name).mkdir(parents=True)
        self.write("proc/mounts", "rootfs / rootfs rw 0 0\n")
        self.write("proc/filesystems", "nodev\tproc\n\text4\n\txfs\n")
        self.write("proc/cmdline", "quiet\n")
        self.write("proc/sys/kernel/panic", "15\n")
        self.write("proc/sys/kernel/printk", "7\t4\t1\t7\n")
        self.write("etc/kdump-initrd/modules", "")
        self.program("modprobe")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder."""
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def program(self, name: str, body: str = "") -> None:
        """Write a program that notes how it is called and does ``body``, in the folder."""
        text = f'#!/bin/sh\ncd {self.top} || exit\necho "{name} $*" >>calls\n{body}\n'
        self.write(f"usr/sbin/{name}", text).chmod(0o755)

    def device(self, name: str) -> str:
        """Make a block device and return its path."""
        path = self.top / "dev" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mknod", path, "b", "7", "200"], check=True)
        return str(path)

    def moved(self, text: str) -> str:
        """Let the paths of a script begin in the folder."""
        text = re.sub(
            r"(?<=[ \"<>=(\t|])/(?=(proc|sys|dev|run|tmp|etc|usr/sbin|usr/lib/kdump-initrd)/|"
            r"usr/lib/kdump-initrd\n)(?!dev/null)",
            f"{self.top}/",
            text,
        )
        text = text.replace("exec switch_root", f"exec {self.top}/usr/sbin/switch_root")
        return text.replace(f">{self.top}/dev/kmsg", f">>{self.top}/kmsg")

    def run(self, script: str, *, limit: int = 20) -> Outcome:
        """Run shell lines behind /init's parts; time passes by sleeping only."""
        lines = [f"PATH={self.top}/usr/sbin:$PATH; export PATH"]
        lines += [
            f"mount={self.top}/sysroot KDUMP_ETC={self.top}/etc/kdump-initrd expected=",
            "built_root=UUID=built built_type=ext4 node= seconds=0 why= KDUMP_LIB=/none",
        ]
        shared = ("functions.sh", "kernelline.sh")
        for name in (*shared, *(f"first/{part}" for part in PARTS), "assemble.sh", "plug.sh"):
            text = self.moved(find_data("hooks", name, root=Root()).read_text())
            lines.append(text)
            if name in shared:
                self.write(f"usr/lib/kdump-initrd/{name}", text)
        said = f">>{self.top}/calls"
        lines += [
            "drivers=x; load_drivers() { /bin/false; }",
            'uptime() { seconds=$((seconds + 1)); }; sleep() { [ "$1" = 0.1 ] || '
            f'echo "sleep $*" {said}; }}',
            f'end_machine() {{ echo restart {said}; exit 99; }}',
            f'mount() {{ echo "mount $*" {said}; [ ! -e {self.top}/mount-fails ] || '
            '{ echo "mount: $5: Invalid argument"; return 1; }; }',
            f'insmod() {{ echo "insmod $*" {said}; }}; umount() {{ echo "umount $*" {said}; }}',
        ]  # fmt: skip
        path = self.write("script", "\n".join([*lines, script]) + "\n")
        done = subprocess.run(
            [*self.shell, "-u", path], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            cwd=self.top, timeout=limit, check=False,
        )  # fmt: skip
        calls, log = self.top / "calls", self.top / "kmsg"
        return Outcome(
            done.returncode,
            (done.stdout + done.stderr).replace(f"{self.top}", ""),
            log.read_text().replace(f"{self.top}", "").splitlines() if log.exists() else [],
            calls.read_text().replace(f"{self.top}", "").splitlines() if calls.exists() else [],
        )

    def show(self, *names: str, before: str) -> dict[str, str]:
        """Run ``before`` and return the values of variables."""
        lines = [before, *(f"printf '%s\\n' {shlex.quote(name)}=\"${name}\"" for name in names)]
        done = self.run("\n".join(lines))
        assert done.status == 0, done.printed
        return dict(line.partition("=")[::2] for line in done.printed.splitlines())
