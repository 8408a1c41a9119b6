# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel image file: the architecture and the release that it is of, by its own header."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.files import FILE, open_file
from ...core.files import read as read_file
from ..programs.elfimage import MACHINES
from ..programs.searchpath import machine_named

#: Documentation/arch/x86/boot.rst: offsets in the set-up header.
_X86_MAGIC, _X86_VERSION, _X86_RELEASE, _X86_FLAGS, _X86_SIZE = 0x202, 0x206, 0x20E, 0x236, 0x260
_X86_CMDLINE = 0x238
#: The same of kernels before 2.06 of the protocol, and what kexec-tools takes at most.
_X86_SHORTEST, _X86_LONGEST = 255, 2047
#: arch/s390/include/asm/setup.h (max_command_line_size, of 5.13 and newer), and what it was before.
_S390_CMDLINE, _S390_SHORTEST = 0x10430, 895
#: COMMAND_LINE_SIZE of arch/*/include/(uapi/)asm/setup.h, without the NUL.
_CMDLINE = {"aarch64": 2047, "arm": 1023, "i386": 2047, "ppc64": 2047, "ppc64le": 2047,
            "riscv64": 1023, "s390x": _S390_SHORTEST, "x86_64": 2047}  # fmt: skip
#: Of any other: the kernel's own smallest (include/uapi/asm-generic/setup.h).
_CMDLINE_SHORTEST = 511
_XLF_KERNEL_64 = 1
#: The set-up code has at most 64 sectors (setup_sects, and the boot sector before it); in bytes.
_X86_SETUP = 65 << 9
#: PE/COFF, Machine: the header of an EFI stub.
_PE_MACHINES = {0x8664: "x86_64", 0xAA64: "aarch64", 0x5064: "riscv64", 0x014C: "i386"}
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
            f"{path}: no kernel image that is known", hint="name a bzImage, Image or vmlinux"
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
    if data[0x38:0x3C] == b"ARM\x64":
        # Documentation/arch/arm64/booting.rst: image_size.
        return _plain("aarch64", data, *struct.unpack_from("<Q", data, 16))
    if data[0x38:0x3C] == b"RSC\x05":
        return _plain("riscv64", data, *struct.unpack_from("<Q", data, 16))
    if data[0x24:0x28] == b"\x18\x28\x6f\x01":
        return _plain("arm", data)
    if data[0x10008:0x1000E] == b"S390EP":
        (size,) = struct.unpack_from(">Q", data, _S390_CMDLINE)
        return KernelImage("s390x", _banner(data), 0, size - 1 if size else _S390_SHORTEST)
    machine = _pe_machine(data)
    return _plain(machine, data) if machine else None


def _plain(machine: str, data: bytes, unpacked: int = 0) -> KernelImage:
    cmdline = _CMDLINE.get(machine, _CMDLINE_SHORTEST)
    return KernelImage(machine, _banner(data), unpacked, cmdline)


def _x86(data: bytes) -> KernelImage:
    version, text = struct.unpack_from("<H6xH", data, _X86_VERSION)
    release = ""
    if text:
        words = data[0x200 + text :].partition(b"\0")[0][:200].split()
        release = words[0].decode("ascii", "replace") if words else ""
    machine, unpacked, cmdline = "i386", 0, _X86_SHORTEST
    if version >= 0x0206:
        (cmdline,) = struct.unpack_from("<I", data, _X86_CMDLINE)
    if version >= 0x020A:
        (unpacked,) = struct.unpack_from("<I", data, _X86_SIZE)
    if version >= 0x020C:
        (flags,) = struct.unpack_from("<H", data, _X86_FLAGS)
        machine = "x86_64" if flags & _XLF_KERNEL_64 else "i386"
    # A header that says 0 does not say it.
    return KernelImage(machine, release, unpacked, min(cmdline or _X86_LONGEST, _X86_LONGEST))


def _elf(data: bytes) -> KernelImage:
    # elf(5): EI_CLASS, EI_DATA and e_machine.
    little = data[5] == 1
    number = int.from_bytes(data[18:20], "little" if little else "big")
    name = MACHINES.get(number, str(number))
    machine = machine_named(name, bits=64 if data[4] == 2 else 32, little_endian=little)
    return _plain(machine.name, data)


def _pe_machine(data: bytes) -> str:
    if not data.startswith(b"MZ"):
        return ""
    (header,) = struct.unpack_from("<I", data, 0x3C)
    if data[header : header + 4] != b"PE\0\0" or len(data) < header + 6:
        return ""
    return _PE_MACHINES.get(struct.unpack_from("<H", data, header + 4)[0], "")


def _banner(data: bytes) -> str:
    match = _BANNER.search(data)
    return match[1].decode("ascii") if match else ""


def _gunzip(path: Path, data: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, FILE)
    except zlib.error as error:
        raise KdumpInitrdError(f"{path}: cannot be unpacked: {error}") from error
