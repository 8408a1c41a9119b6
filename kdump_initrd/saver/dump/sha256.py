# SPDX-License-Identifier: GPL-2.0-or-later
"""SHA-256 of a file, by the fastest implementation that is here."""

from __future__ import annotations

import ctypes
import os
import time

from ..low import child
from ..low.failure import SaverError
from ..low.stdlib import SHA256
from ..memory.window import data_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    # Takes a number of bytes of the buffer at its start; returns the digest in hexadecimal.
    Hash = tuple[Callable[[int], None], Callable[[], str]]

#: Bytes read at once. More is not faster, and mapping the file would be faster by a seventh only,
#: but a bad disk then ends the process by SIGBUS where reading says EIO.
_PIECE = 128 << 10
_DIGEST = 32
#: libcrypto uses the processor's instructions for SHA: 1450 MB/s here, where Python's own module
#: does 300. No image has it, it is too large; a host has it.
_LIBRARIES = ("libcrypto.so.3", "libcrypto.so.1.1")
#: The image's is busybox: since its version 1.36 it uses those instructions, too, and before it
#: took 0.6 of the time of Python's module in an emulated machine, and 1.2 of it in a real one.
_PROGRAM = "/usr/sbin/sha256sum"
#: Seconds between two looks at that: the first ones, and the later ones.
_LOOKS = (0.005, 0.05)
#: Bytes of holes that are hashed in any case.
_HOLES = 64 << 20


class _AbsentError(Exception):
    """An implementation is not here."""


def too_many_holes(fd: int) -> str:
    """Return a line where holes would take most of the time that a file's SHA-256 takes.

    Every zero in them has to be hashed: the bitmaps of 256 MiB of memory at 64 TiB are 4 GiB of
    holes in a dump of 2 MB. "" if they have no more bytes than the data, or than 64 MiB.
    """
    size = os.fstat(fd).st_size
    data = data_bytes(fd, 0, size)
    if size - data <= max(data, _HOLES):
        return ""
    return f"not computed: {(size - data) / 1e6:.0f} MB of its {size / 1e6:.0f} MB are holes"


def file_sha256(fd: int, feed: Callable[[int], object]) -> str:
    """Return the SHA-256 of an open file, all of it, in lower-case hexadecimal digits.

    feed is called now and then with the number of bytes that are done since the last call; the
    file's position is neither used nor changed. Raises SaverError when there is no libcrypto, no
    program and no module of Python's own (a Python can be built without it), OSError when the
    file cannot be read.
    """
    buffer = bytearray(_PIECE)
    for library in _LIBRARIES:
        try:
            implementation = _libcrypto(library, buffer)
        except (_AbsentError, AttributeError):
            continue
        return _by_pieces(fd, buffer, implementation, feed)
    found = _by_program(fd, feed)
    if found:
        return found
    for module in SHA256:
        try:
            implementation = _built_in(module, buffer)
        except ImportError:
            continue
        return _by_pieces(fd, buffer, implementation, feed)
    raise SaverError("SHA-256: there is no libcrypto, and this Python was built without it")


def _by_pieces(fd: int, buffer: bytearray, by: Hash, feed: Callable[[int], object]) -> str:
    update, digest = by
    view = memoryview(buffer)
    offset = 0
    while True:
        count = os.preadv(fd, [view], offset)
        if not count:
            return digest()
        update(count)
        offset += count
        feed(count)


def _by_program(fd: int, feed: Callable[[int], object]) -> str:
    # "" when that fails: the next implementation begins again, and meets the same error or does
    # better.
    if not os.path.exists(_PROGRAM):
        return ""
    told: list[int] = []

    def tell(count: int) -> None:
        told.append(count)
        feed(count)

    digest = _run_program(fd, tell)
    if not digest:
        feed(-sum(told))
    return digest


def _run_program(fd: int, feed: Callable[[int], object]) -> str:
    files: list[int] = []
    try:
        # It reads by a position of its own, which tells how far it is.
        stdin = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        files.append(stdin)
        files += os.pipe()
        reader, writer = files[1:]
        os.set_blocking(reader, False)
        pid = child.start([_PROGRAM], stdin=stdin, output=writer)
        try:
            status = _watch(pid, stdin, feed)
        except BaseException:
            child.kill(pid)
            raise
        words = child.last_words(reader).decode("latin-1").split()
    except OSError:
        return ""
    finally:
        for file in files:
            os.close(file)
    digest = words[0] if words else ""
    return digest if not status and len(digest) == 2 * _DIGEST else ""


def _watch(pid: int, stdin: int, feed: Callable[[int], object]) -> int:
    # Until its end: return its status.
    done = looks = 0
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        at = os.lseek(stdin, 0, os.SEEK_CUR)
        if at > done:
            feed(at - done)
            done = at
        if ended:
            return status
        time.sleep(_LOOKS[looks > 20])
        looks += 1


def _libcrypto(file: str, buffer: bytearray) -> Hash:
    # The EVP interface, which 1.1 and 3 have in common.
    try:
        library = ctypes.PyDLL(file)
    except OSError as error:
        raise _AbsentError(str(error)) from None
    pointer = ctypes.c_void_p
    create, kind = library["EVP_MD_CTX_new"], library["EVP_sha256"]
    create.restype = kind.restype = pointer
    context = pointer(create())
    if not context or library["EVP_DigestInit_ex"](context, pointer(kind()), None) != 1:
        raise _AbsentError(f"{file}: it does not provide SHA-256")
    add, finish, free = (
        library[f"EVP_{name}"] for name in ("DigestUpdate", "DigestFinal_ex", "MD_CTX_free")
    )
    # It keeps the buffer alive.
    memory = (ctypes.c_char * len(buffer)).from_buffer(buffer)

    def update(count: int) -> None:
        if add(context, memory, ctypes.c_size_t(count)) != 1:
            raise SaverError(f"{file}: SHA-256 failed")

    def digest() -> str:
        result = ctypes.create_string_buffer(_DIGEST)
        done = finish(context, result, None)
        free(context)
        if done != 1:
            raise SaverError(f"{file}: SHA-256 failed")
        return result.raw.hex()

    return update, digest


def _built_in(module: str, buffer: bytearray) -> Hash:
    # Not hashlib: that imports _hashlib, which needs libcrypto.
    state = __import__(module).sha256()
    view = memoryview(buffer)

    def update(count: int) -> None:
        state.update(view[:count])

    def digest() -> str:
        result: str = state.hexdigest()
        return result

    return update, digest
