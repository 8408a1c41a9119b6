# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the root of a system: small files by the right names, the same on every machine."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kdump_initrd.core.root import Root

from ..unit.elfwriter import AARCH64, X86_64, write_elf
from ..unit.initrdwriter import bzimage, newc
from ..unit.pythons import write_stdlib
from .kowriter import write_modules
from .systems import System

ROOT_UUID = "UUID=0b5e6f4e-8a53-4c3d-9a57-7d8a3f6c1e02"
LOADERS = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}


@dataclass(frozen=True)
class Binary:
    """A program or a library: its folder where nothing is merged, and the libraries it needs."""

    folder: str
    needs: tuple[str, ...] = ()


_LIBRARIES: Mapping[str, Binary] = {
    "libc.so.6": Binary("", ("LOADER",)),
    "libm.so.6": Binary(""),
    "libtinfo.so.6": Binary(""),
    "libblkid.so.1": Binary(""),
    "libmount.so.1": Binary("", ("libblkid.so.1",)),
    "libdevmapper.so.1.02": Binary("", ("libm.so.6",)),
    "libext2fs.so.2": Binary(""),
    "libcrypto.so.3": Binary("usr"),
    "liblzma.so.5": Binary("usr"),
    "libffi.so.8": Binary("usr"),
}
_MOUNT = ("libmount.so.1", "libblkid.so.1")
_PROGRAMS: Mapping[str, Binary] = {
    "bash": Binary("bin", ("libtinfo.so.6",)),
    **{name: Binary("bin") for name in ("cat", "ln", "mkdir", "readlink", "rm", "sleep", "sync")},
    **{name: Binary("usr/bin") for name in ("env", "od", "timeout", "tr")},
    **{name: Binary("bin", _MOUNT) for name in ("mount", "umount")},
    **{name: Binary("sbin", ("libblkid.so.1",)) for name in ("blkid", "findfs")},
    "switch_root": Binary("sbin"),
    "kmod": Binary("bin", ("liblzma.so.5", "libcrypto.so.3")),
    "kexec": Binary("sbin", ("liblzma.so.5",)),
    "mdadm": Binary("sbin"),
    "lvm": Binary("sbin", ("libdevmapper.so.1.02",)),
    "dmsetup": Binary("sbin", ("libdevmapper.so.1.02",)),
    "thin_check": Binary("usr/sbin"),
    "fsck.ext4": Binary("sbin", ("libext2fs.so.2",)),
    "fsck.xfs": Binary("sbin"),
    "fsck.btrfs": Binary("sbin"),
}
#: What the busybox of a root has, sorted as in its table.
_APPLETS = ("ash", "blkid", "cat", "cpio", "date", "dd", "dmesg", "env", "findfs", "grep",
            "gunzip", "halt", "insmod", "ln", "ls", "lsmod", "mkdir", "mount", "mv", "od",
            "poweroff", "ps", "readlink", "reboot", "rm", "setsid", "sh", "sleep", "stat",
            "switch_root", "sync", "timeout", "tr", "umount", "vi")  # fmt: skip
_FIRMWARE = b"firmware\n" * 9
_TABLES = {"etc/lvm/lvm.conf": b"devices {\n}\n", "etc/mdadm.conf": b"HOMEHOST <system>\n"}
#: Texts of the root that an image may have as they are.
COPIED = frozenset((_FIRMWARE, *_TABLES.values()))
_CONFIG = ("CONFIG_CRASH_DUMP=y\nCONFIG_PROC_VMCORE=y\nCONFIG_RD_GZIP=y\nCONFIG_RD_XZ=y\n"
           "{}# CONFIG_RD_LZ4 is not set\n")  # fmt: skip


def build(root: Path, system: System) -> Path:
    """Build the root of ``system`` in the new folder ``root`` and return it."""
    root.mkdir(parents=True)
    maker = _Maker(root, system)
    maker.lay_out()
    maker.libraries()
    maker.programs()
    maker.python()
    maker.kernel()
    maker.tables()
    return root


class _Maker:
    """The parts of a root, written into it."""

    def __init__(self, root: Path, system: System) -> None:
        self._root = root
        self._system = system
        self._machine = AARCH64 if system.aarch64 else X86_64
        self._loader = LOADERS[system.machine]

    def lay_out(self) -> None:
        """Make the folders that are links in a merged root."""
        layout = self._system.layout
        for name in ("bin", "sbin", "lib", "lib64"):
            (self._root / "usr" / name).mkdir(parents=True)
            if layout.merged:
                (self._root / name).symlink_to(f"usr/{name}")
            else:
                (self._root / name).mkdir()
        if layout.one_bin:
            self._link("usr/sbin", "bin")
        if layout.libraries == "lib":
            self._link("usr/lib64", "lib")

    def libraries(self) -> None:
        """Write the C library with its loader, and the others."""
        folder = self._system.layout.libraries
        name = PurePosixPath(self._loader).name
        own = self._elf(f"{folder}/{name}", soname=name)
        loader = self._path(self._loader)
        if loader != own:
            loader.symlink_to(PurePosixPath("/", folder, name))
        libraries = {**_LIBRARIES, **{name: Binary("usr") for name in self._system.libraries}}
        for each, made in libraries.items():
            needs = tuple(name if need == "LOADER" else need for need in made.needs)
            needs = needs if each == "libc.so.6" else (*needs, "libc.so.6")
            self._elf(f"{made.folder}/{folder}/{each}".lstrip("/"), *needs, soname=each)

    def programs(self) -> None:
        """Write the tools, and the shells."""
        for name, made in _PROGRAMS.items():
            self._program(f"{made.folder}/{name}", *made.needs)
        if self._system.dash:
            self._program("bin/dash")
        self._path("bin/sh").symlink_to("dash" if self._system.dash else "bash")
        kmod = self._path("bin/kmod").relative_to(self._root)
        self._path("sbin/insmod").symlink_to(Path("/", kmod))
        if self._system.busybox:
            table = b"\0" + b"".join(name.encode() + b"\0" for name in _APPLETS)
            if self._system.static:
                self._elf(self._system.busybox)
            else:
                self._program(self._system.busybox, "libm.so.6")
            with self._path(self._system.busybox).open("ab") as file:
                file.write(table)

    def python(self) -> None:
        """Write an interpreter in a library of its own, its modules, and ctypes with libffi."""
        layout, minor = self._system.layout, self._system.python
        shared = f"libpython3.{minor}.so.1.0"
        self._elf(f"usr/{layout.libraries}/{shared}", "libm.so.6", "libc.so.6", soname=shared)
        self._program(f"usr/bin/python3.{minor}", shared)
        self._path("usr/bin/python3").symlink_to(f"python3.{minor}")
        stdlib = self._path(f"usr/{layout.python}/python3.{minor}")
        write_stdlib(stdlib)
        tag = f"cpython-3{minor}-{self._system.machine}-linux-gnu"
        inside = stdlib.relative_to(self._root) / f"lib-dynload/_ctypes.{tag}.so"
        self._elf(str(inside), "libffi.so.8", "libc.so.6")

    def kernel(self) -> None:
        """Write the kernel, its configuration, modules and firmware, and the initrd."""
        system = self._system
        folder = "usr/lib" if system.layout.merged else "lib"
        modules = self._path(f"{folder}/modules/{system.release}")
        modules.mkdir(parents=True)
        write_modules(
            modules,
            suffix=system.modules,
            index=system.index,
            built_in=system.built_in,
            machine=self._machine,
        )
        firmware = self._path(f"{folder}/firmware/ql2400_fw.bin")
        firmware.parent.mkdir()
        firmware.write_bytes(_FIRMWARE)
        image = arm64_image(system.release) if system.aarch64 else bzimage(system.release)
        self._write(system.kernel, image)
        if system.config:
            zstd = "CONFIG_RD_ZSTD=y\n" if system.zstd else ""
            self._write(system.config, _CONFIG.format(zstd).encode())
        self._write(system.initrd, newc(system.base))

    def tables(self) -> None:
        """Write os-release and the other tables of an administrator or a package."""
        fstab = f"{ROOT_UUID} / {self._system.fstype} defaults 0 1\n"
        texts = {
            "usr/lib/os-release": self._system.os_release.encode(),
            "etc/fstab": fstab.encode(),
            **_TABLES,
            **{name: text.encode() for name, text in self._system.files},
        }
        for name, data in texts.items():
            self._write(name, data)
        self._link("etc/os-release", "../usr/lib/os-release")

    def _path(self, name: str) -> Path:
        """Return a path of the root whose folder is free of links."""
        return Root(self._root).place(name)

    def _write(self, name: str, data: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def _link(self, name: str, target: str) -> None:
        path = self._root / name
        if path.is_dir():
            path.rmdir()
        path.symlink_to(target)

    def _elf(self, name: str, *needed: str, soname: str | None = None) -> Path:
        return write_elf(self._path(name), needed, machine=self._machine, soname=soname)

    def _program(self, name: str, *needed: str) -> None:
        path = write_elf(
            self._path(name),
            (*needed, "libc.so.6"),
            machine=self._machine,
            interpreter=self._loader,
        )
        path.chmod(0o755)


def arm64_image(release: str) -> bytes:
    """Return what begins like an arm64 kernel (Documentation/arch/arm64/booting.rst)."""
    data = bytearray(1 << 17)
    data[0:2] = b"MZ"
    struct.pack_into("<Q", data, 16, 48 << 20)
    data[0x38:0x3C] = b"ARM\x64"
    text = f"Linux version {release} (builder@host) #1 SMP\0".encode()
    data[0x1000 : 0x1000 + len(text)] = text
    return bytes(data)
