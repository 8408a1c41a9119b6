# SPDX-License-Identifier: GPL-2.0-or-later
"""One ELF file, as its loader sees it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ...core.errors import KdumpInitrdError
from ...core.files import open_file
from ..distro.architectures import Architecture, facts
from .elfimage import Damaged, ElfImage, NotElf

#: Bytes of the larger header (elf.h, Elf64_Ehdr).
_HEADER = 64


@dataclass(frozen=True)
class Elf:
    """The header, the program interpreter and the dynamic section of one file.

    ``machine`` is e_machine without "EM_", in lower case ("x86_64"), ``architecture`` what the
    loader must be of to load it; ``bits`` 32 or 64; ``type`` e_type without "ET_" ("DYN", "EXEC",
    "REL"). ``rpath`` and ``runpath`` are split at colons.
    """

    machine: str
    architecture: Architecture
    bits: int
    little_endian: bool
    type: str
    interpreter: str | None = None
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()

    @property
    def is_musls(self) -> bool:
        """Whether its loader is that of musl libc."""
        if self.interpreter is not None:
            return PurePosixPath(self.interpreter).name.startswith("ld-musl-")
        return any(name.startswith("libc.musl-") or name == "libc.so" for name in self.needed)


def read_elf(path: Path) -> Elf:
    """Read the file; raises KdumpInitrdError when it cannot be read or is not a sound ELF file."""
    try:
        with open_file(path) as file:
            return _read(file, str(path))
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}") from error


def parse(data: bytes, name: str) -> Elf:
    """Read the bytes of a file called ``name``; raises KdumpInitrdError if it is not sound ELF."""
    return _read(io.BytesIO(data), name)


def _read(file: BinaryIO, name: str) -> Elf:
    try:
        return _parse(file, ElfImage(file.read(_HEADER)))
    except ImportError as error:
        raise KdumpInitrdError(f"pyelftools: {error}", hint="install pyelftools") from error
    except NotElf as error:
        raise KdumpInitrdError(f"{name}: {error}") from error
    except Damaged as error:
        raise KdumpInitrdError(f"{name}: {error}", hint="install its package again") from error
    except Exception as error:  # pyelftools raises whatever comes up in its parser
        raise KdumpInitrdError(f"{name}: not a sound ELF file: {error}") from error


def _parse(file: BinaryIO, head: ElfImage) -> Elf:
    # Imported here, since it takes time: only when there is something to read.
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    image = ELFFile(file)
    size = file.seek(0, SEEK_END)
    interpreter: str | None = None
    found: dict[str, list[str]] = {"needed": [], "rpath": [], "runpath": [], "soname": []}
    for segment in image.iter_segments():
        if segment["p_offset"] + segment["p_filesz"] > size:
            raise Damaged("cut off")
        if isinstance(segment, InterpSegment):
            interpreter = str(segment.get_interp_name())
        elif isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                # pyelftools invents an attribute for each of these tags.
                name = str(tag.entry.d_tag).replace("DT_", "").lower()
                if name in found:
                    found[name].append(str(getattr(tag, name)))
    machine, bits = str(image["e_machine"]).replace("EM_", "").lower(), 8 * head.width
    return Elf(
        machine=machine,
        architecture=facts().of_elf(head.number, bits=bits, order=head.order, otherwise=machine),
        bits=bits,
        little_endian=head.order == "<",
        type=str(image["e_type"]).replace("ET_", ""),
        interpreter=interpreter,
        soname=found["soname"][0] if found["soname"] else None,
        needed=tuple(found["needed"]),
        rpath=_split(found["rpath"]),
        runpath=_split(found["runpath"]),
    )


def _split(paths: list[str]) -> tuple[str, ...]:
    return tuple(word for path in paths for word in path.split(":") if word)
