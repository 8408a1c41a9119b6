# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel images as far as their headers go, and what is packed in them, of each architecture."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace

from kdump_initrd.core.compression import Codec
from kdump_initrd.probe.distro.architectures import Kind
from kdump_initrd.probe.kernel.kernelimage import KernelImage

from .initrdwriter import PACK, bzimage, pipe

NAME = "6.12.0-3-test"
BANNER = f"Linux version {NAME} (me@host) (gcc) #1 SMP\n\0".encode()
#: What a packed one of the tests is, unpacked: no kernel is smaller.
SIZE = 1 << 17


def image(at: int, magic: bytes, *, banner: bytes = BANNER, size: int = 0, pages: int = 0) -> bytes:
    """Return an uncompressed image: a magic number, its size at 16, flags at 24, and a banner."""
    data = bytearray(SIZE)
    data[at : at + len(magic)] = magic
    if size:
        struct.pack_into("<QQ", data, 16, size, pages << 1)
    data[0x18000 : 0x18000 + len(banner)] = banner
    return bytes(data)


def elf(machine: int, *, bits: int, little: bool, banner: bytes = BANNER) -> bytes:
    """Return a vmlinux (elf(5)) of two pieces, 24 MiB in memory from the first to the last."""
    order = "<" if little else ">"
    wide = bits == 64
    ident = b"\x7fELF" + bytes([bits // 32, 1 if little else 2, 1]) + bytes(9)
    size, entry = (64, 56) if wide else (52, 32)
    header = struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        *(2, machine, 1, 0, size, 0, 0, size, entry, 2, 0, 0, 0),
    )
    for start, memory in ((0x1000000, 1 << 20), (0x2000000, 8 << 20)):
        if wide:
            header += struct.pack(f"{order}IIQQQQQQ", 1, 7, 0, start, start, 99, memory, 1)
        else:
            header += struct.pack(f"{order}IIIIIIII", 1, 0, start, start, 99, memory, 7, 1)
    return image(0, ident + header, banner=banner)


def pe(machine: int, *, at: int = 0x40, inside: bytes = b"") -> bytes:
    """Return an EFI program; ``inside`` is what is packed in a zboot.

    As drivers/firmware/efi/libstub/zboot-header.S has it; the size of the unpacked follows.
    """
    data = bytearray(image(0, b"MZ\0\0", banner=b""))
    struct.pack_into("<I", data, 0x3C, at)
    data[at : at + 6] = b"PE\0\0" + struct.pack("<H", machine)
    if inside:
        struct.pack_into("<4sII8x", data, 4, b"zimg", len(data), len(inside))
        data += inside + struct.pack("<I", SIZE)
    return bytes(data)


def s390(*, banner: bytes = BANNER, inside: bytes = b"", release: str = NAME) -> bytes:
    """Return a bzImage of s390x (arch/s390/boot/head.S, struct parmarea of asm/setup.h)."""
    data = bytearray(image(0x10008, b"S390EP", banner=banner))
    if release:
        struct.pack_into(">Q", data, 0x10428, 0x12000)
        text = f"{release} (me@host) #1 SMP Debian\0".encode()
        data[0x12000 : 0x12000 + len(text)] = text
    # A decoder has the magic numbers as constants.
    return bytes(data) + b"\xfd7zXZ\0 \x1f\x8b\x08 \x28\xb5\x2f\xfd" + inside + bytes(64)


def zimage(machine: int, inside: bytes, *, bits: int, little: bool) -> bytes:
    """Return what begins and ends like a zImage of ppc (arch/powerpc/boot/wrapper)."""
    data = elf(machine, bits=bits, little=little, banner=b"")
    return data + inside + b"\0.symtab\0.kernel:vmlinux.strip\0"


def packed(data: bytes, codec: Codec = Codec.GZIP) -> bytes:
    """Return the data as the program of the codec packs them."""
    return pipe(PACK[codec], data)


ARM64 = image(0x38, b"ARM\x64", size=33 << 20, pages=1)
RISCV = image(0x38, b"RSC\x05", size=22 << 20)
PPC64LE = elf(21, bits=64, little=True)
PPC64 = elf(21, bits=64, little=False)
_MIB, _SPAN = 1 << 20, 24 << 20
_ARM64 = KernelImage(Kind.IMAGE, "aarch64", NAME, 33 << 20, 2047, page=4096)
_RISCV = KernelImage(Kind.IMAGE, "riscv64", NAME, 22 << 20, 1023)
_X86 = KernelImage(Kind.BZIMAGE, "x86_64", "6.1.0-test", 48 << 20, 2047)


def _vmlinux(machine: str, cmdline: int, release: str = NAME) -> KernelImage:
    return KernelImage(Kind.VMLINUX, machine, release, _SPAN, cmdline)


IMAGES = {
    "x86_64": (bzimage(), _X86),
    "i386": (bzimage(flags=0), replace(_X86, machine="i386")),
    "x86 of 2.6.30": (bzimage(protocol=0x0209), replace(_X86, machine="i386", unpacked=0)),
    "x86 in one place": (bzimage(relocatable=0), replace(_X86, movable=False)),
    "arm64": (ARM64, _ARM64),
    "arm64, 16K": (image(0x38, b"ARM\x64", size=33 << 20, pages=2), replace(_ARM64, page=16384)),
    "arm64, 64K": (image(0x38, b"ARM\x64", size=33 << 20, pages=3), replace(_ARM64, page=65536)),
    "arm64, any": (image(0x38, b"ARM\x64", size=33 << 20), replace(_ARM64, page=0)),
    "arm64 in gzip": (gzip.compress(ARM64), _ARM64),
    "riscv64": (RISCV, _RISCV),
    "riscv64 in gzip": (gzip.compress(RISCV), _RISCV),
    "arm": (
        image(0x24, b"\x18\x28\x6f\x01", banner=b"") + packed(bytes(SIZE) + BANNER),
        KernelImage(Kind.ZIMAGE, "arm", NAME, SIZE + len(BANNER), 1023),
    ),
    "s390x": (
        s390(banner=b"", inside=packed(bytes(SIZE) + BANNER, Codec.XZ)),
        KernelImage(Kind.BZIMAGE, "s390x", NAME, SIZE + len(BANNER), 895),
    ),
    "s390x that packs nothing": (
        s390(release=""),
        KernelImage(Kind.BZIMAGE, "s390x", NAME, 0, 895),
    ),
    "ppc64le": (PPC64LE, _vmlinux("ppc64le", 2047)),
    "ppc64": (PPC64, _vmlinux("ppc64", 2047)),
    "zImage of ppc64le": (
        zimage(21, packed(PPC64LE), bits=64, little=True),
        replace(_vmlinux("ppc64le", 2047), kind=Kind.ZIMAGE),
    ),
    "zImage of ppc64": (
        zimage(20, packed(PPC64), bits=32, little=False),
        replace(_vmlinux("ppc64", 2047), kind=Kind.ZIMAGE),
    ),
    "zImage with nothing in it": (
        zimage(21, b"", bits=64, little=True),
        replace(_vmlinux("ppc64le", 2047, ""), kind=Kind.ZIMAGE),
    ),
    "vmlinux": (elf(62, bits=64, little=True), _vmlinux("x86_64", 2047)),
    "vmlinux of arm64": (elf(183, bits=64, little=True), _vmlinux("aarch64", 2047)),
    "vmlinux of riscv": (elf(243, bits=64, little=True), _vmlinux("riscv64", 1023)),
    "vmlinux of s390x": (elf(22, bits=64, little=False), _vmlinux("s390x", 895)),
    "vmlinux of i386": (elf(3, bits=32, little=True), _vmlinux("i386", 2047)),
    "vmlinux of arm": (elf(40, bits=32, little=True), _vmlinux("arm", 1023)),
    "a vmlinux of nobody": (elf(4660, bits=64, little=True), _vmlinux("4660", 511)),
    "an EFI program": (pe(0xAA64), KernelImage(Kind.EFI, "aarch64", "", 0, 2047)),
    "zboot of riscv": (pe(0x5064, inside=packed(RISCV)), replace(_RISCV, kind=Kind.ZBOOT)),
    # All that CONFIG_KERNEL_* knows.
    **{
        f"zboot of arm64, {codec.value}": (
            pe(0xAA64, inside=packed(ARM64, codec)),
            replace(_ARM64, kind=Kind.ZBOOT),
        )
        for codec in (*(each for each in PACK if each is not Codec.NONE),)
    },
}


def signed(data: bytes) -> bytes:
    """Return a bzImage with the headers of an EFI program, which tell of a certificate."""
    changed, at = bytearray(data), 0x40
    struct.pack_into("<I", changed, 0x3C, at)
    changed[at : at + 4] = b"PE\0\0"
    struct.pack_into("<H", changed, at + 24, 0x20B)
    struct.pack_into("<II", changed, at + 24 + 112 + 4 * 8, len(data), 1 << 11)
    return bytes(changed)
