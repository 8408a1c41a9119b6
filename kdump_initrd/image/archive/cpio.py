# SPDX-License-Identifier: GPL-2.0-or-later
"""A tree becomes a packed newc archive, the same bytes for the same tree."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from types import ModuleType

from ...core.errors import KdumpInitrdError
from ...core.publish import Stamp, new_file
from ...core.run import find
from ..manifest import MANIFEST, SEGMENT
from ..tree import Entry, Kind
from .newc import Member
from .segments import Segment, load_libarchive, read_segments, segments_of
from .stored import Bytes, Stored, pieces


class Compression(str, Enum):
    """The codecs that an archive can be written with; the values are those of Codec."""

    ZSTD = "zstd"
    XZ = "xz"
    GZIP = "gzip"
    LZ4 = "lz4"
    NONE = "none"
    #: Only for what is appended to an initrd that has it.
    BZIP2 = "bzip2"
    LZMA = "lzma"
    LZO = "lzo"

    @property
    def kernel_option(self) -> str:
        """The option that makes a kernel unpack it, as CONFIG_RD_ZSTD; "" for none needed."""
        return "" if self is Compression.NONE else f"CONFIG_RD_{self.value.upper()}"


#: The window is what costs reserved memory. Tables as small as it stay in the processor's cache.
#: Level 17 would store 2 % less in more than three times the time.
_ZSTD = "wlog=17,clog=17,hlog=17,slog=4,mml=3"
#: Programs that pack what libarchive's own filters would pack so that Linux cannot unpack it (xz:
#: CRC64, lz4: frames) or differently from run to run. zstd's result depends on its version, not on
#: the number of threads, and so does xz's from two threads on.
_PROGRAMS = {
    Compression.ZSTD: ("zstd", f"-q -T0 -15 --zstd={_ZSTD} -c"),
    Compression.XZ: ("xz", "-q -T2 --check=crc32 --lzma2=preset=6,dict=128KiB -c"),
    Compression.LZ4: ("lz4", "-q -l -9 -c"),
}
#: The same for what is mostly packed already: the least effort of each.
_FAST = {
    Compression.ZSTD: ("zstd", "-q -T0 -1 -c"),
    Compression.XZ: ("xz", "-q -T2 --check=crc32 --lzma2=preset=0,mf=hc3,nice=8 -c"),
    Compression.LZ4: ("lz4", "-q -l -1 -c"),
    Compression.BZIP2: ("bzip2", "-q -1 -c"),
    Compression.LZMA: ("xz", "-q --format=lzma -0 -c"),
    Compression.LZO: ("lzop", "-q -1 -c"),
}

#: Less room than this, in bytes, and a write that failed has failed for want of room.
_NO_ROOM = 1 << 16
#: The largest time that newc's eight digits and libarchive-c 2.9's C int both hold.
_MAX_MTIME = (1 << 31) - 1


@dataclass(frozen=True)
class Packing:
    """How entries become bytes: the codec, the time of all (seconds since 1970), the effort.

    ``fast`` is for what is mostly packed already.
    """

    compression: Compression
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
    in path order. Raises KdumpInitrdError: ``out`` exists and not ``force``, or is not ``instead``
    any more (ChangedError), it cannot be written, the packing program is missing, or the archive
    does not hold the entries.
    """
    mtime = packing.mtime
    if not 0 <= mtime <= _MAX_MTIME:
        raise KdumpInitrdError(
            f"modification time {mtime}: out of range (0 to {_MAX_MTIME})",
            hint="correct SOURCE_DATE_EPOCH",
        )
    ordered = _ordered(entries)
    with new_file(out, force=force, mode=mode, instead=instead) as new:
        with os.fdopen(os.dup(new.descriptor), "wb") as file:
            for piece in pieces(base):
                file.write(piece)
        _write(ordered, new.descriptor, packing, out)
        _compare(ordered, read_segments(new.path, start=len(base)), out, mtime)
        return os.fstat(new.descriptor).st_size


def pack(entries: Iterable[Entry], packing: Packing) -> bytes:
    """Return the archive of some entries, read back and compared; errors as write_image()."""
    wanted = list(entries)
    descriptor = os.memfd_create("kdump-initrd")
    stored = None
    try:
        path = Path(f"/proc/self/fd/{descriptor}")
        _write(wanted, descriptor, packing, path)
        stored = Stored(descriptor)
        _compare(wanted, segments_of(stored, path), path, packing.mtime)
        return stored[:]
    finally:
        if stored is None:
            os.close(descriptor)


def _ordered(entries: Iterable[Entry]) -> list[Entry]:
    # A reader finds the manifest without unpacking the rest; its folder must come before it.
    first = {each: rank for rank, each in enumerate((MANIFEST.parent, MANIFEST, SEGMENT))}
    return sorted(entries, key=lambda entry: (first.get(entry.dest, len(first)), entry.dest))


def _write(entries: list[Entry], descriptor: int, packing: Packing, out: Path) -> None:
    ffi = _bound()
    try:
        with _archive(ffi, descriptor, packing) as archive:
            for entry in entries:
                _add(ffi, archive, entry, packing.mtime)
    except ffi.ArchiveError as error:
        room = os.fstatvfs(descriptor)
        # Behind a program libarchive forgets why the file could not be written.
        if error.errno == errno.ENOSPC or room.f_bavail * room.f_frsize < _NO_ROOM:
            raise KdumpInitrdError(
                f"{out}: {os.strerror(errno.ENOSPC)}", hint=f"make room in {out.parent}"
            ) from error
        program = _programs(packing).get(packing.compression, ("",))[0]
        why = os.strerror(error.errno) if error.msg == "Write error" else error.msg
        raise KdumpInitrdError(f"{out}: {program + ': ' if program else ''}{why}") from error


def _bound() -> ModuleType:
    # Functions that libarchive-c 2.9 or 5.3 does not declare.
    ffi = load_libarchive()
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint
    ffi.ffi("write_add_filter_program", [pointer, text], ctypes.c_int, ffi.check_int)
    ffi.ffi("entry_copy_pathname", [pointer, text], None)
    ffi.ffi("entry_copy_symlink", [pointer, text], None)
    ffi.ffi("entry_set_nlink", [pointer, number], None)
    ffi.ffi("entry_set_rdevmajor", [pointer, number], None)
    ffi.ffi("entry_set_rdevminor", [pointer, number], None)
    return ffi


@contextmanager
def _archive(ffi: ModuleType, descriptor: int, packing: Packing) -> Iterator[int]:
    archive: int = ffi.write_new()
    try:
        ffi.write_set_format_cpio_newc(archive)
        if packing.compression is Compression.GZIP:
            level = b"1" if packing.fast else b"6"
            ffi.write_add_filter_gzip(archive)
            ffi.write_set_options(archive, b"gzip:compression-level=%b,gzip:!timestamp" % level)
        elif packing.compression is not Compression.NONE:
            ffi.write_add_filter_program(archive, _command(packing))
        ffi.write_open_fd(archive, descriptor)
        yield archive
        ffi.write_close(archive)
    finally:
        # After an error write_free alone would leave the program's pipes open and its process
        # not waited for; the error itself is on its way already.
        with suppress(ffi.ArchiveError):
            ffi.write_close(archive)
        with suppress(ffi.ArchiveError):
            ffi.write_free(archive)


def _programs(packing: Packing) -> Mapping[Compression, tuple[str, str]]:
    return _FAST if packing.fast else _PROGRAMS


def missing(compression: Compression, *, fast: bool = False) -> str:
    """Return the program that a codec needs and this host lacks, "" where it can be written."""
    name = _programs(Packing(compression, 0, fast)).get(compression, ("",))[0]
    return name if name and find(name) is None else ""


def _command(packing: Packing) -> bytes:
    name, options = _programs(packing)[packing.compression]
    program = find(name)
    if program is None:
        raise KdumpInitrdError(
            f"{name}: program not found",
            hint=f"install {name}, or choose another compression",
        )
    return os.fsencode(f'"{program}" {options}')


def _add(ffi: ModuleType, archive: int, entry: Entry, mtime: int) -> None:
    record = ffi.entry_new()
    try:
        ffi.entry_copy_pathname(record, os.fsencode(str(entry.dest)))
        ffi.entry_set_filetype(record, entry.kind.type_bits)
        ffi.entry_set_perm(record, entry.mode)
        ffi.entry_set_mtime(record, mtime, 0)
        ffi.entry_set_nlink(record, 1)
        # newc has the target as the body, and libarchive writes it so; the size is 0 then.
        ffi.entry_set_size(record, len(entry.content) if entry.kind is Kind.FILE else 0)
        if entry.kind is Kind.SYMLINK:
            ffi.entry_copy_symlink(record, os.fsencode(entry.target))
        if entry.kind is Kind.NODE:
            ffi.entry_set_rdevmajor(record, entry.device[0])
            ffi.entry_set_rdevminor(record, entry.device[1])
        ffi.write_header(archive, record)
        if entry.kind is Kind.FILE and entry.content:
            ffi.write_data(archive, entry.content, len(entry.content))
        ffi.write_finish_entry(archive)
    finally:
        ffi.entry_free(record)


def _compare(entries: list[Entry], segments: Iterable[Segment], out: Path, mtime: int) -> None:
    # An independent reader (newc.py) must find every entry as it was meant.
    written = (member for segment in segments for member in segment.entries(contents=True))
    for entry, member in zip_longest(entries, written):
        if entry is None or member is None:
            extra = entry.dest if entry else member.path
            raise KdumpInitrdError(f"{out}: {extra} was not written as it is: one side lacks it")
        difference = _difference(entry, member, mtime)
        if difference:
            raise KdumpInitrdError(f"{out}: {entry.dest} was not written as it is: {difference}")


def _difference(entry: Entry, member: Member, mtime: int) -> str:
    wanted: dict[str, object] = {
        "path": str(entry.dest),
        "mode": oct(entry.kind.type_bits | entry.mode),
        "size": entry.size,
        "target": entry.target,
        "device": entry.device,
        "owner": (0, 0),
        "time": mtime,
    }
    found: dict[str, object] = {
        "path": str(PurePosixPath(member.path)),
        "mode": oct(member.mode),
        "size": member.size,
        "target": member.target,
        "device": member.device,
        "owner": (member.uid, member.gid),
        "time": member.mtime,
    }
    for name, value in wanted.items():
        if value != found[name]:
            return f"{name} is {found[name]}, not {value}"
    return "content differs" if entry.content != member.content else ""
