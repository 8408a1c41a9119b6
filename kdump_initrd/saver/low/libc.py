# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around the C library: memory compared, copied, mapped and written by address."""

from __future__ import annotations

import ctypes
import errno
import os

# PyDLL keeps the interpreter lock: nobody else waits for it, and each call is 0.1 us cheaper.
_quick = ctypes.PyDLL(None)
_checked = ctypes.CDLL(None, use_errno=True)

PROT_READ, PROT_WRITE = 1, 2
MAP_SHARED, MAP_PRIVATE = 1, 2
MAP_ANONYMOUS, MAP_POPULATE = 0x20, 0x8000
MADV_POPULATE_READ = 22  # Linux 5.14, include/uapi/asm-generic/mman-common.h
_EHWPOISON = 133
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # include/uapi/linux/falloc.h
#: Flags of sync_file_range(2): begin to write; that, and wait for what was and is being written.
SYNC_BEGIN, SYNC_ALL = 2, 7

memcmp = _quick.memcmp
memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
memcmp.restype = ctypes.c_int

memmove = _quick.memmove
memmove.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
memmove.restype = ctypes.c_void_p

# The 64-bit forms exist in glibc for 32-bit machines; elsewhere off_t has 64 bits anyway.
_mmap = getattr(_checked, "mmap64", None) or _checked.mmap
_mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int64,
)
_mmap.restype = ctypes.c_void_p
_munmap = _quick.munmap
_munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_munmap.restype = ctypes.c_int
_madvise = _checked.madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_madvise.restype = ctypes.c_int
# Offsets of 64 bits everywhere; a C library may lack it.
_sync_range = getattr(_checked, "sync_file_range", None)
if _sync_range:
    _sync_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    _sync_range.restype = ctypes.c_int
_fallocate = getattr(_checked, "fallocate64", None) or _checked.fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_fallocate.restype = ctypes.c_int
_pwrite = getattr(_checked, "pwrite64", None) or _checked.pwrite
_pwrite.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)
_pwrite.restype = ctypes.c_ssize_t


def map_file(fd: int, offset: int, length: int) -> int:
    """Map length bytes of a file at a page-aligned offset for reading; 0 when that fails."""
    address = _mmap(None, length, PROT_READ, MAP_PRIVATE, fd, offset)
    return 0 if address in (None, ctypes.c_void_p(-1).value) else int(address)


def hold_cached(fd: int, offset: int, length: int) -> int:
    """Map what the page cache has of a file at a page-aligned offset, so that it is not dropped.

    It is not locked: without memory for anything else, it can go. Returns 0 when that fails.
    """
    address = _mmap(None, length, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, offset)
    return 0 if address in (None, ctypes.c_void_p(-1).value) else int(address)


def map_zeros(length: int) -> int:
    """Return the address of length readable zero bytes that cost no memory of their own."""
    return _map_anonymous(length, PROT_READ, MAP_PRIVATE)


def map_shared(length: int) -> int:
    """Return the address of length zero bytes that this process and its children share."""
    return _map_anonymous(length, PROT_READ | PROT_WRITE, MAP_SHARED)


def _map_anonymous(length: int, protection: int, sharing: int) -> int:
    address = _mmap(None, length, protection, sharing | MAP_ANONYMOUS, -1, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(address)


def die_with_parent() -> None:
    """End this process when its parent ends (prctl(2), PR_SET_PDEATHSIG with SIGKILL)."""
    _checked.prctl(1, ctypes.c_ulong(9), 0, 0, 0)


def unmap(address: int, length: int) -> None:
    """End a mapping."""
    _munmap(address, length)


def is_readable(address: int, length: int) -> bool:
    """Fault a mapping in; False where touching it would end the process by SIGBUS.

    Kernels before 5.14 do not know the request, and mappings of /proc/vmcore do not take it
    (they are populated from the start): then it is taken to be readable.
    """
    if _madvise(address, length, MADV_POPULATE_READ) == 0:
        return True
    return ctypes.get_errno() not in (errno.EFAULT, errno.EIO, _EHWPOISON)


def write_at(fd: int, address: int, length: int, offset: int) -> tuple[int, int]:
    """Write length bytes of memory at a file offset.

    Returns the bytes written and 0, or fewer bytes and the errno that stopped it.
    """
    done = 0
    while done < length:
        count = _pwrite(fd, address + done, length - done, offset + done)
        if count < 0:
            error = ctypes.get_errno()
            if error == errno.EINTR:
                continue
            return done, error
        if count == 0:
            return done, errno.ENOSPC
        done += count
    return done, 0


def sync_range(fd: int, offset: int, length: int, flags: int) -> int:
    """Write a part of a file to the disk (SYNC_BEGIN or SYNC_ALL); return 0 or an errno.

    Metadata is not written. ENOSYS where there is no such call.
    """
    if _sync_range is None:
        return errno.ENOSYS
    return ctypes.get_errno() if _sync_range(fd, offset, length, flags) else 0


def punch(fd: int, offset: int, length: int) -> int:
    """Give back the disk's blocks of a part of a file, which reads as zeros then.

    Returns 0 or an errno: not every file system can do that.
    """
    done = _fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length)
    return ctypes.get_errno() if done else 0
