# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of ``mkinitrd-kdump --list IMAGE``."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..core.root import Root
from .archive.newc import CorruptError, Member
from .archive.segments import (
    Segment,
    manifest_in,
    manifest_of,
    read_packed,
    read_segments,
)
from .manifest import Manifest
from .stage import SECOND_STAGE
from .tree import Entry

logger = get_logger(__name__)


def list_image(path: Path) -> Iterator[str]:
    """Yield the lines, without line breaks: what the image is, then each segment's entries.

    Sizes are bytes; those of a segment are what it takes in the file and what its files take in
    memory. In an image of ours each entry has its reason behind it. Raises KdumpInitrdError for
    a file that is not an initrd or is damaged.
    """
    path = Root().named(path)
    segments = read_segments(path)
    manifest = _manifest(segments)
    if manifest is not None:
        yield from _introduce(manifest)
    for segment in segments:
        yield from _list_segment(segment, _reasons(segment))


def list_entries(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the lines of entries that are not written yet, as list_image() would."""
    for entry in entries:
        member = Member(
            path=str(entry.dest),
            mode=entry.kind.type_bits | entry.mode,
            uid=0,
            gid=0,
            mtime=0,
            size=entry.size,
            device=entry.device,
            target=entry.target,
        )
        yield _line(member, {member.path: entry.why})


def _manifest(segments: Sequence[Segment]) -> Manifest | None:
    # If it is damaged, the rest is listed all the same.
    try:
        return manifest_in(segments)
    except KdumpInitrdError as error:
        logger.warning("%s", error)
        return None


def _reasons(segment: Segment) -> Mapping[str, str]:
    try:
        manifest = manifest_of(segment)
    except KdumpInitrdError:
        return {}  # _manifest() has already warned
    return manifest.entries if manifest else {}


def _introduce(manifest: Manifest) -> Iterator[str]:
    facts = {
        "image": f"{manifest.kind}, made by kdump-initrd {manifest.version}",
        "distribution": manifest.distro,
        "kernel": manifest.kernel,
        "capture kernel": manifest.capture,
        "dump target" if manifest.kind == "capture" else "root": " ".join(
            filter(None, (manifest.target, manifest.fstype))
        ),
        "command line": manifest.cmdline,
        "kernel modules": " ".join(manifest.modules),
        "base": manifest.base_size
        and f"{manifest.base_size} bytes, SHA-256 {manifest.base_sha256}",
    }
    yield from (f"# {name}: {value}" for name, value in facts.items() if value)


def _list_segment(segment: Segment, reasons: Mapping[str, str]) -> Iterator[str]:
    # It is read twice: memory may not hold all that it has.
    what = f"segment {segment.number}: offset {segment.offset}, {segment.compression.value}"
    yield _headline(what, segment.size, segment.entries())
    stage = b""
    for member in segment.entries(contents=lambda member: member.path == str(SECOND_STAGE)):
        yield _line(member, reasons)
        stage = member.content or stage
    if stage:
        yield from _list_stage(segment.path, stage, reasons)


def _list_stage(path: Path, packed: bytes, reasons: Mapping[str, str]) -> Iterator[str]:
    try:
        yield _headline("second stage: gzip", len(packed), read_packed(packed))
        yield from (_line(member, reasons) for member in read_packed(packed))
    except CorruptError as error:
        raise KdumpInitrdError(f"{path}: {SECOND_STAGE}: {error}") from error


def _headline(what: str, stored: int, members: Iterable[Member]) -> str:
    unpacked = count = 0
    for member in members:
        unpacked += member.size if stat.S_ISREG(member.mode) else 0
        count += 1
    return f"# {what}, {stored} bytes stored, {unpacked} bytes unpacked, {count} entries"


def _line(member: Member, reasons: Mapping[str, str]) -> str:
    device = stat.S_ISCHR(member.mode) or stat.S_ISBLK(member.mode)
    size = "{},{}".format(*member.device) if device else str(member.size)
    line = f"{stat.filemode(member.mode)} {size:>10} {_printable(member.path)}"
    if member.target:
        line += f" -> {_printable(member.target)}"
    # Others' archives have "./usr" where ours have "usr".
    why = reasons.get(str(PurePosixPath(member.path)))
    return f"{line}  # {why}" if why else line


def _printable(text: str) -> str:
    # A name may hold anything but NUL; a line break or an escape must not reach the terminal.
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
