# SPDX-License-Identifier: GPL-2.0-or-later
"""A small machine that makes and reads file systems as Linux itself does: a kernel and busybox."""

from __future__ import annotations

import secrets
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .archive import Archive
from .disks import CrashFolder, DiskError, SavedFile, sparse
from .kernels import Kernel
from .machine import Machine, MachineConfig
from .phases import Phase

_APPLETS = (
    *("cat", "cp", "echo", "grep", "insmod", "ln", "ls", "mkdir", "mount", "poweroff", "rm", "sh"),
    *("sync", "tar", "umount"),
)
#: What QEMU's disks and folders need.
_DRIVERS = ("virtio_pci", "virtio_blk", "9pnet_virtio")
#: What a tar may take; it is sparse.
_ROOM = 2 << 30
_INIT = """\
#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
echo "<2>{token} booted" >/dev/kmsg
while read -r module; do insmod "$module"; done </modules
work() {{
	set -eu
{lines}
}}
(work) >/dev/kmsg 2>&1 && echo "<2>{token} all is done" >/dev/kmsg
sync
poweroff -f
"""


@dataclass(frozen=True)
class Errand:
    """What the machine does: lines of shell, with modules and programs of the host's.

    Disks are /dev/vda and so on, in their order.
    """

    kernel: Kernel
    disks: tuple[Path, ...]
    modules: tuple[str, ...]
    lines: tuple[str, ...]
    programs: tuple[str, ...] = ()


def go(errand: Errand, folder: Path) -> str:
    """Do it, and return the console; raises MachineError, DiskError if a line fails."""
    folder.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(8)
    initrd = folder / "side.cpio"
    _write(errand, token, initrd)
    config = MachineConfig(
        folder=folder,
        kernel=errand.kernel.image,
        initrd=initrd,
        append=f"console={errand.kernel.architecture.console} panic=-1",
        token=token,
        architecture=errand.kernel.architecture,
        disks=errand.disks,
        memory_mib=512,
        phases=(Phase.BOOTED, Phase.OFF),
        final="guest-shutdown",
        deadlines={Phase.OFF: 240},
    )
    with Machine(config) as machine:
        console = machine.run().console
    initrd.unlink()
    if f"{token} all is done" not in console:
        raise DiskError(f"not all was done: {config.folder / 'console.log'}")
    return console


def _write(errand: Errand, token: str, target: Path) -> None:
    archive = Archive()
    archive.busybox(errand.kernel.program("busybox"), _APPLETS)
    for name in errand.programs:
        archive.program(f"/bin/{name}", errand.kernel.program(name), errand.kernel.programs)
    modules = errand.kernel.load_order(*_DRIVERS, *errand.modules)
    for name, data in modules.items():
        archive.content(f"/modules.d/{name}", data)
    archive.content("/modules", "".join(f"/modules.d/{name}\n" for name in modules).encode())
    for name in ("proc", "sys", "dev", "mnt"):
        archive.folder(f"/{name}")
    lines = "\n".join(f"\t{line}" for line in errand.lines)
    archive.content("/init", _INIT.format(token=token, lines=lines).encode())
    archive.write(target)


def crash_folders(
    errand: Errand, folder: Path, into: Path, *, below: str = "/mnt/var/crash"
) -> list[CrashFolder]:
    """Copy every folder below a path into ``into``; the errand's lines are what mounts it.

    They are returned by name. The disks are not written to, unless to replay a journal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tar = sparse(folder / "side.tar", _ROOM)
    node = f"/dev/vd{chr(ord('a') + len(errand.disks))}"
    lines = (*errand.lines, f"tar -cf {node} -C {below} .", "umount /mnt")
    go(Errand(errand.kernel, (*errand.disks, tar), errand.modules, lines, errand.programs), folder)
    with tarfile.open(tar) as archive:
        archive.extractall(into, members=_safe(archive))
        modes = {PurePosixPath(each.name): each.mode for each in archive}
    tar.unlink()
    return folders_in(into, below=below, modes=modes)


def _safe(archive: tarfile.TarFile) -> list[tarfile.TarInfo]:
    return [each for each in archive if each.isfile() or each.isdir()]


def folders_in(
    copy: Path, *, below: str, modes: dict[PurePosixPath, int] | None = None
) -> list[CrashFolder]:
    """Return the crash folders of a copy of the folder ``below``; modes are the copy's or given."""
    found = []
    for folder in sorted(path for path in copy.iterdir() if path.is_dir()):
        files = tuple(
            SavedFile(path.name, _mode(path, copy, modes), path.stat().st_size, path)
            for path in sorted(folder.iterdir())
        )
        place = PurePosixPath(below) / folder.name
        found.append(CrashFolder(place, _mode(folder, copy, modes), files))
    return found


def _mode(path: Path, copy: Path, modes: dict[PurePosixPath, int] | None) -> int:
    if modes is None:
        return stat.S_IMODE(path.stat().st_mode)
    return modes[PurePosixPath(path.relative_to(copy))]
