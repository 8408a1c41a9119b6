# SPDX-License-Identifier: GPL-2.0-or-later
"""Disk images with an ext4, made, checked and read back without mounting and without root."""

from __future__ import annotations

import random
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kdump_initrd.core.run import run

from .tools import tool

#: Of an ext4 where a test does not ask for another one, and of the second one of two.
UUID = "6d1f6a1c-2f0e-4b7e-9c55-0d2b5f5e3a01"
SECOND = "6d1f6a1c-2f0e-4b7e-9c55-0d2b5f5e3a02"
LABEL = "crash-disk"
PARTUUID = "3b0c9c1e-7a54-4d2a-8f10-5be0a9d3c702"
PARTLABEL = "crash-part"

_MIB = 1 << 20
_PARTITION_OFFSET = _MIB
#: Room that GPT's second table needs at the end of the disk, generously.
_PARTITION_TAIL = _MIB
_CHUNK = 1 << 16


class DiskError(Exception):
    """A disk image does not hold what it should."""


@dataclass(frozen=True)
class SavedFile:
    """A file read from a disk image: its name, permission bits, size in bytes, and local copy."""

    name: str
    mode: int
    size: int
    copy: Path


@dataclass(frozen=True)
class CrashFolder:
    """A crash's folder: its path on the dump file system, its permission bits and files."""

    path: PurePosixPath
    mode: int
    files: tuple[SavedFile, ...]

    def file(self, prefix: str) -> SavedFile:
        """Return the one file whose name begins with ``prefix``; raises DiskError."""
        found = [file for file in self.files if file.name.startswith(prefix)]
        if len(found) != 1:
            names = [file.name for file in self.files]
            raise DiskError(f"{self.path}: not one file {prefix}* among {names}")
        return found[0]


@dataclass(frozen=True)
class _Listed:
    name: str
    mode: int
    size: int


@dataclass(frozen=True)
class Disk:
    """A raw image whose ext4 begins at ``offset`` bytes (0: no partition table)."""

    path: Path
    offset: int = 0

    @property
    def _address(self) -> str:
        return f"{self.path}?offset={self.offset}" if self.offset else str(self.path)

    def fsck(self) -> str:
        """Check the file system without changing it: "" if clean, else e2fsck's words.

        A journal that waits to be replayed is not counted: a mount does that.
        """
        done = run(["e2fsck", "-fn", self._address], timeout=120, check=False)
        return "" if done.status == 0 else done.stdout.decode(errors="replace") + done.stderr

    def free_kib(self) -> int:
        """Return the space in KiB that a mounted file system lets a program have.

        ext4 keeps 2 % of the blocks, at most 4096 of them, for delayed allocation
        (fs/ext4/super.c, ext4_calculate_resv_clusters): they are not counted.
        """
        fields = {}
        for line in run(["dumpe2fs", "-h", self._address], timeout=30).stdout.decode().splitlines():
            key, _, value = line.partition(":")
            fields[key] = value.strip()
        kept = min(int(fields["Block count"]) // 50, 4096)
        return (int(fields["Free blocks"]) - kept) * int(fields["Block size"]) // 1024

    def fill(self, *, leave_kib: int) -> None:
        """Allocate one file that leaves ``leave_kib`` KiB to programs, to the block."""
        size = (self.free_kib() - leave_kib) * 1024
        empty = self.path.with_suffix(".empty")
        empty.touch()
        self._edit(f"write {empty} filler")
        self._edit(f"fallocate filler 0 {size // 4096 - 1}")
        empty.unlink()
        if abs(self.free_kib() - leave_kib) > 64:
            raise DiskError(f"{self.path}: {self.free_kib()} KiB are free, not {leave_kib}")

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link in a folder of its own, by a path as "/folder/link"."""
        folder, _, name = path.strip("/").partition("/")
        self._edit(f"mkdir {folder}")
        self._edit(f"symlink {folder}/{name} {target}")

    def crash_folders(self, into: Path, *, below: str = "/var/crash") -> list[CrashFolder]:
        """Copy every folder below ``below`` into ``into``, sparse, and return them by name."""
        found = []
        for folder in sorted(self._list(below), key=lambda entry: entry.name):
            if not stat.S_ISDIR(folder.mode) or folder.name == "lost+found":
                continue
            path = PurePosixPath(below) / folder.name
            target = into / folder.name
            target.mkdir(parents=True, exist_ok=True)
            files = []
            for entry in self._list(str(path)):
                self.copy_out(f"{path}/{entry.name}", target / entry.name)
                bits = stat.S_IMODE(entry.mode)
                files.append(SavedFile(entry.name, bits, entry.size, target / entry.name))
            found.append(CrashFolder(path, stat.S_IMODE(folder.mode), tuple(files)))
        return found

    def copy_out(self, path: str, target: Path) -> None:
        """Copy one file of the file system to ``target``; holes and zeros become holes."""
        argv = [str(tool("debugfs")), "-R", f'cat "{path}"', self._address]
        with (
            target.open("wb") as out,
            subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as source,
        ):
            assert source.stdout is not None
            assert source.stderr is not None
            zeros = bytes(_CHUNK)
            while chunk := source.stdout.read(_CHUNK):
                if chunk == zeros[: len(chunk)]:
                    out.seek(len(chunk), 1)
                else:
                    out.write(chunk)
            out.truncate(out.tell())
            said = [line for line in source.stderr.read().decode().splitlines()[1:] if line]
        if said:
            raise DiskError(f"{self.path}: {path}: {said[0]}")

    def edit(self, *commands: str) -> None:
        """Change the file system by debugfs, a command at a time; raises DiskError."""
        for command in commands:
            self._edit(command)

    def _edit(self, command: str) -> None:
        done = run(["debugfs", "-w", "-R", command, self._address], timeout=60)
        said = done.stderr.splitlines()[1:]
        if said:
            raise DiskError(f"{self.path}: debugfs {command}: {said[0]}")

    def _list(self, folder: str) -> list[_Listed]:
        # One line an entry: /inode/mode/uid/gid/name/size/
        done = run(["debugfs", "-R", f'ls -p "{folder}"', self._address], timeout=60)
        listed = []
        for line in done.stdout.decode().splitlines():
            fields = line.split("/")
            if len(fields) >= 7 and fields[5] not in (".", ".."):
                listed.append(_Listed(fields[5], int(fields[2], 8), int(fields[6] or 0)))
        return listed


def sparse(path: Path, size: int) -> Path:
    """Make a disk of so many bytes, with nothing on it."""
    path.unlink(missing_ok=True)
    with path.open("wb") as out:
        out.truncate(size)
    return path


def make(path: Path, *, size_mib: int = 2048, partitioned: bool = False, uuid: str = UUID) -> Disk:
    """Make a sparse image with an empty ext4 of a UUID and LABEL, without reserved blocks.

    With ``partitioned`` it is the first partition of a GPT, with PARTUUID and PARTLABEL.
    """
    sparse(path, size_mib * _MIB)
    offset = _PARTITION_OFFSET if partitioned else 0
    size = size_mib * _MIB - (offset + _PARTITION_TAIL if partitioned else 0)
    if partitioned:
        table = (
            "label: gpt\n"
            f"start={offset // 512}, size={size // 512}, type=linux, "
            f"uuid={PARTUUID}, name={PARTLABEL}\n"
        )
        run(["sfdisk", "-q", path], timeout=30, stdin=table.encode())
    argv = ["mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-U", uuid, "-L", LABEL]
    argv += ["-E", f"offset={offset}", str(path), f"{size // 1024}k"]
    run(argv, timeout=60)
    return Disk(path, offset)


def garbage(path: Path, *, size_mib: int = 64, seed: int = 1) -> Path:
    """Write a disk full of the same random bytes each time: a root that is beyond repair."""
    noise = random.Random(seed)
    with path.open("wb") as out:
        for _ in range(size_mib):
            out.write(noise.randbytes(_MIB))
    return path
