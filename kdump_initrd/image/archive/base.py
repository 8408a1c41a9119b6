# SPDX-License-Identifier: GPL-2.0-or-later
"""A base initrd: what is in it, a segment of ours behind it, and how entries fit into its tree."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ...core.compression import Codec
from ...core.errors import KdumpInitrdError
from ...core.publish import Stamp, unchanged
from ...core.root import follow
from ..tree import Entry, Kind
from .newc import Member
from .segments import Segment, manifest_of, segments_of
from .stored import Bytes, Part, open_stored, pieces

#: Files of a base up to this size keep their contents, in bytes: scripts that are extended.
_KEPT = 1 << 14
#: What the entries of a base may take in memory, and what each takes at least; in bytes.
_MEMORY, _ENTRY = 128 << 20, 1 << 10


@dataclass(frozen=True)
class Base:
    """An initrd that a segment can be appended to.

    ``data`` is the initrd without a segment of ours, ``extended`` whether it had one; ``sha256`` is
    the digest of ``data``, in hex.
    ``codec`` is that of the last segment. ``members`` are what the kernel's tree has in the end,
    by path without leading slash; small files have their contents. ``stamp`` is that of the file
    that it was read from.
    """

    path: Path
    stamp: Stamp
    data: Bytes
    sha256: str
    extended: bool
    codec: Codec
    members: Mapping[PurePosixPath, Member]

    def resolve(self, path: str | PurePosixPath) -> PurePosixPath:
        """Return ``path`` as the base's tree has it, links followed; it need not exist."""

        def read_link(inside: str) -> str | None:
            member = self.members.get(PurePosixPath(inside))
            return member.target if member and stat.S_ISLNK(member.mode) else None

        found = follow(path, read_link)
        if found is None:
            raise KdumpInitrdError(f"{self.path}: {path}: too many symbolic links in it")
        return found

    def find(self, path: str | PurePosixPath) -> Member | None:
        """Return the entry that ``path`` leads to, or None."""
        return self.members.get(self.resolve(path))


def read_base(path: Path) -> Base:
    """Read an initrd whole, every segment unpacked; a segment of ours at its end does not count.

    Raises KdumpInitrdError for a file that is not an initrd or is damaged, for a name in it that
    leaves the root, and for a segment of ours that does not fit what is before it.
    """
    with unchanged(path) as before:
        data, segments, extended = _read(path)
        members: dict[PurePosixPath, Member] = {}
        codec = segments[-1].compression
        base = Base(path, before, data, digest(data), extended, codec, members)
        left = _MEMORY
        for segment in segments:
            left = _add_members(base, members, segment, left)
    return base


def _add_members(
    base: Base, members: dict[PurePosixPath, Member], segment: Segment, left: int
) -> int:
    """Add what a segment holds; return what is left of the memory for names and contents."""
    for member in segment.entries(contents=lambda member: member.size <= _KEPT):
        left -= _ENTRY + len(member.path) + len(member.target) + len(member.content)
        if left < 0:
            raise KdumpInitrdError(
                f"{base.path}: segment {segment.number}: too many entries",
                hint="this is not a distribution's initrd: rebuild the base",
            )
        place = PurePosixPath(member.path.lstrip("/"))
        if ".." in place.parts:
            raise KdumpInitrdError(
                f"{base.path}: segment {segment.number}: {member.path}: leads out of the root",
                hint="this is not a distribution's initrd: rebuild the base",
            )
        # The kernel, too, follows the links that are there by then.
        members[base.resolve(place.parent) / place.name] = member
    return left


@dataclass(frozen=True)
class Stripped:
    """The bytes of an initrd without a segment of ours, and whether the file had one."""

    data: Bytes
    extended: bool
    stamp: Stamp


def stripped(path: Path) -> Stripped:
    """Return what an initrd was without a segment of ours; raises KdumpInitrdError as read_base."""
    with unchanged(path) as before:
        data, _, extended = _read(path)
    return Stripped(data, extended, before)


def digest(data: Bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    found = hashlib.sha256()
    for piece in pieces(data):
        found.update(piece)
    return found.hexdigest()


def _read(path: Path) -> tuple[Bytes, Sequence[Segment], bool]:
    """Return the bytes and segments before a segment of ours, or all, and whether it has one."""
    data = open_stored(path)
    segments = segments_of(data, path)
    for index, segment in enumerate(segments):
        manifest = manifest_of(segment)
        if manifest is None or not manifest.base_size:
            continue
        base = Part(data, 0, min(manifest.base_size, len(data)))
        if segment is not segments[-1]:
            raise KdumpInitrdError(
                f"{path}: another segment follows that of kdump-initrd (segment {segment.number})",
                hint="have the distribution rebuild that initrd",
            )
        if digest(base) != manifest.base_sha256:
            raise KdumpInitrdError(
                f"{path}: the initrd before the segment has changed: its SHA-256 differs",
                hint="have the distribution rebuild that initrd",
            )
        return base, segments[:index], True
    return data, segments, False


def place(entries: Iterable[Entry], base: Base) -> list[Entry]:
    """Return the entries as they have to be appended to ``base``.

    Each path is resolved against the base's tree, so that no link is replaced; folders that are
    there already are left out, so that none changes its mode, and those that are missing are
    added. Raises KdumpInitrdError for an entry that would change the type of what is there.
    """
    placed: dict[PurePosixPath, Entry] = {}
    for entry in entries:
        dest = base.resolve(entry.dest)
        present = base.members.get(dest)
        if present is not None and stat.S_IFMT(present.mode) != entry.kind.type_bits:
            raise KdumpInitrdError(
                f"{base.path}: {dest} is {stat.filemode(present.mode)} in it: {entry.why} does "
                "not fit there",
                hint="use another base, or --standalone",
            )
        if not (present is not None and entry.kind is Kind.DIRECTORY):
            placed[dest] = replace(entry, dest=dest)
    for parent in {parent for dest in placed for parent in dest.parents if parent.parts}:
        if parent not in placed and parent not in base.members:
            placed[parent] = Entry(parent, Kind.DIRECTORY, 0o755, "parent directory")
    return [placed[dest] for dest in sorted(placed)]
