# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel images: what the headers of each architecture say, and what is none."""

from __future__ import annotations

import gzip
import re
import struct
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.compression import Codec
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.probe.kernel import kernelimage, packedkernel
from kdump_initrd.probe.kernel.kernelimage import KernelImage

from .initrdwriter import bzimage
from .kernelimages import ARM64, IMAGES, NAME, SIZE, image, packed, pe, s390
from .thiskernel import RELEASE

HOST = Path(f"/boot/vmlinuz-{RELEASE}")
#: Made where the program for it is.
ZSTD = packed(ARM64, Codec.ZSTD)


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
        pe(0xAA64, inside=packed(b"no kernel")),
        pe(0xAA64, inside=packed(pe(0xAA64, inside=packed(ARM64)))),
        gzip.compress(ARM64[:1000]),
    ],
    ids=["empty", "short ELF", "short bzImage", "zeros", "script", "gzip of zeros", "PE of nobody",
         "PE behind the end", "PE without a header", "zboot of nothing", "zboot of a zboot",
         "gzip of a piece"],
)  # fmt: skip
def test_garbage_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        read(tmp_path / "kernel", data)
    assert caught.value.message == f"{tmp_path}/kernel: not a known kind of kernel image"
    assert caught.value.hint == "name a bzImage, Image or vmlinux"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(gzip.compress(ARM64)[:-9], id="gzip"),
        pytest.param(gzip.compress(ARM64)[:10] + bytes(50), id="gzip of garbage"),
        pytest.param(pe(0xAA64, inside=packed(ARM64)[:-9]), id="zboot"),
        pytest.param(pe(0xAA64, inside=b"\x04\x22\x4d\x18" + bytes(99)), id="not of Linux"),
    ],
)
def test_what_is_packed_and_damaged(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        read(tmp_path / "kernel", data)
    assert caught.value.message == f"{tmp_path}/kernel: the kernel in it cannot be unpacked"


def test_a_kernel_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packedkernel, "FILE", SIZE - 1)
    for codec in (Codec.GZIP, Codec.ZSTD):
        with pytest.raises(KdumpInitrdError, match=r"kernel: .*more than 0 MB"):
            read(tmp_path / "kernel", pe(0xAA64, inside=packed(ARM64, codec)))


def test_without_the_program_that_unpacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What an image is is not known then, but what is only packed in one is not its release."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("kdump_initrd.core.run._SBIN", "")
    data, _ = IMAGES["zboot of arm64, zstd"]
    with pytest.raises(KdumpInitrdError) as caught:
        read(tmp_path / "kernel", data)
    assert caught.value.message == f"{tmp_path}/kernel: zstd: program not found"
    found = read(tmp_path / "kernel", s390(inside=ZSTD))
    assert (found.release, found.unpacked) == (NAME, 0)
    assert caplog.messages[0] == (
        "the unpacked size of the kernel is not known: zstd: program not found"
    )


@pytest.mark.parametrize("name", ["arm64", "zboot of riscv", "ppc64le", "x86_64", "s390x"])
def test_what_kexec_loads(tmp_path: Path, name: str) -> None:
    kernelimage.check_loadable(tmp_path, IMAGES[name][1])


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("zImage of ppc64le", "kexec does not load a zImage of ppc64le as a capture kernel",
         "name the vmlinux of that kernel"),
        ("vmlinux", "kexec does not load a vmlinux of x86_64 as a capture kernel",
         "name the bzImage of that kernel"),
        ("x86 in one place",
         "built without CONFIG_RELOCATABLE: it cannot run in the reserved memory",
         "use another capture kernel"),
    ],
)  # fmt: skip
def test_what_kexec_does_not_load(tmp_path: Path, name: str, message: str, hint: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        kernelimage.check_loadable(tmp_path, IMAGES[name][1])
    assert (caught.value.message, caught.value.hint) == (f"{tmp_path}: {message}", hint)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "gone", "No such file or directory"), (tmp_path, "Is a dir")):
        with pytest.raises(KdumpInitrdError) as caught:
            kernelimage.read(path)
        assert caught.value.message.startswith(f"{path}: {why}")
        assert caught.value.hint == "name a kernel image"
