# SPDX-License-Identifier: GPL-2.0-or-later
"""SHA-256 of a file, by the fastest implementation that is here."""

from __future__ import annotations

import ctypes
import os

from .failure import SaverError
from .stdlib import SHA256

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


def file_sha256(fd: int, feed: Callable[[int], object]) -> str:
    """Return the SHA-256 of an open file, all of it, in lower-case hexadecimal digits.

    feed is called after each piece with the number of its bytes, 131072 at most; the file's
    position is neither used nor changed. Raises SaverError when neither libcrypto nor Python's
    own module is here (a Python can be built without it), OSError when the file cannot be read.
    """
    buffer = bytearray(_PIECE)
    update, digest = _open(buffer)
    view = memoryview(buffer)
    offset = 0
    while True:
        count = os.preadv(fd, [view], offset)
        if not count:
            return digest()
        update(count)
        offset += count
        feed(count)


def _open(buffer: bytearray) -> Hash:
    for library in _LIBRARIES:
        try:
            return _libcrypto(library, buffer)
        except (OSError, AttributeError, SaverError):
            continue
    for module in SHA256:
        try:
            return _built_in(module, buffer)
        except ImportError:
            continue
    raise SaverError("SHA-256: there is no libcrypto, and this Python was built without it")


def _libcrypto(file: str, buffer: bytearray) -> Hash:
    # The EVP interface, which 1.1 and 3 have in common.
    library = ctypes.PyDLL(file)
    pointer = ctypes.c_void_p
    create, kind = library["EVP_MD_CTX_new"], library["EVP_sha256"]
    create.restype = kind.restype = pointer
    context = pointer(create())
    if not context or library["EVP_DigestInit_ex"](context, pointer(kind()), None) != 1:
        raise SaverError(f"{file}: SHA-256 is not there")
    add, finish, free = (
        library[f"EVP_{name}"] for name in ("DigestUpdate", "DigestFinal_ex", "MD_CTX_free")
    )
    # It keeps the buffer.
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
