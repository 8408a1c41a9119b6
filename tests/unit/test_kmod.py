# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules: closure, order, compression, firmware; on real modules of an installed kernel."""

from __future__ import annotations

import dataclasses
import gzip
import logging
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.errors import KdumpInitrdError
from kdump_initrd.probe import kernel, kmod
from kdump_initrd.probe.kmod import Wish

from .test_kernel import LAYOUT

ROOT = Path("/")
RELEASE = kernel.releases(root=ROOT, layout=LAYOUT)[-1]
#: ext4's own needs, in an order that loads.
EXT4 = ("jbd2", "mbcache", "crc16", "ext4")


@pytest.fixture
def installed() -> kernel.KernelRelease:
    return kernel.find(RELEASE, root=ROOT, layout=LAYOUT)


def names(modules: tuple[kmod.KernelModule, ...]) -> list[str]:
    return [module.name for module in modules]


def test_load_order_and_soft_dependencies(installed: kernel.KernelRelease) -> None:
    found = names(kmod.closure([Wish(("fs-ext4",), "fs")], kernel=installed, root=ROOT))
    assert [name for name in found if name in EXT4][-1] == "ext4"
    assert set(EXT4) <= set(found)
    assert any(name.startswith("crc32c") for name in found), "soft dependency"
    assert len(found) == len(set(found))


def test_built_in_is_no_module(installed: kernel.KernelRelease) -> None:
    wish = Wish(("virtio_console", "ext4", "proc"), "test")
    builtin = (installed.modules / "modules.builtin").read_text().splitlines()
    name = Path(builtin[0]).stem
    found = kmod.closure([wish, Wish((name,), "test", True)], kernel=installed, root=ROOT)
    assert kmod.canonical(name) not in names(found)


def test_required_and_absent_is_an_error(installed: kernel.KernelRelease) -> None:
    with pytest.raises(KdumpInitrdError, match="the file: neither a module of kernel"):
        kmod.closure([Wish(("fs-hfsplusplus",), "the file", True)], kernel=installed, root=ROOT)


def test_wanted_and_absent_is_passed_over(installed: kernel.KernelRelease) -> None:
    found = kmod.closure([Wish(("no_such_module", "ext4"), "set")], kernel=installed, root=ROOT)
    assert "ext4" in names(found)


def test_omitted_is_left_out_with_a_warning(
    installed: kernel.KernelRelease, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        found = kmod.closure([Wish(("ext4",), "fs")], kernel=installed, root=ROOT, omit=["crc16"])
    assert "crc16" not in names(found)
    assert "crc16 is omitted, but needed: fs" in caplog.text


def packed(suffix: str, data: bytes) -> bytes:
    """Compress a module as its suffix says."""
    if suffix == ".xz":
        return lzma.compress(data, check=lzma.CHECK_CRC32)
    if suffix == ".gz":
        return gzip.compress(data)
    if suffix == ".zst":
        argv = ["zstd", "-q", "-c"]
        return subprocess.run(argv, input=data, capture_output=True, check=True).stdout
    return data


def fake_root(tmp_path: Path, source: kernel.KernelRelease, *, suffix: str, index: bool) -> Path:
    """Make a root with ext4's modules, each compressed as ``suffix`` says."""
    modules = tmp_path / "usr/lib/modules" / RELEASE
    for name in ("fs/ext4/ext4", "fs/jbd2/jbd2", "fs/mbcache", "lib/crc16"):
        dest = modules / f"kernel/{name}.ko{suffix}"
        dest.parent.mkdir(parents=True, exist_ok=True)
        dest.write_bytes(packed(suffix, (source.modules / f"kernel/{name}.ko").read_bytes()))
    for name in ("modules.builtin", "modules.order"):
        shutil.copy(source.modules / name, modules / name)
    if index:
        subprocess.run(["depmod", "-b", tmp_path / "usr", RELEASE], check=True)
    return tmp_path


# Debian's depmod cannot index .gz modules: none comes with an index there.
@pytest.mark.parametrize(
    ("suffix", "index"),
    [("", True), ("", False), (".xz", True), (".xz", False), (".zst", True), (".gz", False)],
)
def test_foreign_root(
    tmp_path: Path, installed: kernel.KernelRelease, suffix: str, index: bool
) -> None:
    root = fake_root(tmp_path, installed, suffix=suffix, index=index)
    before = sorted(root.rglob("*"))
    release = kernel.find(RELEASE, root=root, layout=LAYOUT)
    found = kmod.closure([Wish(("ext4",), "fs", True)], kernel=release, root=root)
    assert set(names(found)) == set(EXT4)
    last = found[-1]
    assert str(last.dest) == f"usr/lib/modules/{RELEASE}/kernel/fs/ext4/ext4.ko"
    assert last.content() == (installed.modules / "kernel/fs/ext4/ext4.ko").read_bytes()
    assert sorted(root.rglob("*")) == before, "the root is changed"


def test_aliases_and_firmware_of_modules_packed_by_gzip(
    tmp_path: Path, installed: kernel.KernelRelease
) -> None:
    """Debian's modinfo cannot read those."""
    wishes = [Wish(("qla2xxx",), "hba", True)]
    plain = kmod.closure(wishes, kernel=installed, root=ROOT)
    packed_ones = []
    for module in plain:
        source = tmp_path / f"{module.source.name}.gz"
        source.write_bytes(gzip.compress(module.source.read_bytes()))
        packed_ones.append(dataclasses.replace(module, source=source))
    found = kmod.aliases(packed_ones)
    assert found == kmod.aliases(plain)
    assert any(pattern.startswith("pci:v00001077d") for pattern in found["qla2xxx"])
    (tmp_path / "lib/firmware").mkdir(parents=True)
    (tmp_path / "lib/firmware/ql2400_fw.bin").write_bytes(b"firmware")
    files = kmod.firmware(packed_ones, root=tmp_path, layout=("lib/firmware",), release=RELEASE)
    assert [str(dest) for dest, _, _ in files] == ["usr/lib/firmware/ql2400_fw.bin"]


def test_parameters_come_from_the_roots_modprobe_d(
    tmp_path: Path, installed: kernel.KernelRelease
) -> None:
    root = fake_root(tmp_path, installed, suffix="", index=True)
    (root / "etc/modprobe.d").mkdir(parents=True)
    (root / "etc/modprobe.d/x.conf").write_text('options mbcache size=5 name="a b"\n')
    release = kernel.find(RELEASE, root=root, layout=LAYOUT)
    found = {m.name: m for m in kmod.closure([Wish(("ext4",), "fs")], kernel=release, root=root)}
    assert found["mbcache"].parameters == 'size=5 name="a b"'


def test_damaged_module_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.ko.xz"
    path.write_bytes(b"no xz")
    with pytest.raises(KdumpInitrdError, match=r"x\.ko\.xz: cannot be read"):
        kmod.unpacked(path)


def test_firmware_that_the_root_has(tmp_path: Path, installed: kernel.KernelRelease) -> None:
    modules = kmod.closure([Wish(("qla2xxx",), "hba", True)], kernel=installed, root=ROOT)
    (tmp_path / "lib/firmware").mkdir(parents=True)
    (tmp_path / "lib/firmware/ql2400_fw.bin.xz").write_bytes(lzma.compress(b"firmware"))
    layout = ("usr/lib/firmware", "lib/firmware")
    found = kmod.firmware(modules, root=tmp_path, layout=layout, release=RELEASE)
    ((dest, source, why),) = found
    assert (str(dest), why) == ("usr/lib/firmware/ql2400_fw.bin", "firmware of qla2xxx")
    assert kmod.unpacked(source) == b"firmware"
