# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels of the ports, read and not run: kind, release, pages, size in memory."""

from __future__ import annotations

import gzip
import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.core.run import run
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.distro.architectures import Kind, facts
from kdump_initrd.probe.kernel import kernelimage, releases
from kdump_initrd.probe.kernel.kernelimage import KernelImage
from kdump_initrd.probe.kernel.releases import KernelRelease
from kdump_initrd.recipes.firstkernel.kexeccall import loading_of
from kdump_initrd.recipes.parts.kernelterms import terms_of
from tests.unit.kernelimages import pe

from .table import PORTS

MIB = 1 << 20
ROWS = [pytest.param(port, marks=[] if PORTS[port].usual else [pytest.mark.full]) for port in PORTS]
#: What file(1) says of them, and the kind that they are of. Older ones do not know RISC-V's header,
#: and say three sizes of a kernel with pages of 64 KiB: they look at each bit alone.
KINDS = {
    r"Linux kernel x86 boot executable bzImage, version (?P<release>\S+)": Kind.BZIMAGE,
    r"Linux kernel ARM64 boot executable Image, little-endian, (?P<kib>\d+)K pages$": Kind.IMAGE,
    r"Linux kernel ARM64 boot executable Image, little-endian, 4K pages, 16K pages": Kind.IMAGE,
    r"ELF 64-bit LSB (executable|shared object), 64-bit PowerPC": Kind.VMLINUX,
    r"Linux S390": Kind.BZIMAGE,
    r"data|PE32\+|MS-DOS|Linux kernel RISC-V": Kind.IMAGE,
}


def found(port: str) -> tuple[KernelRelease, KernelImage]:
    """Return the port's kernel as the product finds it in the port's root."""
    kernel = PORTS[port].kernel()
    root = Root(kernel.root)
    profile = profiles.detect(root, search_path=search_path("distros", root=root))
    release = releases.find(kernel.release, root=root, layout=profile.kernel)
    assert release.header is not None
    return release, release.header


def span(image: Path) -> int:
    """Return the bytes that a vmlinux takes in memory, as readelf lists its segments."""
    text = run(["readelf", "-lW", image], timeout=60).stdout.decode()
    loaded = re.findall(r"^ +LOAD +\S+ +\S+ +(\S+) +\S+ +(\S+)", text, re.MULTILINE)
    pieces = [(int(start, 16), int(size, 16)) for start, size in loaded]
    return max(start + size for start, size in pieces) - min(start for start, _ in pieces)


@pytest.mark.parametrize("port", ROWS)
def test_what_a_kernel_says_of_itself(port: str) -> None:
    kernel, image = found(port)
    assert kernel.image is not None
    assert image.release == kernel.release
    assert facts().named(image.machine).is_called(PORTS[port].architecture.name)
    said = run(["file", "-b", kernel.image], timeout=60).stdout.decode()
    matches = ((kind, re.match(text, said)) for text, kind in KINDS.items())
    kind, told = next((kind, match.groupdict()) for kind, match in matches if match)
    assert image.kind is kind, said
    assert told.get("release", image.release) == image.release
    assert int(told.get("kib", image.page >> 10)) == image.page >> 10
    assert image.page in (0, PORTS[port].page)
    assert 4 * MIB < image.unpacked < 128 * MIB
    if kind is Kind.VMLINUX:
        assert image.unpacked == span(kernel.image)
    kernelimage.check_loadable(kernel.image, image)
    releases.check_capture_options(kernel)


@pytest.mark.parametrize("port", ROWS)
def test_its_pages(port: str) -> None:
    kernel, image = found(port)
    assert terms_of(image.machine, image, kernel.config).page == PORTS[port].page


@pytest.mark.parametrize("port", ROWS)
def test_it_may_be_packed_in_an_efi_program(port: str, tmp_path: Path) -> None:
    """As a zboot packs it, where there is such a thing."""
    kernel, image = found(port)
    assert kernel.image is not None
    machine = facts().named(image.machine).image.pe
    if image.kind is not Kind.IMAGE:
        assert Kind.ZBOOT not in facts().named(image.machine).image.loaded
        return
    packed = gzip.compress(kernel.image.read_bytes(), compresslevel=1)
    for name, data in {"gz": packed, "zboot": pe(machine, inside=packed)}.items():
        (tmp_path / name).write_bytes(data)
        kind = Kind.ZBOOT if name == "zboot" else Kind.IMAGE
        assert kernelimage.read(tmp_path / name) == replace(image, kind=kind)
    assert struct.unpack_from("<I", data, 8) == (len(data) - len(packed) - 4,)


#: What is known of a regular kernel by its configuration alone.
WARNED = {
    "riscv64-7": r"built without CONFIG_KEXEC_FILE: its dumps will lack .* use kexec-tools newer",
}


@pytest.mark.parametrize("port", ROWS)
def test_what_is_said_of_a_regular_kernel(port: str, caplog: pytest.LogCaptureFixture) -> None:
    kernel, image = found(port)
    kexec = PORTS[port].kernel().program("kexec").read_bytes()
    loading_of(image.machine, kexec).warn(kernel.release, kernel.config)
    wanted = WARNED.get(port)
    assert len(caplog.messages) == (1 if wanted else 0)
    assert not wanted or re.match(rf"{re.escape(kernel.release)}: {wanted}", caplog.messages[0])
