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
from .kernelimages import IMAGES, image, pe
from .thiskernel import RELEASE

HOST = Path(f"/boot/vmlinuz-{RELEASE}")


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
    assert caught.value.message == f"{tmp_path}/kernel: not a known kind of kernel image"
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
