# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine whose capture kernel the running system loads, with a kexec that notes its words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import find
from kdump_initrd.upkeep.loading import loadwork
from kdump_initrd.upkeep.loading.loadwork import Wish
from kdump_initrd.upkeep.ready.link import Link

from .initrdwriter import bzimage, write_capture

RELEASE = "6.1.0-1-test"
#: The image's own words.
BUILT_IN = "panic=10 nr_cpus=1"
RUNNING = "root=/dev/sda1 quiet console=ttyS0 crashkernel=512M"
#: As the kernel does it: it reads both files, and has a capture kernel if it is told to load one.
_KEXEC = """\
#!{python}
import fcntl, json, os, pathlib, sys
root = pathlib.Path({root!r})
words = sys.argv[1:]
note = {{"words": words}}
if words[:2] == ["-p", "-u"]:
    (root / "sys/kernel/kexec/crash_loaded").write_text("0\\n")
else:
    way, kernel, initrd = words[1], words[-3], words[-2].removeprefix("--initrd=")
    for name, path in (("kernel", kernel), ("initrd", initrd)):
        with open(path, "rb") as file:
            note[name] = file.read().hex()
    # The kernel reads no initrd that somebody has open to write (ETXTBSY), nor is there a lease.
    with open(initrd, "rb") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    if "memfd" in os.readlink(initrd):
        try:
            os.write(os.open(initrd, os.O_WRONLY), b"x")
        except OSError as error:
            note["refused"] = error.errno
    note["where"] = os.readlink(initrd)
with open(root / "calls", "a") as file:
    print(json.dumps(note), file=file)
answers = json.loads((root / "answers").read_text()) if (root / "answers").exists() else {{}}
if words[:2] == ["-p", "-u"]:
    sys.exit(0)
said = answers.get(way, "")
if "memfd" in answers and "memfd" in note["where"]:
    said = answers["memfd"]
if said:
    print(said, file=sys.stderr)
    sys.exit(255)
(root / "sys/kernel/kexec/crash_loaded").write_text("1\\n")
"""


@dataclass(frozen=True)
class LoadHost:
    """The root of such a machine."""

    root: Path

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file, and the folders above it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def add_kexec(self) -> None:
        """Write the kexec that notes its words."""
        text = _KEXEC.format(python=find("python3"), root=str(self.root))
        self.write("usr/sbin/kexec", text).chmod(0o755)

    def load(self, **wish: object) -> Link:
        """Load, as the verb does."""
        return loadwork.load(Wish(**wish), top=self.root, distro=None)  # type: ignore[arg-type]

    def unload(self, *, force: bool = False) -> Link:
        """Unload, as the verb does."""
        return loadwork.unload(top=self.root, distro=None, force=force)

    def answer(self, **answers: str) -> None:
        """Let kexec's calls ("s", "c") fail, and say so; "memfd": what is loaded from one."""
        ways = {name if name == "memfd" else f"-{name}": text for name, text in answers.items()}
        self.write("answers", json.dumps(ways))

    def image(self, **facts: object) -> Path:
        """Write the capture initrd, with such a manifest."""
        facts = {"cmdline": BUILT_IN, **facts}
        path = self.root / f"boot/initrd.img-{RELEASE}-kdump"
        path.unlink(missing_ok=True)
        return write_capture(path, kernel=RELEASE, **facts)  # type: ignore[arg-type]

    @property
    def calls(self) -> list[dict[str, object]]:
        """Each call of kexec: its words, and the bytes that it has read, in hexadecimal digits."""
        path = self.root / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def loaded(self) -> str:
        """What the kernel says, and the file."""
        return (self.root / "sys/kernel/kexec/crash_loaded").read_text().strip()


def make(root: Path, *, mib: int = 512) -> LoadHost:
    """Make one, with the programs of this machine that a root is told by."""
    host = LoadHost(root)
    host.write("etc/os-release", "ID=debian\n")
    host.write("etc/kdump-initrd.toml", "")
    host.write("proc/cmdline", f"{RUNNING}\n")
    host.write("proc/sys/kernel/osrelease", f"{RELEASE}\n")
    host.write("proc/sys/kernel/random/boot_id", "this-boot\n")
    host.write("sys/kernel/kexec/crash_size", f"{mib << 20}\n")
    host.write("sys/kernel/kexec/crash_loaded", "0\n")
    host.write(f"boot/vmlinuz-{RELEASE}", bzimage(RELEASE))
    host.image()
    host.add_kexec()
    (root / "run").mkdir()
    return host
