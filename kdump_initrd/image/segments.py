# SPDX-License-Identifier: GPL-2.0-or-later
"""The segments of any initrd: where they are, what packs them, what is in them."""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..errors import KdumpInitrdError
from ..run import find
from .boundary import Codec, detect, find_end
from .manifest import MANIFEST, SEGMENT, Manifest
from .newc import ByteStream, CorruptError, Member, read_archives

#: What libarchive calls the codecs.
_FILTERS = {
    Codec.GZIP: "gzip",
    Codec.BZIP2: "bzip2",
    Codec.LZMA: "lzma",
    Codec.XZ: "xz",
    Codec.LZO: "lzop",
    Codec.LZ4: "lz4",
    Codec.LZ4_FRAME: "lz4",
    Codec.ZSTD: "zstd",
}
#: What else lies beside initrds: offset, magic number, and what it is.
_OTHERS = (
    # The boot protocol's header, of images for EFI and others (Documentation/arch/x86/boot.rst).
    (0x202, b"HdrS", "a kernel"),
    (0, b"MZ", "a kernel, or another program for EFI"),
    (0, b"\x7fELF", "a program or a kernel (ELF)"),
    (0, b"KDUMP   ", "a dump"),
    (0, b"makedumpfile", "a dump"),
    (0, b"#!", "a script"),
)
_CHUNK = 1 << 18
#: Of every libarchive since 3.0.
_SONAME = "libarchive.so.13"


@dataclass(frozen=True)
class Segment:
    """One part of an initrd, which the kernel unpacks on its own.

    ``number`` counts from 1; ``offset`` and ``size`` are bytes of the file ``path``, zero
    padding before and behind it not counted.
    """

    path: Path
    number: int
    offset: int
    size: int
    compression: Codec

    def entries(self, *, contents: bool = False) -> Iterator[Member]:
        """Yield the members, in the order of the archive; files have bodies with ``contents``.

        Raises KdumpInitrdError naming the file, the offset and the segment, also half-way.
        """
        with _named(self.path, self.number, self.offset):
            stream = ByteStream(unpack(self.read(), self.compression))
            yield from read_archives(stream, contents=contents)

    def read(self) -> bytes:
        """Return the stored bytes."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise KdumpInitrdError(f"{self.path}: {error.strerror}") from error


def read_segments(path: Path, *, start: int = 0) -> tuple[Segment, ...]:
    """Return the segments of the file from the offset ``start`` on; contents are read later.

    Raises KdumpInitrdError when the file cannot be read, is empty, or has something in it that
    is no segment or is cut short.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}", hint="name an initrd") from error
    segments: list[Segment] = []
    offset = _skip_zeros(data, start)
    while offset < len(data):
        number = len(segments) + 1
        with _named(path, number, offset):
            codec = detect(data, offset)
            if codec is None and not segments:
                raise _no_initrd(path, data[offset:])
            if codec is None:
                raise CorruptError(f"no known magic number, but {data[offset : offset + 6]!r}")
            end = find_end(data, offset, codec=codec)
        segments.append(Segment(path, number, offset, end - offset, codec))
        offset = _skip_zeros(data, end)
    if not segments:
        raise KdumpInitrdError(f"{path}: no initrd: there is nothing in it but padding")
    return tuple(segments)


def _no_initrd(path: Path, data: bytes) -> KdumpInitrdError:
    found = next((what for at, magic, what in _OTHERS if data[at:].startswith(magic)), "")
    if found:
        return KdumpInitrdError(f"{path}: is {found}, not an initrd", hint="name an initrd")
    return KdumpInitrdError(
        f"{path}: is not an initrd: it begins with {data[:6]!r}",
        hint="an initrd is a cpio archive, packed or not",
    )


def read_manifest(path: Path) -> Manifest | None:
    """Return what an image of ours says about itself, or None for any other initrd.

    The last segment of ours counts. Raises KdumpInitrdError as read_segments().
    """
    found = map(manifest_of, reversed(read_segments(path)))
    return next((manifest for manifest in found if manifest is not None), None)


def manifest_of(segment: Segment) -> Manifest | None:
    """Return what a segment of ours says about itself, or None for any other.

    Only its beginning is unpacked. Raises KdumpInitrdError when that is damaged.
    """
    for member in segment.entries(contents=True):
        if member.path in (str(MANIFEST), str(SEGMENT)):
            name = f"{segment.path}: {member.path}"
            return Manifest.from_json(member.content.decode(errors="replace"), name=name)
        if member.path not in map(str, MANIFEST.parents):
            break
    return None


def read_packed(data: bytes) -> Iterator[Member]:
    """Yield the members of one packed archive in memory; raises CorruptError."""
    codec = detect(data, 0)
    if codec is None:
        raise CorruptError("no known magic number")
    yield from read_archives(ByteStream(unpack(data, codec)), contents=False)


def unpack(data: bytes, codec: Codec) -> Iterator[bytes]:
    """Yield the bytes that ``data``, one segment, holds packed.

    Raises CorruptError, and KdumpInitrdError when libarchive cannot unpack this codec.
    """
    if codec is Codec.NONE:
        for start in range(0, len(data), _CHUNK):
            yield data[start : start + _CHUNK]
        return
    ffi = load_libarchive()
    archive, entry = ffi.read_new(), ffi.entry_new()
    buffer = ctypes.create_string_buffer(_CHUNK)
    try:
        _support(ffi, archive, codec)
        ffi.read_open_memory(archive, data, len(data))
        ffi.read_next_header2(archive, entry)
        while (count := ffi.read_data(archive, buffer, _CHUNK)) > 0:
            yield ctypes.string_at(buffer, count)
    except ffi.ArchiveError as error:
        raise _explained(str(error.msg), codec) from error
    finally:
        ffi.entry_free(entry)
        ffi.read_free(archive)


def load_libarchive() -> ModuleType:
    """Return libarchive-c's table of functions; raises KdumpInitrdError when it is not there.

    It is untyped: image/segments.py and image/cpio.py are the only modules that touch it.
    """
    # What it logs are details of filters; what matters comes as an exception.
    logging.getLogger("libarchive").addHandler(logging.NullHandler())
    with suppress(OSError):
        # The loader finds it in its folders at once; libarchive-c asks ldconfig's cache, which does
        # not have it yet where a package manager has just unpacked it.
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
    name = _FILTERS[codec]
    add: Callable[[int], int] | None = getattr(ffi, f"read_support_filter_{name}", None)
    if add is None:
        raise KdumpInitrdError(f"this libarchive cannot unpack {name}")
    add(archive)
    ffi.read_support_format_raw(archive)


def _explained(text: str, codec: Codec) -> Exception:
    # Without liblzo2, libarchive runs lzop.
    if codec is Codec.LZO and find("lzop") is None:
        return KdumpInitrdError(f"lzo: {text}", hint="install lzop")
    return CorruptError(text)


class _named:
    """Turns CorruptError into an error that names the file, the segment and its offset."""

    def __init__(self, path: Path, number: int, offset: int) -> None:
        self._where = f"{path}: segment {number} at offset {offset}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CorruptError):
            raise KdumpInitrdError(f"{self._where}: {error}") from error


def _skip_zeros(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset] == 0:
        chunk = data[offset : offset + _CHUNK]
        offset += len(chunk) - len(chunk.lstrip(b"\0"))
    return offset
