# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel image file: what it is, and the architecture and the release that it is of."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.files import open_file
from ...core.files import read as read_file
from ..distro.architectures import Architecture, Kind, facts
from ..programs.elfimage import Damaged, ElfImage
from . import packedkernel

#: Documentation/arch/x86/boot.rst: offsets in the set-up header.
_X86_MAGIC, _X86_VERSION, _X86_RELEASE, _X86_FLAGS, _X86_SIZE = 0x202, 0x206, 0x20E, 0x236, 0x260
_X86_CMDLINE, _X86_RELOCATABLE = 0x238, 0x234
#: The same of kernels before 2.06 of the protocol.
_X86_SHORTEST = 255
_XLF_KERNEL_64 = 1
#: The set-up code has at most 64 sectors (setup_sects, and the boot sector before it); in bytes.
_X86_SETUP = 65 << 9
#: drivers/firmware/efi/libstub/zboot-header.S: a mark, and the field with the packed kernel's
#: offset, which is followed by the field with its size.
_ZBOOT, _ZBOOT_AT, _ZBOOT_PAYLOAD = b"zimg", 4, 8
#: arch/powerpc/boot/wrapper: the section of a zImage in which a kernel is packed.
_ZIMAGE = b"\0.kernel:vmlinux.strip\0"
#: No kernel is smaller, in bytes; every header lies within this.
_SMALLEST = 1 << 17
_BANNER = re.compile(rb"Linux version (\d[!-~]*) \(")


@dataclass(frozen=True)
class KernelImage:
    """What a kernel image tells about itself.

    ``machine`` is as ``uname -m`` says it; ``release`` is "" where the image does not tell it;
    ``unpacked`` are the bytes that the kernel itself takes in memory until it is unpacked and
    laid out, 0 if the image does not tell; ``cmdline`` are the bytes of the longest command
    line that it takes, without the NUL; ``page`` are the bytes of its pages, 0 if the image
    does not tell; ``movable`` is False if it runs only at the address that it was linked for.
    """

    kind: Kind
    machine: str
    release: str
    unpacked: int
    cmdline: int
    page: int = 0
    movable: bool = True


def read(path: Path) -> KernelImage:
    """Read a kernel image and what is packed in it; raises KdumpInitrdError for any other file."""
    try:
        data = read_file(path)
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}", hint="name a kernel image") from error
    try:
        found = _read(data)
    except KdumpInitrdError as error:
        raise KdumpInitrdError(f"{path}: {error.message}", hint=error.hint) from error
    if found is None:
        raise KdumpInitrdError(
            f"{path}: not a known kind of kernel image", hint="name a bzImage, Image or vmlinux"
        )
    return found


def check_loadable(path: Path, image: KernelImage) -> None:
    """Raise KdumpInitrdError for an image that kexec cannot load as a capture kernel."""
    loaded = facts().named(image.machine).image.loaded
    if image.kind not in loaded:
        raise KdumpInitrdError(
            f"{path}: kexec does not load a {image.kind.value} of {image.machine} "
            "as a capture kernel",
            hint=f"name the {loaded[0].value} of that kernel",
        )
    if not image.movable:
        raise KdumpInitrdError(
            f"{path}: built without CONFIG_RELOCATABLE: it cannot run in the reserved memory",
            hint="use another capture kernel",
        )


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


def _read(data: bytes) -> KernelImage | None:
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data)
    return _by_header(data) if len(data) >= _SMALLEST else None


def _unpacked(data: bytes) -> bytes:
    found = packedkernel.unpack(data)
    if not found:
        raise KdumpInitrdError("the kernel in it cannot be unpacked", hint="copy the file anew")
    return found


def _by_header(data: bytes) -> KernelImage | None:
    if data[_X86_MAGIC : _X86_MAGIC + 4] == b"HdrS":
        return _x86(data)
    if data.startswith(b"\x7fELF"):
        return _elf(data)
    return _by_magic(data) or _efi(data)


def _by_magic(data: bytes) -> KernelImage | None:
    for each in facts().known.values():
        if each.image.magic and data.startswith(each.image.magic, each.image.magic_at):
            return _plain(each, data) if len(data) >= _SMALLEST else None
    return None


def _efi(data: bytes) -> KernelImage | None:
    machine = _pe_machine(data)
    known = facts().known.values()
    found = next((each for each in known if machine and each.image.pe == machine), None)
    if found is None:
        return None
    if not data.startswith(_ZBOOT, _ZBOOT_AT):
        return _of(Kind.EFI, found, data)
    start, size = struct.unpack_from("<II", data, _ZBOOT_PAYLOAD)
    inner = _by_magic(_unpacked(data[start : start + size]))
    return inner and replace(inner, kind=Kind.ZBOOT)


def _plain(machine: Architecture, data: bytes) -> KernelImage:
    """Read a header with a magic number, and if it lacks the size, the packed kernel after it."""
    image = machine.image
    found = _of(image.kind, machine, data)
    if image.cmdline_at:
        size = _number(machine, data, image.cmdline_at)
        found = replace(found, cmdline=size - 1 if size else image.cmdline)
    if image.page_at:
        # 1, 2 and 3 are for 4, 16 and 64 KiB; 0 says nothing.
        size = _number(machine, data, image.page_at) >> 1 & 3
        found = replace(found, page=1 << 10 + 2 * size if size else 0)
    if image.release_at:
        start = _number(machine, data, image.release_at)
        said = _word(data[start : start + 200]) if start else ""
        found = replace(found, release=said or found.release)
    if image.size_at:
        return replace(found, unpacked=_number(machine, data, image.size_at))
    inner = _kernel_in(data)
    return replace(found, release=found.release or _banner(inner), unpacked=len(inner))


def _number(machine: Architecture, data: bytes, at: int) -> int:
    return int(struct.unpack_from(f"{machine.order}Q", data, at)[0])


def _of(kind: Kind, machine: Architecture, data: bytes) -> KernelImage:
    return KernelImage(kind, machine.name, _banner(data), 0, machine.image.cmdline)


def _x86(data: bytes) -> KernelImage:
    version, text = struct.unpack_from("<H6xH", data, _X86_VERSION)
    release = _word(data[0x200 + text :][:200]) if text else ""
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
    return KernelImage(
        Kind.BZIMAGE,
        machine.name,
        release,
        unpacked,
        # 0 in the header means that it does not tell.
        min(cmdline or longest, longest),
        movable=version >= 0x0205 and data[_X86_RELOCATABLE] != 0,
    )


def _elf(data: bytes) -> KernelImage | None:
    found = _vmlinux(data)
    if found is None or _ZIMAGE not in data:
        return found
    return replace(_vmlinux(_kernel_in(data)) or found, kind=Kind.ZIMAGE)


def _vmlinux(data: bytes) -> KernelImage | None:
    try:
        image = ElfImage(data)
        return replace(_of(Kind.VMLINUX, image.architecture, data), unpacked=image.span())
    except Damaged:
        return None


def _kernel_in(data: bytes) -> bytes:
    """Return the kernel that lies packed somewhere in an image, b"" for none."""
    return next((each for each in packedkernel.all_in(data) if _banner(each)), b"")


def _word(text: bytes) -> str:
    words = text.partition(b"\0")[0].split()
    return words[0].decode("ascii", "replace") if words else ""


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
