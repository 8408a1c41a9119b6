# SPDX-License-Identifier: GPL-2.0-or-later
"""Unified kernel images: the kernel in them is found, taken out, and kept as it is there."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kdump_initrd.core import exits
from kdump_initrd.core.root import Root
from kdump_initrd.core.run import run
from kdump_initrd.probe.kernel import releases, unifiedimage
from tests.vm import unified
from tests.vm.kernels import newest

from . import refreshroots
from .debianlayout import LAYOUT
from .leftalone import KERNEL, with_one
from .refreshroots import NEWER, Host
from .thiskernel import RELEASE

PLACES = [pattern.replace("*", "one") for pattern in LAYOUT.uki]


def image(sections: dict[bytes, bytes], *, optional: int = 240) -> bytes:
    """Return an EFI program as far as its table of sections goes, each filled up to 512 bytes."""
    head = bytearray(b"MZ".ljust(0x80, b"\0"))
    struct.pack_into("<I", head, 0x3C, 0x80)
    head += struct.pack("<4sHH12xHH", b"PE\0\0", 0x8664, len(sections), optional, 0)
    head += bytes(optional)
    place, rows, data = 4096, b"", b""
    for name, content in sections.items():
        stored = -(-len(content) // 512) * 512
        rows += struct.pack("<8sIIII16x", name, len(content), 0x1000, stored, place + len(data))
        data += content.ljust(stored, b"\xcc")
    return bytes(head + rows).ljust(place, b"\0") + data


@pytest.mark.parametrize("place", PLACES)
def test_the_one_of_a_release_is_found(tmp_path: Path, place: str) -> None:
    path = tmp_path / place.format(release="6.1")
    path.parent.mkdir(parents=True)
    path.write_bytes(image({b".linux": b"kernel", b".uname": b"6.1\n", b".initrd": b"x"}))
    path.with_name("two.efi").write_bytes(image({b".linux": b"other", b".uname": b"6.2"}))
    found = unifiedimage.find("6.1", LAYOUT.uki, root=Root(tmp_path))
    assert found is not None
    assert (found.path, found.release(), found.kernel()) == (path, "6.1", b"kernel")
    assert unifiedimage.find("6.3", LAYOUT.uki, root=Root(tmp_path)) is None


def test_one_that_tells_no_release_is_of_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "efi/EFI/Linux"
    folder.mkdir(parents=True)
    (folder / "0123-6.1.0-9.efi").write_bytes(image({b".linux": b"kernel"}))
    root = Root(tmp_path)
    assert unifiedimage.find("6.1.0-9", LAYOUT.uki, root=root)
    assert unifiedimage.find("6.1.0", LAYOUT.uki, root=root) is None


def test_of_several_profiles_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.efi"
    one = image({b".linux": b"first", b".prof": b"", b".linux\0\0": b"second"})
    path.write_bytes(one)
    found = unifiedimage.read(path)
    assert found is not None
    assert found.kernel() == b"first"


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"MZ", b"MZ".ljust(0x40, b"\xff"), b"ELF".ljust(4096, b"\0")),
        image({b".text": b"x"}),
        image({b".linux": b"kernel"})[:0x90],
    ],
)
def test_anything_else_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.efi").write_bytes(data)
    assert unifiedimage.read(tmp_path / "x.efi") is None


def test_one_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.efi").write_bytes(image({b".linux": b"kernel" * 99})[:4100])
    found = unifiedimage.read(tmp_path / "x.efi")
    assert found is not None
    with pytest.raises(OSError, match=r"\.linux is cut off"):
        found.kernel()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return with_one(tmp_path)


@pytest.mark.timeout(600)
def test_the_kernel_is_taken_out_and_no_initrd_is_changed(host: Host, tmp_path: Path) -> None:
    before = [*(host.root / "boot").iterdir()]
    assert host.run(dry_run=True) == exits.NO
    assert not (host.root / KERNEL).exists()
    with refreshroots.hearing(host) as lines:
        assert host.run() == exits.DONE
    said = lines.take()
    assert any(line.startswith(f"{KERNEL}: taken out of efi/EFI/Linux/") for line in said)
    assert (host.root / KERNEL).read_bytes() == (tmp_path / "kernel").read_bytes()
    assert sorted((host.root / "boot").iterdir()) == sorted([*before, host.capture])
    found = releases.find(RELEASE, root=Root(host.root), layout=LAYOUT)
    assert found.image == host.root / KERNEL

    kept = host.files()
    assert (host.run(), host.files()) == (exits.DONE, kept)

    # Another kernel in it, and none any more.
    (uki,) = (host.root / "efi/EFI/Linux").iterdir()
    changed = (tmp_path / "kernel").read_bytes() + bytes(512)
    (tmp_path / "changed").write_bytes(changed)
    unified.make(uki, tmp_path / "changed", release=RELEASE, initrd=tmp_path / "kernel")
    assert host.run() == exits.DONE
    assert (host.root / KERNEL).read_bytes() == changed
    uki.unlink()
    host.add_kernel(NEWER)
    assert host.run() == exits.DONE
    assert not (host.root / KERNEL).exists()
    assert not host.capture.exists()


@pytest.mark.timeout(300)
def test_objcopy_takes_the_same_out_of_a_real_one(tmp_path: Path) -> None:
    kernel = newest()
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(1 << 20))
    made = unified.make(
        tmp_path / "x.efi", kernel.image, release=kernel.release, initrd=initrd
    )  # fmt: skip
    run(["objcopy", "-O", "binary", "--only-section=.linux", made, tmp_path / "linux"], timeout=60)
    found = unifiedimage.read(made)
    assert found is not None
    assert found.release() == kernel.release
    assert found.kernel() == kernel.image.read_bytes()
    assert (tmp_path / "linux").read_bytes().startswith(found.kernel())
