# SPDX-License-Identifier: GPL-2.0-or-later
"""The newc cpio format: entries become a stream of bytes, and a stream of bytes entries."""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Union

from ...core.compression import Codec
from ...core.files import FILE
from .stored import Bytes, zeros_before

_MAGICS = Codec.NONE.row.magics
_TRAILER = b"TRAILER!!!"
_HEADER_SIZE = 110
#: PATH_MAX of Linux, the final NUL included: init/initramfs.c takes no longer name.
_NAME_MAX = 4096
_CHUNK = 1 << 18


class CorruptError(ValueError):
    """The bytes are not what their format wants; the text says how, without the file's name."""


@dataclass(frozen=True)
class Member:
    """One entry of a newc archive.

    ``mode`` is st_mode with the type bits; ``size`` the bytes of the body; ``target`` that of a
    symlink, else ""; ``device`` ``(major, minor)`` of a node; ``content`` the body of a file if it
    was asked for, else b"". Bytes of a name that are not UTF-8 become surrogate escapes.
    """

    path: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    device: tuple[int, int]
    target: str = ""
    content: bytes = b""


#: Which bodies are read: all, none, or those of some files.
Contents = Union[bool, Callable[[Member], bool]]


class ByteStream:
    """Bytes from chunks, taken in order. ``offset`` counts the bytes taken so far."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = bytearray()
        self.offset = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes; raises CorruptError when fewer are left."""
        while len(self._buffer) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                raise CorruptError("truncated cpio archive")
            self._buffer += chunk
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.offset += size
        return taken

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes; raises CorruptError when fewer are left."""
        while size > len(self._buffer):
            size -= len(self._buffer)
            self.offset += len(self._buffer)
            self._buffer = bytearray(next(self._chunks, b""))
            if not self._buffer:
                raise CorruptError("truncated cpio archive")
        del self._buffer[:size]
        self.offset += size

    def skip_zeros(self) -> bool:
        """Pass over zero bytes; return whether anything else follows."""
        while True:
            rest = self._buffer.lstrip(b"\0")
            self.offset += len(self._buffer) - len(rest)
            self._buffer = rest
            if rest:
                return True
            chunk = next(self._chunks, b"")
            if not chunk:
                return False
            self._buffer += chunk


class ByteView:
    """The same for bytes with random access: what is passed over is not read."""

    def __init__(self, data: Bytes, offset: int = 0) -> None:
        self._data = data
        self.offset = offset

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes; raises CorruptError when fewer are left."""
        start = self.offset
        self.skip(size)
        return self._data[start : self.offset]

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes; raises CorruptError when fewer are left."""
        if self.offset + size > len(self._data):
            raise CorruptError("truncated cpio archive")
        self.offset += size

    def skip_zeros(self) -> bool:
        """Pass over zero bytes; return whether anything else follows."""
        while chunk := self._data[self.offset : self.offset + _CHUNK]:
            zeros = zeros_before(chunk)
            self.offset += zeros
            if zeros < len(chunk):
                return True
        return False


#: Whatever archives can be read from.
Stream = Union[ByteStream, ByteView]


def write_archive(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield the bytes of an archive, without padding at its end.

    Inode numbers are 0, and each member is the only link to its file.
    """
    trailer = Member(_TRAILER.decode(), 0, 0, 0, 0, 0, (0, 0))
    for member in (*members, trailer):
        body = _raw(member.target) or member.content
        name = _raw(member.path) + b"\0"
        ends = (0, 0, *member.device, len(name), 0)
        numbers = (0, member.mode, member.uid, member.gid, 1, member.mtime, len(body), *ends)
        header = _MAGICS[0] + struct.pack(">13I", *numbers).hex().encode()
        for part in (header + name, body):
            yield part
            yield bytes(-len(part) % 4)


def read_archive(stream: Stream, *, contents: Contents) -> Iterator[Member]:
    """Yield the members of one archive, up to its trailer, which is taken too.

    Bodies of files are passed over if ``contents`` does not ask for them, or if they are larger
    than any file that is put into an image. Raises CorruptError.
    """
    while True:
        header = stream.take(_HEADER_SIZE)
        if header[:6] not in _MAGICS:
            raise CorruptError(f"not a newc header: {header[:6]!r}")
        try:
            numbers = struct.unpack(">13I", bytes.fromhex(header[6:].decode("ascii")))
        except (ValueError, struct.error):
            raise CorruptError("a number of a newc header is not hexadecimal") from None
        _ino, mode, uid, gid, _nlink, mtime, size, _, _, major, minor, name_size, _ = numbers
        if not 0 < name_size <= _NAME_MAX:
            raise CorruptError(f"a name of {name_size} bytes")
        name = _padded(stream, name_size, _HEADER_SIZE).rstrip(b"\0")
        if name == _TRAILER:
            stream.skip(size + -size % 4)
            return
        member = Member(text_of(name), mode, uid, gid, mtime, size, (major, minor))
        yield _with_body(member, stream, contents)


def read_archives(stream: Stream, *, contents: Contents) -> Iterator[Member]:
    """Yield the members of all archives of a stream, between which there may be zero bytes."""
    while stream.skip_zeros():
        yield from read_archive(stream, contents=contents)


def _with_body(member: Member, stream: Stream, contents: Contents) -> Member:
    try:
        if stat.S_ISLNK(member.mode):
            if member.size > _NAME_MAX:
                raise CorruptError(f"a target of {member.size} bytes")
            target = text_of(_padded(stream, member.size, 0))
            return replace(member, target=target)
        wanted = contents if isinstance(contents, bool) else contents(member)
        if wanted and member.size <= FILE and stat.S_ISREG(member.mode):
            return replace(member, content=_padded(stream, member.size, 0))
        stream.skip(member.size + -member.size % 4)
        return member
    except CorruptError as error:
        raise CorruptError(f"{error}, in {member.path}") from None


def _padded(stream: Stream, size: int, before: int) -> bytes:
    # Both the header with its name and the body are padded to a multiple of four.
    body = stream.take(size)
    stream.skip(-(before + size) % 4)
    return body


def text_of(raw: bytes) -> str:
    """Return a name or target as text; what is not UTF-8 has surrogate escapes."""
    return raw.decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
