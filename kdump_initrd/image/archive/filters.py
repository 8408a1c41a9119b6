# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence around libarchive, which packs and unpacks, and reads archives in its own way.

Its binding is untyped, and nothing else uses it. The versions 2.9 and 5.3 of libarchive-c work.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from ...core.compression import Codec
from ...core.errors import KdumpInitrdError
from ...core.run import find
from .meter import Meter
from .newc import CorruptError, Member, text_of
from .stored import Bytes, pieces

_CHUNK = 1 << 18
#: archive.h: ARCHIVE_EOF, ARCHIVE_FATAL.
_EOF, _FATAL = 1, -30
#: That of every libarchive since 3.0.
_SONAME = "libarchive.so.13"
#: The header of lzop without a name, in bytes; where its checksum begins to count, when it was
#: packed, and the checksum itself (f_header of lzop's p_lzo.h).
_LZOP_HEADER, _LZOP_SUMMED, _LZOP_TIME, _LZOP_SUM = 38, 9, slice(25, 33), slice(34, 38)
#: If there is less room than this, in bytes, a failed write has failed for lack of room.
_NO_ROOM = 1 << 16


def missing(codec: Codec) -> str:
    """Return the program that a codec needs and this host lacks, "" if it lacks none."""
    name = codec.row.program
    return name if name and find(name) is None else ""


def pack(chunks: Iterable[bytes], descriptor: int, codec: Codec, *, fast: bool, out: Path) -> None:
    """Write the bytes to an open file, packed; errors name it ``out``.

    ``fast`` is for what is mostly packed already. Raises KdumpInitrdError if the file cannot be
    written, and if the program is missing or fails.
    """
    ffi = load_libarchive()
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        with _archive(ffi, descriptor, codec, fast) as archive:
            for chunk in chunks:
                ffi.write_data(archive, chunk, len(chunk))
        if codec is Codec.LZO:
            _forget_time(descriptor, start)
    except ffi.ArchiveError as error:
        room = os.fstatvfs(descriptor)
        # With a program in between, libarchive does not tell why the file could not be written.
        if error.errno == errno.ENOSPC or room.f_bavail * room.f_frsize < _NO_ROOM:
            raise KdumpInitrdError(
                f"{out}: {os.strerror(errno.ENOSPC)}", hint=f"make room in {out.parent}"
            ) from error
        program = codec.row.program
        why = os.strerror(error.errno) if error.msg == "Write error" else error.msg
        raise KdumpInitrdError(f"{out}: {program + ': ' if program else ''}{why}") from error


def _forget_time(descriptor: int, start: int) -> None:
    # lzop writes what time it is, so that the same tree would not make the same image.
    header = bytearray(os.pread(descriptor, _LZOP_HEADER, start))
    header[_LZOP_TIME] = bytes(8)
    summed = header[_LZOP_SUMMED : _LZOP_SUM.start]
    header[_LZOP_SUM] = zlib.adler32(summed).to_bytes(4, "big")
    os.pwrite(descriptor, header, start)


@contextmanager
def _archive(ffi: ModuleType, descriptor: int, codec: Codec, fast: bool) -> Iterator[int]:
    """Open an archive of libarchive's format "raw": what is written to it, and nothing else."""
    pointer, number = ctypes.c_void_p, ctypes.c_int  # no libarchive-c declares these two
    ffi.ffi("write_set_format_raw", [pointer], number, ffi.check_int)
    ffi.ffi("write_add_filter_program", [pointer, ctypes.c_char_p], number, ffi.check_int)
    archive: int = ffi.write_new()
    entry = ffi.entry_new()
    row = codec.row
    options = row.fast if fast else row.options
    try:
        ffi.write_set_format_raw(archive)
        if row.program:
            ffi.write_add_filter_program(archive, _command(row.program, options))
        elif options:
            getattr(ffi, f"write_add_filter_{row.reader}")(archive)
            ffi.write_set_options(archive, options.encode())
        ffi.write_open_fd(archive, descriptor)
        ffi.entry_set_filetype(entry, stat.S_IFREG)
        ffi.write_header(archive, entry)
        yield archive
        ffi.write_close(archive)
    finally:
        ffi.entry_free(entry)
        # After an error write_free alone would leave the program's pipes open and its process
        # not waited for; the error itself is on its way already.
        with suppress(ffi.ArchiveError):
            ffi.write_close(archive)
        with suppress(ffi.ArchiveError):
            ffi.write_free(archive)


def _command(name: str, options: str) -> bytes:
    program = find(name)
    if program is None:
        raise KdumpInitrdError(
            f"{name}: program not found",
            hint=f"install {name}, or choose another compression",
        )
    return os.fsencode(f'"{program}" {options}')


def unpack(data: Bytes, codec: Codec) -> Iterator[bytes]:
    """Yield the bytes that ``data``, one segment, holds packed.

    Raises CorruptError, also for what would never end, and KdumpInitrdError if libarchive cannot
    unpack this codec.
    """
    if codec is Codec.NONE:
        yield from pieces(data)
        return
    meter = Meter(len(data))
    with _reading(data, codec, "raw") as (ffi, archive, entry):
        ffi.read_next_header2(archive, entry)
        for piece in _body(ffi, archive):
            meter.count(len(piece))
            yield piece


def foreign(data: Bytes, codec: Codec) -> Iterator[Member]:
    """Yield the members of one segment, and their bodies, as libarchive reads a cpio archive.

    This reader shares no code with newc.py's. Raises as unpack() does.
    """
    with _reading(data, codec, "cpio") as (ffi, archive, entry):
        while ffi.read_next_header2(archive, entry) != _EOF:
            content = b"".join(_body(ffi, archive))
            yield Member(
                text_of(ffi.entry_pathname(entry)),
                ffi.entry_mode(entry),
                ffi.entry_uid(entry),
                ffi.entry_gid(entry),
                ffi.entry_mtime(entry),
                ffi.entry_size(entry),
                (ffi.entry_rdevmajor(entry), ffi.entry_rdevminor(entry)),
                text_of(ffi.entry_symlink(entry) or b""),
                content,
            )


def _body(ffi: ModuleType, archive: int) -> Iterator[bytes]:
    buffer = ctypes.create_string_buffer(_CHUNK)
    while (count := ffi.read_data(archive, buffer, _CHUNK)) > 0:
        yield ctypes.string_at(buffer, count)


@contextmanager
def _reading(data: Bytes, codec: Codec, form: str) -> Iterator[tuple[ModuleType, int, int]]:
    """Open bytes as an archive of libarchive's format ``form``, with an entry to read into."""
    ffi = load_libarchive()
    archive, entry = ffi.read_new(), ffi.entry_new()
    failed: list[BaseException] = []
    calls = _callbacks(ffi, data, failed)  # libarchive uses them until it is freed
    try:
        _support(ffi, archive, codec)
        getattr(ffi, f"read_support_format_{form}")(archive)
        ffi.read_open(archive, None, *calls)
        yield ffi, archive, entry
    except ffi.ArchiveError as error:
        if failed:
            raise failed[0] from None
        raise _explained(str(error.msg), codec) from error
    finally:
        ffi.entry_free(entry)
        ffi.read_free(archive)


def _callbacks(
    ffi: ModuleType, data: Bytes, failed: list[BaseException]
) -> tuple[object, object, object]:
    """Return the functions by which libarchive opens, reads and closes the bytes.

    An exception cannot pass through libarchive: it goes into ``failed``.
    """
    rest = pieces(data)
    held = [b""]  # a piece must stay where it is until the next one is asked for

    def read(_archive: object, _client: object, buffer: Any) -> int:  # noqa: ANN401 - a pointer
        try:
            held[0] = next(rest, b"")
        except BaseException as error:
            failed.append(error)
            return _FATAL
        buffer[0] = ctypes.cast(ctypes.c_char_p(held[0]), ctypes.c_void_p)
        return len(held[0])

    def done(*_: object) -> int:
        return 0

    return ffi.OPEN_CALLBACK(done), ffi.READ_CALLBACK(read), ffi.CLOSE_CALLBACK(done)


def load_libarchive() -> ModuleType:
    """Return libarchive-c's table of functions; raises KdumpInitrdError when it is not there."""
    # What it logs are details of filters; what matters comes as an exception.
    logging.getLogger("libarchive").addHandler(logging.NullHandler())
    with suppress(OSError):
        # The loader looks into its folders; libarchive-c only asks ldconfig's cache, which lacks a
        # library that a package manager has just unpacked.
        ctypes.CDLL(_SONAME)
        os.environ.setdefault("LIBARCHIVE", _SONAME)
    try:
        from libarchive import ffi
    except (ImportError, AttributeError, OSError, TypeError) as error:
        raise KdumpInitrdError(
            f"libarchive cannot be used: {error}",
            hint="install libarchive and its Python binding (python3-libarchive-c)",
        ) from error
    table: ModuleType = ffi
    return table


def _support(ffi: ModuleType, archive: int, codec: Codec) -> None:
    name = codec.row.reader
    add: Callable[[int], int] | None = getattr(ffi, f"read_support_filter_{name}", None)
    if add is None:
        raise KdumpInitrdError(f"this libarchive cannot unpack {name}")
    add(archive)


def _explained(text: str, codec: Codec) -> Exception:
    # Without liblzo2, libarchive runs lzop.
    if codec is Codec.LZO and find("lzop") is None:
        return KdumpInitrdError(f"lzo: {text}", hint="install lzop")
    return CorruptError(text)
