# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel image file: the architecture and the release that it is of, by its own header."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.files import FILE, open_file
from ...core.files import read as read_file
from ..distro.architectures import Architecture, facts
from ..programs.elfimage import Damaged, ElfImage

#: Documentation/arch/x86/boot.rst: offsets in the set-up header.
_X86_MAGIC, _X86_VERSION, _X86_RELEASE, _X86_FLAGS, _X86_SIZE = 0x202, 0x206, 0x20E, 0x236, 0x260
_X86_CMDLINE = 0x238
#: The same of kernels before 2.06 of the protocol.
_X86_SHORTEST = 255
_XLF_KERNEL_64 = 1
#: The set-up code has at most 64 sectors (setup_sects, and the boot sector before it); in bytes.
_X86_SETUP = 65 << 9
#: No kernel is smaller, in bytes; every header is within.
_SMALLEST = 1 << 17
_BANNER = re.compile(rb"Linux version (\d[!-~]*) \(")


@dataclass(frozen=True)
class KernelImage:
    """What a kernel image says of itself.

    ``machine`` is as ``uname -m`` says it; ``release`` is "" where the header does not tell it;
    ``unpacked`` are the bytes that the kernel itself takes in memory until it is unpacked and
    laid out, 0 where the header does not tell; ``cmdline`` are the bytes of the longest command
    line that it takes, without the NUL.
    """

    machine: str
    release: str
    unpacked: int
    cmdline: int


def read(path: Path) -> KernelImage:
    """Read the file's header; raises KdumpInitrdError for what is not a kernel image."""
    try:
        data = read_file(path)
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}", hint="name a kernel image") from error
    if data.startswith(b"\x1f\x8b"):
        data = _gunzip(path, data)
    found = _by_header(data) if len(data) >= _SMALLEST else None
    if found is None:
        raise KdumpInitrdError(
            f"{path}: not a known kind of kernel image", hint="name a bzImage, Image or vmlinux"
        )
    return found


def release_in_header(path: Path) -> str:
    """Return the release that the head of an x86 kernel tells, "" for anything else.

    It is quick: no more than the set-up code is read. The path must be free of links.
    """
    try:
        with open_file(path) as file:
            data = file.read(_X86_SETUP)
    except OSError:
        return ""
    is_x86 = data[_X86_MAGIC : _X86_MAGIC + 4] == b"HdrS" and len(data) == _X86_SETUP
    return _x86(data).release if is_x86 else ""


def _by_header(data: bytes) -> KernelImage | None:
    if data[_X86_MAGIC : _X86_MAGIC + 4] == b"HdrS":
        return _x86(data)
    if data.startswith(b"\x7fELF"):
        return _elf(data)
    known = facts().known.values()
    for each in known:
        if each.image.magic and data.startswith(each.image.magic, each.image.magic_at):
            return _plain(each, data)
    machine = _pe_machine(data)
    found = next((each for each in known if machine and each.image.pe == machine), None)
    return _of(found, data) if found else None


def _plain(machine: Architecture, data: bytes) -> KernelImage:
    image = machine.image
    found = _of(machine, data)
    if image.size_at:
        (size,) = struct.unpack_from(f"{machine.order}Q", data, image.size_at)
        found = replace(found, unpacked=size)
    if image.cmdline_at:
        (size,) = struct.unpack_from(f"{machine.order}Q", data, image.cmdline_at)
        found = replace(found, cmdline=size - 1 if size else image.cmdline)
    return found


def _of(machine: Architecture, data: bytes) -> KernelImage:
    return KernelImage(machine.name, _banner(data), 0, machine.image.cmdline)


def _x86(data: bytes) -> KernelImage:
    version, text = struct.unpack_from("<H6xH", data, _X86_VERSION)
    release = ""
    if text:
        words = data[0x200 + text :].partition(b"\0")[0][:200].split()
        release = words[0].decode("ascii", "replace") if words else ""
    bits, unpacked, cmdline = 32, 0, _X86_SHORTEST
    if version >= 0x0206:
        (cmdline,) = struct.unpack_from("<I", data, _X86_CMDLINE)
    if version >= 0x020A:
        (unpacked,) = struct.unpack_from("<I", data, _X86_SIZE)
    if version >= 0x020C:
        (flags,) = struct.unpack_from("<H", data, _X86_FLAGS)
        bits = 64 if flags & _XLF_KERNEL_64 else 32
    kinds = (each for each in facts().known.values() if each.image.bzimage)
    machine = next(each for each in kinds if each.bits == bits)
    longest = machine.image.cmdline
    # A header that says 0 does not say it.
    return KernelImage(machine.name, release, unpacked, min(cmdline or longest, longest))


def _elf(data: bytes) -> KernelImage | None:
    try:
        return _of(ElfImage(data).architecture, data)
    except Damaged:
        return None


def _pe_machine(data: bytes) -> int:
    # PE/COFF, Machine; 0 for what has no such header.
    if not data.startswith(b"MZ"):
        return 0
    (header,) = struct.unpack_from("<I", data, 0x3C)
    if data[header : header + 4] != b"PE\0\0" or len(data) < header + 6:
        return 0
    return int(struct.unpack_from("<H", data, header + 4)[0])


def _banner(data: bytes) -> str:
    match = _BANNER.search(data)
    return match[1].decode("ascii") if match else ""


def _gunzip(path: Path, data: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, FILE)
    except zlib.error as error:
        raise KdumpInitrdError(f"{path}: cannot be unpacked: {error}") from error
