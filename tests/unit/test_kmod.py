# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel modules: closure, order, compression, firmware; on real modules of an installed kernel."""

from __future__ import annotations

import gzip
import logging
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core import files
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.kernel import firmware, kmod, releases
from kdump_initrd.probe.kernel.kmod import Wish
from kdump_initrd.probe.kernel.modulefile import canonical
from kdump_initrd.probe.kernel.packed import unpacked

from .debianlayout import LAYOUT
from .packing import packed
from .thiskernel import EXT4, RELEASE, ROOT


@pytest.fixture
def installed() -> releases.KernelRelease:
    return releases.find(RELEASE, root=Root(ROOT), layout=LAYOUT)


def folder(release: releases.KernelRelease) -> Path:
    """Return the folder of a kernel's modules, which it has."""
    assert release.modules is not None
    return release.modules


def names(modules: tuple[kmod.KernelModule, ...]) -> list[str]:
    return [module.name for module in modules]


def test_load_order_and_soft_dependencies(installed: releases.KernelRelease) -> None:
    found = names(kmod.closure([Wish(("fs-ext4",), "fs")], kernel=installed, root=Root(ROOT)))
    assert [name for name in found if name in EXT4][-1] == "ext4"
    assert set(EXT4) <= set(found)
    assert any(name.startswith("crc32c") for name in found), "soft dependency"
    assert len(found) == len(set(found))


def test_built_in_is_no_module(installed: releases.KernelRelease) -> None:
    wish = Wish(("virtio_console", "ext4", "proc"), "test")
    builtin = (folder(installed) / "modules.builtin").read_text().splitlines()
    name = Path(builtin[0]).stem
    found = kmod.closure([wish, Wish((name,), "test", True)], kernel=installed, root=Root(ROOT))
    assert canonical(name) not in names(found)


def test_required_and_absent_is_an_error(installed: releases.KernelRelease) -> None:
    with pytest.raises(KdumpInitrdError, match="the file: neither a module of kernel"):
        kmod.closure(
            [Wish(("fs-hfsplusplus",), "the file", True)], kernel=installed, root=Root(ROOT)
        )


def test_wanted_and_absent_is_passed_over(installed: releases.KernelRelease) -> None:
    found = kmod.closure(
        [Wish(("no_such_module", "ext4"), "set")], kernel=installed, root=Root(ROOT)
    )
    assert "ext4" in names(found)


def test_omitted_is_left_out_with_a_warning(
    installed: releases.KernelRelease, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        found = kmod.closure(
            [Wish(("ext4",), "fs")], kernel=installed, root=Root(ROOT), omit=["crc16"]
        )
    assert "crc16" not in names(found)
    assert "crc16 is omitted, but needed: fs" in caplog.text


def fake_root(tmp_path: Path, source: releases.KernelRelease, *, suffix: str, index: bool) -> Path:
    """Make a root with ext4's modules, each compressed as ``suffix`` says."""
    modules = tmp_path / "usr/lib/modules" / RELEASE
    for name in ("fs/ext4/ext4", "fs/jbd2/jbd2", "fs/mbcache", "lib/crc16"):
        dest = modules / f"kernel/{name}.ko{suffix}"
        dest.parent.mkdir(parents=True, exist_ok=True)
        dest.write_bytes(packed(suffix, (folder(source) / f"kernel/{name}.ko").read_bytes()))
    for name in ("modules.builtin", "modules.order"):
        shutil.copy(folder(source) / name, modules / name)
    if index:
        subprocess.run(["depmod", "-b", tmp_path / "usr", RELEASE], check=True)
    return tmp_path


# Debian's depmod cannot index .gz modules: none comes with an index there.
@pytest.mark.parametrize(
    ("suffix", "index"),
    [("", True), ("", False), (".xz", True), (".xz", False), (".zst", True), (".gz", False)],
)
def test_foreign_root(
    tmp_path: Path, installed: releases.KernelRelease, suffix: str, index: bool
) -> None:
    root = fake_root(tmp_path, installed, suffix=suffix, index=index)
    before = sorted(root.rglob("*"))
    release = releases.find(RELEASE, root=Root(root), layout=LAYOUT)
    found = kmod.closure([Wish(("ext4",), "fs", True)], kernel=release, root=Root(root))
    assert set(names(found)) == set(EXT4)
    last = found[-1]
    assert str(last.dest) == f"usr/lib/modules/{RELEASE}/kernel/fs/ext4/ext4.ko"
    assert last.data == (folder(installed) / "kernel/fs/ext4/ext4.ko").read_bytes()
    assert sorted(root.rglob("*")) == before, "the root is changed"


def test_aliases_and_firmware_of_modules_packed_by_gzip(
    tmp_path: Path, installed: releases.KernelRelease
) -> None:
    """Debian's modinfo cannot read those."""
    wishes = [Wish(("qla2xxx",), "hba", True)]
    plain = kmod.closure(wishes, kernel=installed, root=Root(ROOT))
    for module in plain:
        path = tmp_path / "lib/modules" / RELEASE / module.source.relative_to(folder(installed))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(module.data))
    release = releases.find(RELEASE, root=Root(tmp_path), layout=LAYOUT)
    packed_ones = kmod.closure(wishes, kernel=release, root=Root(tmp_path))
    assert {module.name: module.data for module in packed_ones} == {
        module.name: module.data for module in plain
    }
    found = kmod.aliases(packed_ones)
    assert found == kmod.aliases(plain)
    assert any(pattern.startswith("pci:v00001077d") for pattern in found["qla2xxx"])
    (tmp_path / "lib/firmware").mkdir(parents=True)
    (tmp_path / "lib/firmware/ql2400_fw.bin").write_bytes(b"firmware")
    files = firmware.find(
        packed_ones, root=Root(tmp_path), layout=("lib/firmware",), release=RELEASE
    )
    assert [str(each.dest) for each in files] == ["usr/lib/firmware/ql2400_fw.bin"]


def test_what_a_module_says_is_what_modinfo_says(installed: releases.KernelRelease) -> None:
    for module in kmod.closure([Wish(("qla2xxx", "ext4"), "x")], kernel=installed, root=Root(ROOT)):
        done = subprocess.run(
            ["modinfo", module.source], capture_output=True, text=True, check=True
        )
        said: dict[str, list[str]] = {}
        for line in done.stdout.splitlines():
            key, colon, value = line.partition(":")
            if colon and key in ("alias", "firmware", "depends", "vermagic", "softdep"):
                said.setdefault(key, []).append(value.strip())
        found = {key: [value.strip() for value in values]
                 for key, values in module.file.fields.items() if key in said}  # fmt: skip
        assert found == {key: sorted(values, key=found[key].index) for key, values in said.items()}
        assert module.file.release == RELEASE


def test_parameters_come_from_the_roots_modprobe_d(
    tmp_path: Path, installed: releases.KernelRelease
) -> None:
    root = fake_root(tmp_path, installed, suffix="", index=True)
    (root / "etc/modprobe.d").mkdir(parents=True)
    (root / "etc/modprobe.d/x.conf").write_text('options mbcache size=5 name="a b"\n')
    release = releases.find(RELEASE, root=Root(root), layout=LAYOUT)
    found = {
        m.name: m for m in kmod.closure([Wish(("ext4",), "fs")], kernel=release, root=Root(root))
    }
    assert found["mbcache"].parameters == 'size=5 name="a b"'


@pytest.mark.parametrize("suffix", [".xz", ".zst", ".gz"])
def test_damaged_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.ko{suffix}"
    whole = packed(suffix, bytes(range(256)) * 300)
    for data in (b"not compressed", whole[: len(whole) // 2], whole[:-1], b"x" + whole):
        path.write_bytes(data)
        with pytest.raises(KdumpInitrdError) as caught:
            unpacked(path)
        assert caught.value.message.startswith(f"{path}: cannot be read: "), data
        assert "\n" not in caught.value.message


@pytest.mark.parametrize("suffix", ["", ".xz", ".zst", ".gz"])
def test_more_than_anybody_wants(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FILE", 1 << 20)
    path = tmp_path / f"x.ko{suffix}"
    path.write_bytes(packed(suffix, bytes(1 << 20)))
    assert unpacked(path) == bytes(1 << 20)
    path.write_bytes(packed(suffix, bytes(1 + (1 << 20))))
    with pytest.raises(KdumpInitrdError, match=r"x\.ko.*: .*(larger|more) than 1 MB"):
        unpacked(path)


def test_firmware_that_the_root_has(
    tmp_path: Path, installed: releases.KernelRelease, caplog: pytest.LogCaptureFixture
) -> None:
    modules = kmod.closure([Wish(("qla2xxx",), "hba", True)], kernel=installed, root=Root(ROOT))
    (tmp_path / "lib/firmware").mkdir(parents=True)
    file = tmp_path / "lib/firmware/ql2400_fw.bin.xz"
    file.write_bytes(lzma.compress(b"firmware"))
    layout = ("usr/lib/firmware", "lib/firmware")
    (found,) = firmware.find(modules, root=Root(tmp_path), layout=layout, release=RELEASE)
    assert (str(found.dest), found.why) == ("usr/lib/firmware/ql2400_fw.bin", "firmware of qla2xxx")
    assert found.data == b"firmware"
    file.write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        assert firmware.find(modules, root=Root(tmp_path), layout=layout, release=RELEASE) == ()
    assert f"firmware of qla2xxx: {file}: cannot be read: " in caplog.text
