# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel images: what the headers of each architecture say, and what is none."""

from __future__ import annotations

import gzip
import re
import struct
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.probe.kernel import kernelimage
from kdump_initrd.probe.kernel.kernelimage import KernelImage

from .initrdwriter import bzimage
from .test_kmod import RELEASE

BANNER = b"Linux version 6.12.0-3-test (me@host) (gcc) #1 SMP\n\0"
HOST = Path(f"/boot/vmlinuz-{RELEASE}")


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


def read(path: Path, data: bytes) -> KernelImage:
    path.write_bytes(data)
    return kernelimage.read(path)


def test_the_kernel_of_this_host() -> None:
    found = kernelimage.read(HOST)
    assert (found.machine, found.release) == ("x86_64", RELEASE)
    said = subprocess.run(["file", "-b", HOST], capture_output=True, text=True, check=True).stdout
    version = re.search(r"bzImage, version (\S+)", said)
    assert version, said
    assert found.release == version[1]
    # init_size is no less than what the packed kernel is and unpacks to.
    assert HOST.stat().st_size < found.unpacked < 1 << 27
    assert found.cmdline == 2047


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


@pytest.mark.parametrize(("data", "wanted"), IMAGES.values(), ids=IMAGES)
def test_architecture_release_and_size(tmp_path: Path, data: bytes, wanted: KernelImage) -> None:
    assert read(tmp_path / "kernel", data) == wanted


@pytest.mark.parametrize(
    ("protocol", "said", "found"),
    [(0x0205, 2047, 255), (0x0206, 255, 255), (0x020F, 1023, 1023), (0x020F, 4095, 2047),
     (0x020F, 0, 2047)],
)  # fmt: skip
def test_the_longest_command_line_of_x86(
    tmp_path: Path, protocol: int, said: int, found: int
) -> None:
    """By the boot protocol, and no longer than kexec-tools take it; 0 says nothing."""
    data = bzimage(protocol=protocol, cmdline=said)
    assert read(tmp_path / "kernel", data).cmdline == found


@pytest.mark.parametrize(("said", "found"), [(0, 895), (4096, 4095), (1024, 1023)])
def test_the_longest_command_line_of_s390(tmp_path: Path, said: int, found: int) -> None:
    data = bytearray(image(0x10008, b"S390EP"))
    struct.pack_into(">Q", data, 0x10430, said)
    assert read(tmp_path / "kernel", bytes(data)).cmdline == found


def test_an_image_in_gzip(tmp_path: Path) -> None:
    """Debian's vmlinuz of arm64 is one."""
    data, wanted = IMAGES["arm64"]
    assert read(tmp_path / "kernel", gzip.compress(data)) == wanted


@pytest.mark.parametrize(
    ("release", "found"),
    [("6.1.0", "6.1.0"), ("", ""), ("é-1", "\ufffd\ufffd-1"), ("x" * 400, "x" * 200)],
)
def test_a_version_that_is_odd(tmp_path: Path, release: str, found: str) -> None:
    data = bytearray(bzimage(release))
    if not release:
        data[0x20E:0x210] = b"\0\0"
    assert read(tmp_path / "kernel", bytes(data)).release == found


def test_a_version_behind_the_end(tmp_path: Path) -> None:
    data = bytearray(bzimage())
    data[0x20E:0x210] = b"\xff\xff"
    assert read(tmp_path / "kernel", bytes(data)).release == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        bzimage()[: 1 << 16],
        bytes(1 << 18),
        b"#!/bin/sh\n" * (1 << 15),
        gzip.compress(bytes(1 << 18)),
        pe(0x01C4),
        pe(0xAA64, at=(1 << 17) - 4)[: 1 << 17],
        image(0, b"MZ", banner=b"")[:-4] + b"PE\0\0",
    ],
    ids=["empty", "short ELF", "short bzImage", "zeros", "script", "gzip of zeros", "PE of nobody",
         "PE behind the end", "PE without a header"],
)  # fmt: skip
def test_garbage_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        read(tmp_path / "kernel", data)
    assert caught.value.message == f"{tmp_path}/kernel: no kernel image that is known"
    assert caught.value.hint == "name a bzImage, Image or vmlinux"


def test_gzip_that_is_damaged(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(IMAGES["arm64"][0]))
    data[10:60] = b"\xff" * 50
    with pytest.raises(KdumpInitrdError) as caught:
        read(tmp_path / "kernel", bytes(data))
    assert caught.value.message.startswith(f"{tmp_path}/kernel: cannot be unpacked: Error -3")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "gone", "No such file or directory"), (tmp_path, "Is a dir")):
        with pytest.raises(KdumpInitrdError) as caught:
            kernelimage.read(path)
        assert caught.value.message.startswith(f"{path}: {why}")
        assert caught.value.hint == "name a kernel image"
