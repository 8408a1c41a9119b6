# SPDX-License-Identifier: GPL-2.0-or-later
"""Distributions' own initrds, made by their own tools in the Debian root; kept in the cache."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from kdump_initrd.core.run import run

from .archive import Archive
from .cached import making
from .rootfs import GUEST, Root, digest
from .tools import tool

#: Seconds that a generator may take; the slowest, without a list of drivers, takes 47.
_DEADLINE = 300
_KMODS = ("virtio_pci", "virtio_blk", "ext4")
_DRACUT = ("dracut", "--force", "--no-hostonly", "--no-hostonly-cmdline", "--drivers")
_NO_SYSTEMD = "systemd systemd-initrd dracut-systemd"


class Base(str, Enum):
    """An initrd of a Debian system.

    MOST is what the kernel's package makes; KLIBC has no busybox; DEP has what the hooks find
    that this very root needs; EARLY has the script guest/kdump-early, which obeys kdump_test=
    before the root is mounted.
    """

    MOST = "most"
    KLIBC = "klibc"
    DEP = "dep"
    EARLY = "early"
    DRACUT = "dracut"
    DRACUT_NO_SYSTEMD = "dracut-no-systemd"


class Packing(str, Enum):
    """How an initrd may be stored: the kernel's decompressors, none, or behind microcode."""

    GZIP = "gzip"
    XZ = "xz"
    BZIP2 = "bzip2"
    LZOP = "lzop"
    LZ4 = "lz4"
    LZMA = "lzma"
    PLAIN = "plain"
    MICROCODE = "microcode"


@dataclass(frozen=True)
class _Conf:
    # initramfs-tools' configuration: settings, and further files by path and content.
    settings: tuple[tuple[str, str], ...]
    kmods: tuple[str, ...] = _KMODS
    scripts: dict[str, str] = field(default_factory=dict)
    on_disk: bool = False


_CONFS = {
    Base.KLIBC: _Conf((("BUSYBOX", "n"), ("MODULES", "list"))),
    # Here / is a loop device, whose driver is not what the machine needs.
    Base.DEP: _Conf((("MODULES", "dep"),), on_disk=True),
    Base.EARLY: _Conf(
        (("MODULES", "list"),),
        scripts={"scripts/init-premount/kdump-early": (GUEST / "kdump-early").read_text()},
    ),
}
_DRACUTS = {
    Base.DRACUT: (*_DRACUT, " ".join(_KMODS), "--zstd"),
    Base.DRACUT_NO_SYSTEMD: (*_DRACUT, " ".join(_KMODS), "--omit", _NO_SYSTEMD, "--gzip"),
}
#: The options are those of the kernel's own documents: it reads no other check, no other frame.
_PACKERS = {
    Packing.GZIP: ("gzip", "-nc"),
    Packing.XZ: ("xz", "-1c", "--check=crc32"),
    Packing.BZIP2: ("bzip2", "-c"),
    Packing.LZOP: ("lzop", "-c"),
    Packing.LZ4: ("lz4", "-lc9"),
    Packing.LZMA: ("lzma", "-1c"),
    Packing.PLAIN: ("cat",),
}
_MICROCODE = "kernel/x86/microcode/GenuineIntel.bin"


def base(root: Root, kind: Base) -> Path:
    """Return an initrd of the root's kernel, made if it is not in the cache; not to be written.

    Raises KdumpInitrdError with the generator's words.
    """
    release = root.kernel.release
    if kind is Base.MOST:
        return root.path / f"boot/initrd.img-{release}"
    recipe = _CONFS.get(kind) or _DRACUTS[kind]
    target = root.home / f"base-{kind.value}-{digest(recipe)}.img"
    with making(target) as missing:
        if missing:
            for old in root.home.glob(f"base-{kind.value}-????????.img*"):
                old.unlink()
            _make(root, recipe, target)
    return target


def _make(root: Root, recipe: _Conf | tuple[str, ...], target: Path) -> None:
    release = root.kernel.release
    with tempfile.TemporaryDirectory(dir=root.home, prefix="base.") as name:
        out = Path(name)
        if isinstance(recipe, _Conf):
            _configure(root, recipe, out / "conf")
            enter = root.enter_disk if recipe.on_disk else root.enter
            argv = ["mkinitramfs", "-d", "/mnt/conf", "-o", "/mnt/initrd", release]
            enter(argv, out=out, timeout=_DEADLINE)
        else:
            argv = [*recipe, "--kver", release, "/mnt/initrd"]
            root.enter(argv, out=out, timeout=_DEADLINE)
        (out / "initrd").rename(target)


def packed(root: Root, packing: Packing, kind: Base = Base.KLIBC) -> Path:
    """Return a base of initramfs-tools stored in another way; raises KdumpInitrdError."""
    source = base(root, kind)
    target = source.with_name(f"{source.name}.{packing.value}")
    with making(target) as missing:
        if missing and packing is Packing.MICROCODE:
            data = _microcode(root.home / "microcode.cpio") + source.read_bytes()
        elif missing:
            plain = run([tool("zstd"), "-dc", source], timeout=60).stdout
            data = run(_PACKERS[packing], timeout=_DEADLINE, stdin=plain).stdout
        if missing:
            new = target.with_name(f"{target.name}.new")
            new.write_bytes(data)
            new.rename(target)
    return target


def _configure(root: Root, conf: _Conf, folder: Path) -> None:
    shutil.copytree(root.path / "etc/initramfs-tools", folder)
    # Later words win: the file is read by a shell.
    with (folder / "initramfs.conf").open("a") as out:
        out.write("".join(f"{key}={value}\n" for key, value in conf.settings))
    (folder / "modules").write_text("".join(f"{kmod}\n" for kmod in conf.kmods))
    for name, text in conf.scripts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


def _microcode(scratch: Path) -> bytes:
    # What a processor's firmware package puts in front; this one is of no processor.
    archive = Archive()
    archive.content(_MICROCODE, bytes(range(256)) * 8, mode=0o644)
    archive.write(scratch)
    data = scratch.read_bytes()
    scratch.unlink()
    return data + bytes(-len(data) % 512)
