# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs an image's scripts in its own tree, by a shell to be chosen, with tools that only note."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kdump_initrd.core.root import Root
from kdump_initrd.core.run import find
from kdump_initrd.image.tree import Entry, Kind
from kdump_initrd.probe.programs import closure

from ..unit.initrdwriter import Item
from .fakeroot import ROOT_UUID
from .images import Image

HERE = Path(__file__).parent
#: How each is started; as /bin/sh each of them keeps to POSIX.
SHELLS = ("dash", "bash", "busybox")
#: busybox's names that the shell itself has to know.
_OWN = (b"", b"sh", b"ash", b"busybox", b"[", b"[[")
#: What the machine looks like: its files, a folder where the name ends with "/".
_MACHINE = {
    "kdump/": "", "run/": "", "sysroot/sbin/": "", "proc/self/": "", "dev/": "",
    **{f"sysroot/{name}/": "" for name in ("dev", "proc", "run", "sys")},
    "proc/uptime": "5.00 1.00\n",
    "proc/cmdline": f"root={ROOT_UUID} ro quiet nvme.use_threaded_interrupts=1\n",
    "proc/mounts": "rootfs / rootfs rw 0 0\n",
    "proc/filesystems": "nodev\tproc\n\text4\n",
    "proc/vmcore": "the crashed kernel's memory\n" * 99,
    "sys/kernel/kexec_crash_size": f"{192 << 20}\n",
    "sys/kernel/kexec_crash_loaded": "0\n",
    "proc/sys/kernel/random/": "", "proc/sys/kernel/random/boot_id": "a-boot\n",
    "sys/bus/pci/devices/0000:00:03.0/modalias":
        "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00\n",
    "sys/bus/virtio/devices/virtio0/modalias": "virtio:d00000002v00001AF4\n",
    "test/calls": "", "test/saver": "0\n",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a run has left: its status, each call of a tool, the kernel's log, and what it printed.

    A status below zero is the signal that ended it: a machine that has been restarted.
    """

    top: Path
    status: int
    calls: list[str]
    log: list[str]
    printed: str

    def text(self) -> str:
        """Return what is agreed upon: the calls, and what was said."""
        return "".join(f"{line}\n" for line in (*self.calls, "# said", *self.log))

    def read(self, name: str) -> str:
        """Return the text of a file that the run has left."""
        return (self.top / name).read_text()


def write_shell(top: Path, name: str) -> Path:
    """Write a shell with its libraries, and what the tools need, into the new folder ``top``."""
    program = Path(shutil.which(name) or name).resolve()
    busybox = Path(shutil.which("busybox") or "busybox").resolve()
    for place, source in (("usr/bin/sh", program), ("test/busybox", busybox)):
        _copy(source, top / place)
        for library in closure.closure([source], root=Root()).libraries:
            _copy(library.source, top / library.dest)
    if name == "busybox":
        shell = top / "usr/bin/sh"
        shell.write_bytes(_without_applets(shell.read_bytes()))
    _copy(HERE / "tool", top / "test/tool")
    return top


def _copy(source: Path, dest: Path) -> None:
    dest.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, dest)
    dest.chmod(0o755)


def _without_applets(busybox: bytes) -> bytes:
    """Return a busybox that takes commands from PATH only: its names for them are others.

    Some are built so that its shell prefers its own (FEATURE_SH_STANDALONE).
    """
    table = max(re.findall(rb"(?:[\w\[.+-]+\0){50,}", busybox), key=len)
    names = [name if name in _OWN else name[:-1] + b"~" for name in table.split(b"\0")]
    return busybox.replace(table, b"\0".join(names))


class Machine:
    """An image's tree in the folder ``top``, which is new, with a shell from ``write_shell()``."""

    def __init__(self, top: Path, image: Image, shell: Path) -> None:
        self.top = top
        self._shell = shell
        top.mkdir()
        for item in image.system.base if image.base else ():
            self._add_item(item)
        for entry in (*image.entries, *image.later):
            self._add(entry)
        for path in sorted(shell.rglob("*")):
            if path.is_file():
                self._link(path, path.relative_to(shell).as_posix())
        for name, text in _MACHINE.items():
            self.write(name, text)
        self.write("test/fstype", f"{image.system.fstype}\n")
        self.write("sysroot/sbin/init", "").chmod(0o755)
        for name in ("rm", "switch_root", "timeout"):
            self._add_tool(f"test/tools/{name}")
        self._add_nodes()

    def write(self, name: str, text: str) -> Path:
        """Write a file of the machine; a folder where the name ends with "/"."""
        path = self._place(name)
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return path

    def run(self, *argv: str, limit: int = 20) -> Outcome:
        """Run a program of the image as the kernel or an initrd would: with nothing in PATH."""
        kmsg = os.open(self.top / "dev/kmsg", os.O_RDWR | os.O_NONBLOCK)
        printed = self.top / "test/printed"
        words = [str(find("chroot")), str(self.top), *argv]
        with printed.open("wb") as file, subprocess.Popen(
            words, env={"PATH": "/nowhere"}, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                status = self._wait(process, limit)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        log = b""
        with suppress(BlockingIOError):
            log = os.read(kmsg, 1 << 16)
        os.close(kmsg)
        calls = (self.top / "test/calls").read_text().splitlines()
        return Outcome(
            self.top, status, calls, log.decode().splitlines(), printed.read_text("utf-8")
        )

    def _wait(self, process: subprocess.Popen[bytes], limit: int) -> int:
        """Wait for a process, and let the machine's time go by; ``limit`` is in seconds."""
        start = time.monotonic()
        while process.poll() is None:
            passed = time.monotonic() - start
            if passed > limit:
                raise subprocess.TimeoutExpired(process.args, limit)
            if (self.top / "test/stuck").exists():
                # Whole at every moment: an empty file is not a time.
                moved = self.write("proc/uptime.new", f"{5 + passed:.2f} 1.00\n")
                moved.rename(self.top / "proc/uptime")
            time.sleep(0.02)
        return process.returncode

    def _place(self, name: str) -> Path:
        found = Root(self.top).resolve(name)
        assert found is not None
        return found

    def _link(self, source: Path, name: str) -> None:
        path = self._place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.link(source, path)

    def _add_tool(self, name: str) -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(self._shell / "test/tool", path)

    def _add_nodes(self) -> None:
        for name, kind, number in (
            ("null", "c", "1:3"),
            ("console", "c", "1:3"),
            ("vda1", "b", "7:200"),
        ):
            path = self.top / "dev" / name
            subprocess.run(["mknod", path, kind, *number.split(":")], check=True)
        os.mkfifo(self.top / "dev/kmsg")

    def _add_item(self, item: Item) -> None:
        path = self._place(item.path)
        if item.mode & 0o170000 == 0o040000:
            path.mkdir(parents=True, exist_ok=True)
        elif item.mode & 0o170000 == 0o120000:
            path.symlink_to(item.body.decode())
        else:
            path.write_bytes(item.body)
            path.chmod(item.mode & 0o777)

    def _add(self, entry: Entry) -> None:
        """Add an entry: a program becomes the tool of its name, a library is none of ours."""
        dest: PurePosixPath = entry.dest
        path = self.top / dest
        if entry.kind is Kind.DIRECTORY:
            path.mkdir(parents=True, exist_ok=True)
        elif entry.kind is Kind.SYMLINK and not entry.target.endswith("busybox"):
            path.symlink_to(entry.target)
        elif entry.kind is Kind.FIFO:
            os.mkfifo(path)
        elif _is_tool(entry):
            if dest.name == "sh":
                self._link(self._shell / "usr/bin/sh", str(dest))
            elif not path.exists():
                self._add_tool(str(dest))
        elif entry.kind is Kind.FILE and ".so" not in dest.name:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(entry.content)
            path.chmod(entry.mode)


def _is_tool(entry: Entry) -> bool:
    if entry.kind is Kind.SYMLINK:
        return True
    program = entry.dest.parent.name in ("bin", "sbin") or entry.dest.name.startswith("ld-")
    return entry.kind is Kind.FILE and program and entry.content.startswith(b"\x7fELF")
