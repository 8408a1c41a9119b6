# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that a kernel would not load, and indexes that do not say what there is."""

from __future__ import annotations

import dataclasses
import logging
import lzma
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.core import run
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.kernel import kmod, moduleindex, releases
from kdump_initrd.probe.kernel.kmod import KernelModule, Wish

from ..golden_images import kowriter
from . import indexorder
from .debianlayout import LAYOUT
from .elfwriter import AARCH64, X86_64
from .initrdwriter import bzimage
from .packing import packed

RELEASE = "6.1.0-test"
EXT4 = Wish(("fs-ext4",), "dump file system ext4", required=True)
VIRTIO = Wish(("virtio_pci", "virtio_blk"), "hardware set virtio", strict=True)
#: What happens to a folder of modules.
Fault = Callable[[Path], object]


class KernelRoot:
    """A root with one kernel and its modules."""

    def __init__(self, top: Path, *, suffix: str = "", built_in: tuple[str, ...] = ()) -> None:
        self.top = top
        self.modules = top / f"usr/lib/modules/{RELEASE}"
        self.modules.mkdir(parents=True)
        kowriter.write_modules(
            self.modules, suffix=suffix, index=suffix != ".gz", built_in=built_in
        )

    def path(self, name: str) -> Path:
        """Return the file of a module."""
        (found,) = self.modules.rglob(f"{name}.ko*")
        return found

    def closure(self, *wishes: Wish) -> tuple[KernelModule, ...]:
        """Return what meets the wishes."""
        release = releases.find(RELEASE, root=Root(self.top), layout=LAYOUT)
        return kmod.closure(wishes, kernel=release, root=Root(self.top))

    def names(self, *wishes: Wish) -> list[str]:
        """Return the names of what meets the wishes."""
        return [module.name for module in self.closure(*wishes)]

    def failure(self, *wishes: Wish) -> KdumpInitrdError:
        """Return the error of wishes that cannot be met."""
        with pytest.raises(KdumpInitrdError) as caught:
            self.closure(*wishes)
        assert "\n" not in caught.value.message
        return caught.value


@pytest.fixture(params=["depmod", "top first"])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> KernelRoot:
    """One with the index of this host's depmod, or in both orders that there are of it."""
    made = KernelRoot(tmp_path)
    if request.param == "top first":
        for path in made.modules.glob("modules.*.bin"):
            path.write_bytes(indexorder.top_first(path.read_bytes()))
    return made


def cut(path: Path, size: int) -> None:
    """Leave the first bytes of a file; -N leaves all but N."""
    path.write_bytes(path.read_bytes()[:size])


def without(name: str) -> Fault:
    return lambda folder: (folder / name).unlink()


def emptied(name: str) -> Fault:
    return lambda folder: cut(folder / name, 0)


def halved(name: str) -> Fault:
    return lambda folder: cut(folder / name, (folder / name).stat().st_size // 2)


def shortened(name: str) -> Fault:
    return lambda folder: cut(folder / name, -1)


def filled(name: str) -> Fault:
    return lambda folder: (folder / name).write_bytes(b"\xa5" * 5000)


def far(name: str) -> Fault:
    """Say that the table of sections is further away than any file is long (elf.h: e_shoff)."""

    def write(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[40:48] = b"\xff" * 8
        (folder / name).write_bytes(data)

    return write


def zeroed(name: str) -> Fault:
    """Write what a full disk leaves of delayed allocation: the right size, zeros in the middle."""

    def write(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[12 : len(data) - 40] = bytes(len(data) - 52)
        (folder / name).write_bytes(data)

    return write


@pytest.mark.parametrize(
    "fault",
    [damage(f"modules.{name}") for damage in (emptied, halved, shortened, filled)
     for name in ("dep.bin", "alias.bin", "builtin.bin")],
)  # fmt: skip
def test_damaged_index_is_an_error(root: KernelRoot, fault: Fault) -> None:
    fault(root.modules)
    error = root.failure(EXT4, VIRTIO)
    assert error.message.startswith(f"{root.modules}: the index of its modules is damaged: modules")
    assert error.message.endswith(".bin is empty, truncated or not an index")
    assert error.hint == f"depmod -b {root.top} {RELEASE} rebuilds it"


def test_index_with_a_hole_is_an_error(root: KernelRoot) -> None:
    zeroed("modules.dep.bin")(root.modules)
    for wish in (EXT4, VIRTIO):
        error = root.failure(wish)
        assert "the index of its modules is damaged" in error.message
        assert error.hint is not None and error.hint.startswith("depmod ")


def test_release_that_depmod_refuses(root: KernelRoot) -> None:
    """The error is one line, and names no folder that is gone by then."""
    modules = root.modules.rename(root.modules.parent / "97")
    without("modules.dep.bin")(modules)
    release = releases.find("97", root=Root(root.top), layout=LAYOUT)
    with pytest.raises(KdumpInitrdError) as caught:
        kmod.closure([EXT4], kernel=release, root=Root(root.top))
    assert caught.value.message == (
        f"{modules}: its modules cannot be indexed: depmod: ERROR: Bad version passed 97"
    )


def test_bomb_among_modules_without_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """depmod unpacks what it lists: with a limit, and what is too large has no symbols for it."""
    root = KernelRoot(tmp_path, suffix=".xz")
    without("modules.dep.bin")(root.modules)
    root.path("jbd2").write_bytes(lzma.compress(bytes(140 << 20), preset=0))
    limits: list[int | None] = []

    def watched(argv: Sequence[str | Path], **options: Any) -> run.Result:  # noqa: ANN401
        limits.append(options.get("memory"))
        return run.run(argv, **options)

    monkeypatch.setattr(moduleindex, "run", watched)
    assert root.failure(EXT4).message.endswith(
        f"{root.path('jbd2')}: is larger than 128 MB, unpacked"
    )
    assert limits[0] == 256 << 20


@pytest.mark.parametrize("name", ["dep.bin", "alias.bin", "dep", "alias", "softdep", "builtin.bin"])
def test_part_of_the_index_is_missing(root: KernelRoot, name: str) -> None:
    without(f"modules.{name}")(root.modules)
    assert root.names(EXT4) == ["crc16", "jbd2", "ext4"]
    assert root.names(VIRTIO) == ["virtio", "virtio_ring", "virtio_pci", "virtio_blk"]


def test_index_that_does_not_know_what_modules_need(root: KernelRoot) -> None:
    """modules.dep.bin of modules that had no needs, as an update that was cut short leaves it."""
    elsewhere = KernelRoot(root.top / "elsewhere")
    for path in elsewhere.modules.rglob("*.ko"):
        path.write_bytes(kowriter.bare(path.stem, release=RELEASE))
    subprocess.run(["depmod", "-b", elsewhere.top / "usr", RELEASE], check=True)
    shutil.copy(elsewhere.modules / "modules.dep.bin", root.modules)
    assert root.names(EXT4) == ["crc16", "jbd2", "ext4"]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (emptied, "empty"),
        (halved, "cut off"),
        (shortened, "cut off"),
        (filled, "not an ELF file"),
        (far, "cut off"),
        (without, "no such file"),
    ],
)
@pytest.mark.parametrize("name", ["ext4", "jbd2", "crc16"])
def test_required_module_that_cannot_be_loaded(
    root: KernelRoot, name: str, damage: Callable[[str], Fault], what: str
) -> None:
    path = root.path(name)
    damage(str(path.relative_to(root.modules)))(root.modules)
    error = root.failure(EXT4)
    assert error.message == f"dump file system ext4: {path}: {what}"
    assert error.hint == f"install the modules of {RELEASE} again, and run depmod {RELEASE}"


@pytest.mark.parametrize("suffix", [".xz", ".zst", ".gz"])
def test_packed_module_that_is_cut_off(tmp_path: Path, suffix: str) -> None:
    root = KernelRoot(tmp_path, suffix=suffix)
    assert root.names(EXT4)[-1] == "ext4"
    path = root.path("ext4")
    cut(path, -20)
    error = root.failure(EXT4)
    assert f"{path}: cannot be read: " in error.message or "neither a module" in error.message
    # Whole, but what is in it is cut off.
    path.write_bytes(packed(suffix, kowriter.module("ext4", release=RELEASE)[:-100]))
    error = root.failure(EXT4)
    assert f"{path}: cut off" in error.message or "neither a module" in error.message


def test_module_of_another_kernel(root: KernelRoot) -> None:
    root.path("jbd2").write_bytes(kowriter.module("jbd2", release="5.10.0-test"))
    error = root.failure(EXT4)
    assert error.message.endswith("jbd2.ko: is for kernel 5.10.0-test")
    root.path("jbd2").write_bytes(kowriter.module("jbd2", release=""))
    assert root.failure(EXT4).message.endswith("jbd2.ko: does not say which kernel it is for")


def test_module_of_another_architecture(root: KernelRoot) -> None:
    (root.top / "boot").mkdir()
    (root.top / f"boot/vmlinuz-{RELEASE}").write_bytes(bzimage(RELEASE))
    assert root.names(EXT4)[-1] == "ext4"
    data = kowriter.module("ext4", release=RELEASE, machine=AARCH64)
    root.path("ext4").write_bytes(data)
    assert root.failure(EXT4).message.endswith("ext4.ko: is for aarch64, the kernel for x86_64")


def test_driver_that_nobody_needs_is_a_warning(
    root: KernelRoot, caplog: pytest.LogCaptureFixture
) -> None:
    cut(root.path("scsi_mod"), 0)
    root.path("nvme").unlink()
    wishes = [
        Wish(("sd_mod", "qla2xxx"), "hardware set scsi"),
        Wish(("nvme",), "hardware set nvme"),
    ]
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        assert root.names(EXT4, *wishes) == ["crc16", "jbd2", "ext4"]
    folder = root.modules / "kernel/drivers"
    assert [record.message for record in caplog.records] == [
        f"hardware set scsi: {folder}/scsi/scsi_mod.ko: empty: left out",
        f"hardware set nvme: {folder}/nvme/host/nvme.ko: no such file: left out",
    ]


def test_hardware_that_is_there(root: KernelRoot, caplog: pytest.LogCaptureFixture) -> None:
    """Of a set that is named one driver may lack its file, but none may be damaged."""
    path = root.path("virtio_pci")
    data = path.read_bytes()
    path.unlink()
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        assert root.names(VIRTIO) == ["virtio", "virtio_ring", "virtio_blk"]
    assert f"hardware set virtio: {path}: no such file: left out" in caplog.text
    path.write_bytes(data[:-30])
    assert root.failure(VIRTIO).message == f"hardware set virtio: {path}: cut off"


def test_hardware_that_the_kernel_has_no_driver_for(root: KernelRoot) -> None:
    missing = Wish(("xen-blkfront",), "hardware set xen", strict=True)
    error = root.failure(missing)
    assert error.message == f"hardware set xen: kernel {RELEASE} has none of its drivers"
    root.path("virtio_ring").unlink()
    assert root.failure(VIRTIO).message == (
        f"hardware set virtio: kernel {RELEASE} has none of its drivers"
    )


def test_absolute_link_means_the_root(root: KernelRoot) -> None:
    """weak-modules links to other kernels' folders."""
    (root.top / "opt").mkdir()
    for name in ("jbd2", "ext4", "crc16"):
        path = root.path(name)
        path.rename(root.top / "opt" / path.name)
        path.symlink_to(f"/opt/{path.name}")
    found = root.closure(EXT4)
    assert [module.name for module in found] == ["crc16", "jbd2", "ext4"]
    assert {module.source.parent for module in found} == {root.top / "opt"}


def test_host_has_what_a_link_of_the_root_means(root: KernelRoot, tmp_path: Path) -> None:
    hosts = tmp_path / "host/ext4.ko"
    hosts.parent.mkdir()
    hosts.write_bytes(kowriter.module("ext4", release=RELEASE))
    path = root.path("ext4")
    path.unlink()
    path.symlink_to(hosts)
    error = root.failure(EXT4)
    assert error.message == f"dump file system ext4: {path}: no such file"
    (root.modules / "modules.dep.bin").unlink()
    assert "neither a module" in root.failure(EXT4).message


def test_weak_update_in_the_index_is_the_roots(root: KernelRoot, tmp_path: Path) -> None:
    """The host has another module where the link leads to, seen from there."""
    target = tmp_path / "host/lib/modules/5.14.0-1/extra/crc16.ko"
    roots = root.top / target.relative_to("/")
    for path, machine in ((target, AARCH64), (roots, X86_64)):
        path.parent.mkdir(parents=True)
        data = kowriter.module("crc16", release="5.14.0-1", versioned=True, machine=machine)
        path.write_bytes(data)
    link = root.modules / "weak-updates/crc16.ko"
    link.parent.mkdir()
    root.path("crc16").rename(link)
    subprocess.run(["depmod", "--basedir", root.top / "usr", RELEASE], check=True, timeout=60)
    link.unlink()
    link.symlink_to(target)
    (found,) = root.closure(Wish(("crc16",), "--add-module crc16", required=True))
    assert (found.source, found.data) == (roots, roots.read_bytes())
    assert str(found.dest) == f"usr/lib/modules/{RELEASE}/weak-updates/crc16.ko"


def test_module_out_of_the_kernels_folder(root: KernelRoot) -> None:
    """depmod.d(5), external: the index has its path from the top."""
    index = root.modules / "modules.dep.bin"
    data = index.read_bytes()
    index.write_bytes(data.replace(b"kernel/lib/crc16.ko", b"/externals/crc16.ko"))
    assert "/externals/crc16.ko: no such file" in root.failure(EXT4).message
    (root.top / "externals").mkdir()
    root.path("crc16").rename(root.top / "externals/crc16.ko")
    found = root.closure(EXT4)[0]
    assert found.source == root.top / "externals/crc16.ko"
    assert str(found.dest) == "externals/crc16.ko"


def test_weak_update_of_another_kernel(root: KernelRoot) -> None:
    """Red Hat's weak-modules has compared it with this kernel, symbol by symbol."""
    made = root.top / "lib/modules/5.14.0-1/extra/crc16.ko"
    made.parent.mkdir(parents=True)
    made.write_bytes(kowriter.module("crc16", release="5.14.0-1"))
    root.path("crc16").unlink()
    link = root.modules / "weak-updates/crc16.ko"
    link.parent.mkdir()
    link.symlink_to("/lib/modules/5.14.0-1/extra/crc16.ko")
    (root.modules / "modules.dep.bin").unlink()
    wish = Wish(("crc16",), "--add-module crc16", required=True)
    assert root.failure(wish).message.endswith("crc16.ko: is for kernel 5.14.0-1")
    made.write_bytes(kowriter.module("crc16", release="5.14.0-1", versioned=True))
    assert root.names(wish) == ["crc16"]


def test_pipe_in_place_of_a_module(root: KernelRoot) -> None:
    path = root.path("ext4")
    path.unlink()
    os.mkfifo(path)
    assert root.failure(EXT4).message == f"dump file system ext4: {path}: no such file"
    (root.modules / "modules.softdep").unlink()
    os.mkfifo(root.modules / "modules.softdep")
    assert root.names(VIRTIO)[-1] == "virtio_blk"


def test_configuration_that_only_the_host_would_follow(root: KernelRoot, tmp_path: Path) -> None:
    hosts = tmp_path / "host.conf"
    hosts.write_text("options ext4 mine=1\n")
    folder = root.top / "etc/modprobe.d"
    folder.mkdir(parents=True)
    (folder / "a.conf").symlink_to(hosts)
    (folder / "b.conf").symlink_to("/etc/options")
    os.mkfifo(folder / "c.conf")
    (root.top / "etc/options").write_text("options ext4 yours=1\n")
    assert root.closure(EXT4)[-1].parameters == "yours=1"
    (root.top / "etc/options").write_bytes(bytes(5 << 20))
    assert root.failure(EXT4).message == f"{root.top}/etc/options: is larger than 4 MB"


def test_folder_of_modules_by_another_name(root: KernelRoot) -> None:
    root.modules.rename(root.top / "elsewhere")
    root.modules.symlink_to("/elsewhere")
    found = root.closure(EXT4)
    assert [module.name for module in found] == ["crc16", "jbd2", "ext4"]
    assert str(found[-1].dest) == f"usr/lib/modules/{RELEASE}/kernel/fs/ext4/ext4.ko"


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize(
    "kept", ["modules.builtin", "modules.builtin.modinfo", "modules.builtin.bin"]
)
def test_built_in_by_one_of_its_lists(tmp_path: Path, kept: str, index: bool) -> None:
    root = KernelRoot(tmp_path, built_in=("ext4", "jbd2", "crc16"))
    for path in root.modules.glob("modules.builtin*"):
        if path.name != kept:
            path.unlink()
    if not index:
        for path in root.modules.glob("modules.[ad]*"):
            path.unlink()
    if kept == "modules.builtin.bin" and not index:
        return
    assert root.names(EXT4) == []
    assert root.names(Wish(("ext4",), "--add-module ext4", required=True)) == []


@pytest.mark.parametrize(
    ("fstype", "options", "known"),
    [
        ("ext4", "CONFIG_EXT4_FS=y", True),
        ("ext4", "CONFIG_EXT4_FS=m", False),
        ("xfs", "CONFIG_EXT4_FS=y", False),
        ("ext3", "CONFIG_EXT4_FS=y", True),
        ("ext2", "CONFIG_EXT4_FS=y\nCONFIG_EXT4_USE_FOR_EXT2=y", True),
        ("ext2", "CONFIG_EXT4_FS=y", False),
        ("vfat", "CONFIG_VFAT_FS=y", True),
    ],
)
@pytest.mark.parametrize("folder", [True, False])
def test_built_in_by_the_configuration(
    tmp_path: Path, fstype: str, options: str, known: bool, folder: bool
) -> None:
    if folder:
        (tmp_path / f"lib/modules/{RELEASE}").mkdir(parents=True)
    (tmp_path / "boot").mkdir()
    (tmp_path / f"boot/vmlinuz-{RELEASE}").write_bytes(bzimage(RELEASE))
    (tmp_path / f"boot/config-{RELEASE}").write_text(f"{options}\n")
    release = releases.find(RELEASE, root=Root(tmp_path), layout=LAYOUT)
    wish = Wish((f"fs-{fstype}",), "the file system", required=True)
    if known:
        assert kmod.closure([wish], kernel=release, root=Root(tmp_path)) == ()
        return
    with pytest.raises(KdumpInitrdError) as caught:
        kmod.closure([wish], kernel=release, root=Root(tmp_path))
    assert caught.value.message == (
        f"the file system: neither a module of kernel {RELEASE} nor built in"
    )
    assert folder or f"no folder lib/modules/{RELEASE}" in str(caught.value.hint)


def test_hardware_of_a_kernel_without_modules(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = releases.KernelRelease(RELEASE, None, None, {"CONFIG_VIRTIO_BLK": "y"})
    assert kmod.closure([VIRTIO], kernel=found, root=Root(tmp_path)) == ()
    none = dataclasses.replace(found, config={"CONFIG_VIRTIO_BLK": "m"})
    with pytest.raises(KdumpInitrdError, match="has none of its drivers"):
        kmod.closure([VIRTIO], kernel=none, root=Root(tmp_path))
    unknown = dataclasses.replace(found, config={})
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        assert kmod.closure([VIRTIO], kernel=unknown, root=Root(tmp_path)) == ()
    assert "its list of built-in drivers is missing: check its configuration" in caplog.text


def test_configuration_of_the_running_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "config.gz"
    own.write_bytes(packed(".gz", b"CONFIG_EXT4_FS=y\n"))
    monkeypatch.setattr(releases, "_RUNNING", own)
    (tmp_path / f"lib/modules/{RELEASE}").mkdir(parents=True)
    assert releases.find(RELEASE, root=Root(tmp_path), layout=LAYOUT).config == {}, "another root's"
    other = releases.releases(root=Root(), layout=LAYOUT)[-1]
    assert len(releases.find(other, root=Root(), layout=LAYOUT).config) > 1, "another release"
    monkeypatch.setattr(releases, "first", lambda patterns, *, root, release: None)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("", "", RELEASE, "", "")))
    found = releases.options_of(RELEASE, root=Root(), layout=LAYOUT)
    assert found == {"CONFIG_EXT4_FS": "y"}
