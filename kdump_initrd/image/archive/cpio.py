# SPDX-License-Identifier: GPL-2.0-or-later
"""A tree becomes a packed newc archive, the same bytes for the same tree."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from ...core.compression import Codec
from ...core.errors import KdumpInitrdError
from ...core.publish import Stamp, new_file
from ..manifest import MANIFEST, SEGMENT
from ..tree import Entry
from . import filters
from .newc import Member, write_archive
from .segments import Segment, segments_of
from .stored import Bytes, Stored, pieces

#: The largest time that libarchive-c 2.9's C int holds, and so newc's eight digits.
_MAX_MTIME = (1 << 31) - 1


@dataclass(frozen=True)
class Packing:
    """How entries become bytes: the codec, the time of all (seconds since 1970), the effort.

    ``fast`` is for content that is mostly packed already.
    """

    compression: Codec
    mtime: int
    fast: bool = False


def write_image(
    entries: Iterable[Entry],
    out: Path,
    packing: Packing,
    *,
    force: bool,
    mode: int = 0o600,
    base: Bytes = b"",
    instead: Stamp | None = None,
) -> int:
    """Write the entries as ``out``: whole or not at all, read back and compared; return its size.

    ``base`` is an initrd, padded as it has to be, to which the archive is appended; ``instead`` is
    the stamp of what is replaced. Owner and group are 0; the manifest comes first, then the rest
    in path order. Raises KdumpInitrdError if ``out`` exists without ``force``, is not ``instead``
    any more (ChangedError) or cannot be written, if the packing program is missing, and if the
    archive does not hold the entries.
    """
    mtime = packing.mtime
    if not 0 <= mtime <= _MAX_MTIME:
        raise KdumpInitrdError(
            f"modification time {mtime}: out of range (0 to {_MAX_MTIME})",
            hint="correct SOURCE_DATE_EPOCH",
        )
    members = [_member(entry, mtime) for entry in _ordered(entries)]
    with new_file(out, force=force, mode=mode, instead=instead) as new:
        with os.fdopen(os.dup(new.descriptor), "wb") as file:
            for piece in pieces(base):
                file.write(piece)
        _write(members, new.descriptor, packing, out)
        # By its descriptor: the path may be relative, or have links in it.
        stored = Stored(os.dup(new.descriptor))
        _compare(members, segments_of(stored, new.path, start=len(base)), out)
        return os.fstat(new.descriptor).st_size


def pack(entries: Iterable[Entry], packing: Packing) -> bytes:
    """Return the archive of some entries, read back and compared; errors as write_image()."""
    members = [_member(entry, packing.mtime) for entry in entries]
    descriptor = os.memfd_create("kdump-initrd")
    stored = None
    try:
        path = Path(f"/proc/self/fd/{descriptor}")
        _write(members, descriptor, packing, path)
        stored = Stored(descriptor)
        _compare(members, segments_of(stored, path), path)
        return stored[:]
    finally:
        if stored is None:
            os.close(descriptor)


def plain(entries: Iterable[Entry]) -> bytes:
    """Return the archive of some entries, not packed: its bytes are in this process only.

    It is read back and compared; errors as write_image().
    """
    members = [_member(entry, 0) for entry in entries]
    data = b"".join(write_archive(members))
    name = Path("memory")
    _compare(members, segments_of(data, name), name)
    return data


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    # A reader finds the manifest without unpacking the rest; its folder must come before it.
    first = {each: rank for rank, each in enumerate((MANIFEST.parent, MANIFEST, SEGMENT))}
    return sorted(entries, key=lambda entry: (first.get(entry.dest, len(first)), entry.dest))


def _member(entry: Entry, mtime: int) -> Member:
    mode = entry.kind.type_bits | entry.mode
    facts = (0, 0, mtime, entry.size, entry.device, entry.target, entry.content)
    return Member(str(entry.dest), mode, *facts)


def _write(members: Sequence[Member], descriptor: int, packing: Packing, out: Path) -> None:
    chunks = write_archive(members)
    filters.pack(chunks, descriptor, packing.compression, fast=packing.fast, out=out)


def _compare(members: Sequence[Member], segments: Iterable[Segment], out: Path) -> None:
    # A reader other than newc.py must find every entry as it was meant.
    written = (member for segment in segments for member in segment.again())
    for wanted, found in zip_longest(members, written):
        one_side = wanted is None or found is None
        difference = "one side lacks it" if one_side else _difference(wanted, found)
        if difference:
            path = (wanted or found).path
            raise KdumpInitrdError(f"{out}: {path} was not written correctly: {difference}")


def _difference(wanted: Member, found: Member) -> str:
    for name, value in vars(wanted).items():
        other = vars(found)[name]
        if value != other:
            if name == "content":
                return "content differs"
            show = oct if name == "mode" else str
            return f"{name} is {show(other)}, not {show(value)}"
    return ""
