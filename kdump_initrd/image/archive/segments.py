# SPDX-License-Identifier: GPL-2.0-or-later
"""The segments of any initrd: where they are, what packs them, what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...core.compression import Codec
from ...core.errors import KdumpInitrdError
from ..manifest import MANIFEST, SEGMENT, Manifest
from .boundary import detect, find_end
from .filters import foreign, unpack
from .newc import ByteStream, ByteView, Contents, CorruptError, Member, read_archives
from .stored import Bytes, Part, open_stored, zeros_before

#: Other files that lie beside initrds: offset, magic number, and what it is.
_OTHERS = (
    # The boot protocol's header, of images for EFI and others (Documentation/arch/x86/boot.rst).
    (0x202, b"HdrS", "a kernel"),
    (0, b"MZ", "a kernel, or another program for EFI"),
    (0, b"\x7fELF", "a program or a kernel (ELF)"),
    (0, b"KDUMP   ", "a dump"),
    (0, b"makedumpfile", "a dump"),
    (0, b"#!", "a script"),
)
#: The bytes within which those magic numbers are.
_HEAD = 1 << 10
_CHUNK = 1 << 18
#: No initrd has more padding in one place, in bytes; a sparse file has, and takes long to read.
_PADDING = 256 << 20
#: No initrd has more segments than this.
_MOST = 1000
#: The largest manifest, in bytes: some thousand entries with their reasons.
_MANIFEST = 16 << 20


@dataclass(frozen=True)
class Segment:
    """One part of an initrd, which the kernel unpacks on its own.

    ``number`` counts from 1; ``offset`` and ``size`` are bytes of the file ``path``, zero
    padding before and behind it not counted; ``stored`` are the bytes of that file.
    """

    path: Path
    number: int
    offset: int
    size: int
    compression: Codec
    stored: Bytes = field(repr=False, compare=False)

    def entries(self, *, contents: Contents = False) -> Iterator[Member]:
        """Yield the members, in the order of the archive; files have bodies with ``contents``.

        Raises KdumpInitrdError naming the file, the offset and the segment, possibly half-way.
        """
        with _named(self.path, self.number, self.offset):
            plain = self.compression is Codec.NONE
            part = self._part
            stream = ByteView(part) if plain else ByteStream(unpack(part, self.compression))
            yield from read_archives(stream, contents=contents)

    def again(self) -> Iterator[Member]:
        """Yield the members and their bodies as libarchive reads them; raises as entries()."""
        with _named(self.path, self.number, self.offset):
            yield from foreign(self._part, self.compression)

    @property
    def _part(self) -> Part:
        return Part(self.stored, self.offset, self.offset + self.size)

    def read(self) -> bytes:
        """Return the stored bytes."""
        return self.stored[self.offset : self.offset + self.size]


def read_segments(path: Path) -> tuple[Segment, ...]:
    """Return the segments of the file; contents are read later.

    The path must be free of links. Raises KdumpInitrdError when the file cannot be read, is empty,
    or has something in it that is not a segment or is cut short.
    """
    return segments_of(open_stored(path), path)


def segments_of(data: Bytes, path: Path, *, start: int = 0) -> tuple[Segment, ...]:
    """Return the segments of what is stored at ``path``, from the offset ``start`` on.

    Raises as read_segments().
    """
    segments: list[Segment] = []
    offset = _skip_zeros(data, start, path)
    while offset < len(data):
        number = len(segments) + 1
        with _named(path, number, offset):
            codec = detect(data, offset)
            if codec is None and not segments:
                raise _no_initrd(path, data[offset : offset + _HEAD])
            if codec is None:
                raise CorruptError(f"unknown magic number {data[offset : offset + 6]!r}")
            end = find_end(data, offset, codec=codec)
        segments.append(Segment(path, number, offset, end - offset, codec, data))
        if number > _MOST:
            raise KdumpInitrdError(f"{path}: more than {_MOST} segments", hint="name an initrd")
        offset = _skip_zeros(data, end, path)
    if not segments:
        raise KdumpInitrdError(f"{path}: not an initrd: it contains only padding")
    return tuple(segments)


def _no_initrd(path: Path, data: bytes) -> KdumpInitrdError:
    found = next((what for at, magic, what in _OTHERS if data[at:].startswith(magic)), "")
    if found:
        return KdumpInitrdError(f"{path}: is {found}, not an initrd", hint="name an initrd")
    return KdumpInitrdError(
        f"{path}: is not an initrd: neither a cpio archive nor a compressed one",
        hint="name an initrd",
    )


def read_manifest(path: Path) -> Manifest | None:
    """Return what an image of ours says about itself, or None for any other initrd.

    The last segment of ours counts. Raises KdumpInitrdError as read_segments().
    """
    return manifest_in(read_segments(path))


def manifest_in(segments: Sequence[Segment]) -> Manifest | None:
    """Return what the last segment of ours says, None if there is none; raises as the above."""
    found = map(manifest_of, reversed(segments))
    return next((manifest for manifest in found if manifest is not None), None)


def manifest_of(segment: Segment) -> Manifest | None:
    """Return what a segment of ours says about itself, or None for any other.

    Only its beginning is unpacked. Raises KdumpInitrdError if that is damaged.
    """
    for member in segment.entries(contents=lambda member: member.size <= _MANIFEST):
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
        raise CorruptError("unknown magic number")
    yield from read_archives(ByteStream(unpack(data, codec)), contents=False)


class _named:
    """Turns CorruptError into an error that names the file, the segment and its offset."""

    def __init__(self, path: Path, number: int, offset: int) -> None:
        self._where = f"{path}: segment {number} at offset {offset}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CorruptError):
            raise KdumpInitrdError(f"{self._where}: {error}") from error


def _skip_zeros(data: Bytes, start: int, path: Path) -> int:
    offset = start
    while chunk := data[offset : offset + _CHUNK]:
        zeros = zeros_before(chunk)
        offset += zeros
        if zeros < len(chunk):
            break
        if offset - start > _PADDING:
            raise KdumpInitrdError(
                f"{path}: not an initrd: more than {_PADDING >> 20} MB of zero bytes "
                f"at offset {start}",
                hint="name an initrd",
            )
    return offset
