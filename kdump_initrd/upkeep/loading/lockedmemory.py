# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory that never comes to a disk, and the files in it that kexec takes.

The first is a sealed memfd. Its pages are mapped here, and so stay where they are: what has no
mapping may be swapped. A kernel that does not take an initrd from there gets it from a ramfs, which
is never swapped; it is mounted for that purpose only, and wiped.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...core.errors import KdumpInitrdError

#: mlockall(2), prctl(2), unshare(2), mount(2).
_MCL_CURRENT, _MCL_FUTURE = 1, 2
_PR_SET_DUMPABLE = 4
_CLONE_NEWNS = 0x20000
_MS_NODEV, _MS_NOSUID, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 4, 2, 8, 0x4000, 1 << 18
_MNT_DETACH = 2
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def lock() -> None:
    """Let no page of this process come to a disk, by swap or by a core dump.

    Raises KdumpInitrdError where the kernel refuses that.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
    _call("mlockall", _MCL_CURRENT | _MCL_FUTURE)


def wipe(*secrets: bytes | bytearray) -> None:
    """Write zeros over secrets, which nobody may use any more: freed memory keeps what was in it.

    Python makes copies that nobody can name; they go with the process.
    """
    for each in secrets:
        if isinstance(each, bytearray):
            each[:] = bytes(len(each))
        elif len(each) > 1:  # others are shared by all
            ctypes.memset(id(each) + bytes.__basicsize__ - 1, 0, len(each))


@contextmanager
def sealed(parts: Sequence[bytes]) -> Iterator[int]:
    """Yield a descriptor of a sealed memfd; raises OSError where the kernel has none."""
    writable = os.memfd_create("kdump-initrd", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        size = sum(map(len, parts))
        os.ftruncate(writable, size)
        # Private, because a shared one could not be sealed; as long as it only reads, these are
        # the file's own pages. What is mapped is locked.
        pages = mmap.mmap(writable, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        try:
            _write(writable, parts)
            fcntl.fcntl(writable, fcntl.F_ADD_SEALS, _SEALS)
            # The kernel reads no file that somebody can write to (ETXTBSY).
            readable = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
            os.close(writable)
            writable = -1
            try:
                yield readable
            finally:
                os.close(readable)
        finally:
            pages.close()
    finally:
        if writable >= 0:
            os.close(writable)


@contextmanager
def on_ramfs(folder: Path, parts: Sequence[bytes]) -> Iterator[int]:
    """Yield a descriptor of a file in a ramfs over ``folder``, which this process alone sees.

    Raises KdumpInitrdError where it cannot be mounted.
    """
    place = os.fsencode(folder)
    _call("unshare", _CLONE_NEWNS)
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    options = _MS_NODEV | _MS_NOSUID | _MS_NOEXEC
    _call("mount", b"ramfs", place, b"ramfs", options, b"mode=0700")
    try:
        with _readable(folder / "initrd", parts) as descriptor:
            yield descriptor
    finally:
        _call("umount2", place, _MNT_DETACH)


@contextmanager
def _readable(path: Path, parts: Sequence[bytes]) -> Iterator[int]:
    # In a ramfs what is written is written over: nothing of it is left.
    _fill(path, parts)
    try:
        readable = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield readable
        finally:
            os.close(readable)
    finally:
        _fill(path, [bytes(len(part)) for part in parts])


def _fill(path: Path, parts: Sequence[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _write(descriptor, parts)
    finally:
        os.close(descriptor)


def _write(descriptor: int, parts: Sequence[bytes]) -> None:
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _call(name: str, *arguments: int | bytes | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    if getattr(libc, name)(*words) != 0:
        error = os.strerror(ctypes.get_errno())
        raise KdumpInitrdError(
            f"{name}: {error}: what goes with the image cannot be kept in memory alone",
            hint="run it as root, outside of containers",
        )
