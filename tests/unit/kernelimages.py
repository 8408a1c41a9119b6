# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel images as far as their headers go, of each architecture."""

from __future__ import annotations

import struct

from kdump_initrd.probe.kernel.kernelimage import KernelImage

from .initrdwriter import bzimage

BANNER = b"Linux version 6.12.0-3-test (me@host) (gcc) #1 SMP\n\0"


def image(at: int, magic: bytes, *, banner: bytes = BANNER, size: int = 0) -> bytes:
    """Return an uncompressed image with a magic number, its size at 16, and a banner."""
    data = bytearray(1 << 17)
    data[at : at + len(magic)] = magic
    if size:
        struct.pack_into("<Q", data, 16, size)
    data[0x18000 : 0x18000 + len(banner)] = banner
    return bytes(data)


def elf(machine: int, *, bits: int, little: bool, banner: bytes = BANNER) -> bytes:
    """Return a vmlinux as far as its first fields go (elf(5))."""
    order = "<" if little else ">"
    ident = b"\x7fELF" + bytes([bits // 32, 1 if little else 2, 1]) + bytes(9)
    return image(0, ident + struct.pack(f"{order}HHI", 2, machine, 1), banner=banner)


def pe(machine: int, *, zboot: bool = False, at: int = 0x40) -> bytes:
    """Return an EFI program; zboot is how arm64 and riscv pack a kernel in one."""
    head = b"MZ\0\0" + (b"zimg" if zboot else bytes(4))
    data = bytearray(image(0, head, banner=b""))
    struct.pack_into("<I", data, 0x3C, at)
    data[at : at + 6] = b"PE\0\0" + struct.pack("<H", machine)
    return bytes(data)


NAME = "6.12.0-3-test"
IMAGES = {
    "x86_64": (bzimage(), KernelImage("x86_64", "6.1.0-test", 48 << 20, 2047)),
    "i386": (bzimage(flags=0), KernelImage("i386", "6.1.0-test", 48 << 20, 2047)),
    "x86 of 2.6.30": (bzimage(protocol=0x0209), KernelImage("i386", "6.1.0-test", 0, 2047)),
    "arm64": (image(0x38, b"ARM\x64", size=33 << 20), KernelImage("aarch64", NAME, 33 << 20, 2047)),
    "riscv64": (
        image(0x38, b"RSC\x05", size=22 << 20),
        KernelImage("riscv64", NAME, 22 << 20, 1023),
    ),
    "arm": (image(0x24, b"\x18\x28\x6f\x01", banner=b""), KernelImage("arm", "", 0, 1023)),
    "s390x": (image(0x10008, b"S390EP"), KernelImage("s390x", NAME, 0, 895)),
    "ppc64le": (elf(21, bits=64, little=True), KernelImage("ppc64le", NAME, 0, 2047)),
    "ppc64": (elf(21, bits=64, little=False), KernelImage("ppc64", NAME, 0, 2047)),
    "vmlinux": (elf(62, bits=64, little=True), KernelImage("x86_64", NAME, 0, 2047)),
    "vmlinux of arm64": (elf(183, bits=64, little=True), KernelImage("aarch64", NAME, 0, 2047)),
    "vmlinux of riscv": (elf(243, bits=64, little=True), KernelImage("riscv64", NAME, 0, 1023)),
    "vmlinux of s390x": (elf(22, bits=64, little=False), KernelImage("s390x", NAME, 0, 895)),
    "vmlinux of i386": (elf(3, bits=32, little=True), KernelImage("i386", NAME, 0, 2047)),
    "vmlinux of arm": (elf(40, bits=32, little=True), KernelImage("arm", NAME, 0, 1023)),
    "a vmlinux of nobody": (elf(4660, bits=64, little=True), KernelImage("4660", NAME, 0, 511)),
    "packed ELF": (elf(21, bits=64, little=True, banner=b""), KernelImage("ppc64le", "", 0, 2047)),
    "zboot of arm64": (pe(0xAA64, zboot=True), KernelImage("aarch64", "", 0, 2047)),
    "zboot of riscv": (pe(0x5064, zboot=True), KernelImage("riscv64", "", 0, 1023)),
}
