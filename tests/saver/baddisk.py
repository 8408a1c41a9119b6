# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk with bad blocks, or one that dies: a file served by FUSE, and a loop device on that.

So every layer of the kernel that a real disk's errors go through is there: block layer, file
system, page cache. It needs root, /dev/fuse and a free loop device.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import random
import signal
import stat
import struct
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: include/uapi/linux/fuse.h, the opcodes that a file without names needs.
_LOOKUP, _FORGET, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE = 1, 2, 3, 4, 14, 15, 16
_STATFS, _RELEASE, _FSYNC, _FLUSH, _INIT, _INTERRUPT, _BATCH_FORGET = 17, 18, 20, 25, 26, 36, 42
_IN = struct.Struct("<IIQQIIII")
_OUT = struct.Struct("<IiQ")
_SILENT = (_FORGET, _BATCH_FORGET, _INTERRUPT)
_BUFFER = (1 << 17) + 8192
#: Bad places that can be had, and the words in front of them: how many, and what is left to write.
_MOST, _HEAD = 4000, 2
_FOREVER = 1 << 60
BLOCK = 4096


class Journal:
    """What was written to a disk, in order, and where it was told to keep what it has."""

    _ENTRY = struct.Struct("<QQ")
    _FLUSH = _FOREVER

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND)

    def write(self, offset: int, data: bytes) -> None:
        os.write(self._fd, self._ENTRY.pack(offset, len(data)) + data)

    def close(self) -> None:
        os.close(self._fd)

    def flush(self) -> None:
        os.write(self._fd, self._ENTRY.pack(self._FLUSH, 0))

    def entries(self) -> list[tuple[int, bytes] | None]:
        """Return (offset, data) of each write, None for a flush."""
        raw, at = self._path.read_bytes(), 0
        found: list[tuple[int, bytes] | None] = []
        while at < len(raw):
            offset, size = self._ENTRY.unpack_from(raw, at)
            at += self._ENTRY.size
            found.append(None if offset == self._FLUSH else (offset, raw[at : at + size]))
            at += size
        return found


class BadDisk:
    """What the server and the tests share: places that cannot be read or written, the journal."""

    def __init__(self, size: int, journal: Journal) -> None:
        self.size = size
        self.journal = journal
        self._shared = mmap.mmap(-1, (_HEAD + _MOST) * 8)
        self._words = memoryview(self._shared).cast("Q")
        self._words[1] = _FOREVER

    def spoil(self, blocks: Iterable[int]) -> None:
        """Make blocks of 4096 bytes bad, from now on."""
        found = sorted(blocks)
        self._words[_HEAD : _HEAD + len(found)] = memoryview(
            b"".join(block.to_bytes(8, "little") for block in found)
        ).cast("Q")
        self._words[0] = len(found)

    def die_after(self, size: int) -> None:
        """Fail everything when so many more bytes have been written; 0 for at once."""
        self._words[1] = size

    def takes(self, offset: int, length: int, *, write: bool) -> bool:
        """Tell whether a request succeeds."""
        if write and self._words[1] != _FOREVER:
            self._words[1] -= min(length, self._words[1])
        if not self._words[1]:
            return False
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        return not any(first <= block <= last for block in self._words[_HEAD:][: self._words[0]])


def _attributes(node: int, size: int) -> bytes:
    mode = stat.S_IFDIR | 0o755 if node == 1 else stat.S_IFREG | 0o600
    return struct.pack(
        "<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, BLOCK, 0
    )


def _serve(fuse: int, backing: int, disk: BadDisk) -> None:
    while True:
        try:
            request = os.read(fuse, _BUFFER)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                continue
            return  # unmounted
        _, code, unique, node, *_ = _IN.unpack_from(request)
        if code in _SILENT:
            continue
        try:
            answer, why = _answer(code, node, request[_IN.size :], backing, disk), 0
        except OSError as error:
            answer, why = b"", error.errno or errno.EIO
        with suppress(FileNotFoundError):  # nobody waits for it any more
            os.write(fuse, _OUT.pack(_OUT.size + len(answer), -why, unique) + answer)


def _answer(code: int, node: int, body: bytes, backing: int, disk: BadDisk) -> bytes:
    if code == _INIT:
        return struct.pack("<IIIIHHIIHHI", 7, 31, 0, 0, 16, 12, 1 << 17, 1, 32, 0, 0) + bytes(28)
    if code == _LOOKUP:
        if body.rstrip(b"\0") != b"disk":
            raise OSError(errno.ENOENT, "")
        return struct.pack("<4QII", 2, 0, 3600, 3600, 0, 0) + _attributes(2, disk.size)
    if code in (_GETATTR, _SETATTR):
        return struct.pack("<QII", 3600, 0, 0) + _attributes(node, disk.size)
    if code == _OPEN:
        return struct.pack("<QII", 1, 1, 0)  # FOPEN_DIRECT_IO
    if code == _STATFS:
        return bytes(80)
    if code in (_RELEASE, _FLUSH):
        return b""
    if code == _FSYNC:
        if not disk.takes(0, 1, write=False):
            raise OSError(errno.EIO, "")
        disk.journal.flush()
        return b""
    if code in (_READ, _WRITE):
        _, offset, size = struct.unpack_from("<QQI", body)
        if not disk.takes(offset, size, write=code == _WRITE):
            raise OSError(errno.EIO, "")
        if code == _READ:
            return os.pread(backing, size, offset).ljust(size, b"\0")
        os.pwrite(backing, body[40 : 40 + size], offset)
        disk.journal.write(offset, body[40 : 40 + size])
        return struct.pack("<II", size, 0)
    raise OSError(errno.ENOSYS, "")


def _mount_fuse(folder: Path, fuse: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"baddisk", os.fsencode(folder), b"fuse", 0, words):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _run(*words: object) -> str:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise OSError(f"{words[0]}: {done.stderr}")
    return done.stdout


@contextmanager
def bad_disk(folder: Path, *, mib: int = 192) -> Iterator[tuple[BadDisk, Path]]:
    """Mount an ext4 on a disk that is good until it is told otherwise; yield both."""
    disk = BadDisk(mib << 20, Journal(folder / "journal"))
    served, mounted, backing = folder / "served", folder / "mounted", folder / "backing"
    for each in (served, mounted):
        each.mkdir()
    fuse = os.open("/dev/fuse", os.O_RDWR)
    _mount_fuse(served, fuse)
    store = os.open(backing, os.O_RDWR | os.O_CREAT)
    os.ftruncate(store, disk.size)
    pid = os.fork()
    if not pid:
        try:
            _serve(fuse, store, disk)
        finally:
            os._exit(0)
    os.close(store)
    os.close(fuse)
    loop = ""
    try:
        loop = _run("losetup", "--find", "--show", "--direct-io=on", served / "disk").strip()
        # A request of FUSE each: the loop device takes a part that was written for all of it.
        Path(f"/sys/block/{Path(loop).name}/queue/max_sectors_kb").write_text("64")
        # All metadata in one place, so that what is behind it is contents only.
        # Nothing is left for the kernel to write later, by itself: what is written is counted.
        now = "packed_meta_blocks=1,lazy_itable_init=0,lazy_journal_init=0"
        _run("mkfs.ext4", "-q", "-b", BLOCK, "-m", 0, "-E", now, loop)
        _run("mount", "-o", "errors=continue", loop, mounted)
        yield disk, mounted
    finally:
        disk.journal.close()
        disk.spoil([])
        disk.die_after(_FOREVER)
        # Lazily: a test that has failed may have left a file open.
        with suppress(OSError):
            _run("umount", "--lazy", mounted)
        if loop:
            _run("losetup", "--detach", loop)
        _run("umount", "-l", served)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def blocks_of(path: Path) -> list[int]:
    """Return the blocks of the disk that a file has."""
    found: list[int] = []
    for line in _run("filefrag", "-b4096", "-v", path).splitlines():
        fields = line.replace("..", " ").replace(":", " ").split()
        if fields and fields[0].isdigit() and len(fields) > 5:
            found += range(int(fields[3]), int(fields[4]) + 1)
    return found


def where_a_file_goes(folder: Path, size: int) -> list[int]:
    """Return the blocks of the disk that a new file of a folder gets: one is written, and goes."""
    probe = folder / "probe"
    with probe.open("wb") as file:
        file.write(random.Random(1).randbytes(size))
        os.fsync(file.fileno())
    found = blocks_of(probe)
    probe.unlink()
    os.sync()
    return found


@contextmanager
def after_power_cut(
    disk: BadDisk, folder: Path, entries: list[tuple[int, bytes] | None], *, kept: bool
) -> Iterator[Path]:
    """Mount a disk as it is after these writes; kept says that it has what it was not told to keep.

    The journal begins with an empty disk.
    """
    mounted = folder / "image-mounted"
    # A new one each time: a loop device of an older one may still be there, with its cache.
    image = folder / f"image-{len(entries)}-{kept}"
    if not kept:
        last = max(number for number, entry in enumerate(entries) if entry is None)
        entries = entries[:last]
    with image.open("wb") as file:
        file.truncate(disk.size)
        for entry in entries:
            if entry:
                file.seek(entry[0])
                file.write(entry[1])
    mounted.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", image, mounted)
    try:
        yield mounted
    finally:
        _run("umount", mounted)
        image.unlink()
