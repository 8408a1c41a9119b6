# SPDX-License-Identifier: GPL-2.0-or-later
"""Initrds and kernel images that tests make: a writer of newc, other people's packers, headers."""

from __future__ import annotations

import stat
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.compression import Codec
from kdump_initrd.image.archive.cpio import Packing, write_image
from kdump_initrd.image.manifest import MANIFEST, Manifest
from kdump_initrd.image.tree import Tree

#: The programs that mkinitramfs and dracut call, with options that a kernel can undo.
PACK = {
    Codec.NONE: ["cat"],
    Codec.GZIP: ["gzip", "-nc"],
    Codec.BZIP2: ["bzip2", "-c"],
    Codec.LZMA: ["xz", "--format=lzma", "-c"],
    Codec.XZ: ["xz", "--check=crc32", "-c"],
    Codec.LZO: ["lzop", "-c"],
    Codec.LZ4: ["lz4", "-lqc"],
    Codec.ZSTD: ["zstd", "-qc"],
}
UNPACK = {codec: [argv[0], "-dc"] for codec, argv in PACK.items()}
UNPACK |= {Codec.NONE: ["cat"], Codec.LZMA: ["xz", "--format=lzma", "-dc"]}


def pipe(argv: list[str], data: bytes, *, cwd: Path | None = None) -> bytes:
    """Return what a program makes of ``data``; it must not fail."""
    done = subprocess.run(argv, input=data, capture_output=True, timeout=60, check=True, cwd=cwd)
    return done.stdout


@dataclass(frozen=True)
class Item:
    """A member of an archive: its path, st_mode with the type, and its body."""

    path: str
    mode: int
    body: bytes = b""


def folder(path: str, mode: int = 0o755) -> Item:
    """Return a folder."""
    return Item(path, stat.S_IFDIR | mode)


def file(path: str, body: bytes = b"", mode: int = 0o644) -> Item:
    """Return a file."""
    return Item(path, stat.S_IFREG | mode, body)


def link(path: str, target: str) -> Item:
    """Return a symbolic link."""
    return Item(path, stat.S_IFLNK | 0o777, target.encode())


def newc(items: Iterable[Item], *, padding: int = 512) -> bytes:
    """Return an archive, padded as GNU cpio does, or said (cpio(5), "New ASCII Format")."""
    out = bytearray()
    for number, item in enumerate((*items, Item("TRAILER!!!", 0)), 1):
        name = item.path.encode() + b"\0"
        fields = (number, item.mode, 0, 0, 1, 0, len(item.body), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += bytes(-len(out) % 4) + item.body
        out += bytes(-len(out) % 4)
    return bytes(out + bytes(-len(out) % padding))


#: In front of a kernel's initrd proper, where the firmware package of a processor is installed.
#: lsinitramfs starts two programs for each four bytes of padding.
EARLY = newc([folder("kernel"), folder("kernel/x86"), file("kernel/x86/microcode.bin", b"x" * 99)],
             padding=4)  # fmt: skip
ORDER = b'/scripts/init-top/udev "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n'
INITRAMFS_TOOLS = (
    folder("."), folder("usr"), folder("usr/bin", 0o711), folder("usr/lib"),
    link("bin", "usr/bin"), link("lib", "usr/lib"), link("kdump", "/usr/lib"),
    folder("conf"), file("conf/initramfs.conf", b"MODULES=most\n"), folder("scripts"),
    folder("scripts/init-top", 0o750), file("scripts/init-top/ORDER", ORDER, 0o640),
    file("scripts/init-top/udev", b"#!/bin/sh\n", 0o755), file("scripts/functions", b"# shell\n"),
    file("usr/bin/sh", b"\x7fELF", 0o755), file("usr/bin/big", bytes(range(256)) * 256, 0o755),
    file("init", b"#!/bin/sh\n", 0o755),
)  # fmt: skip
DRACUT = (
    folder("usr"), folder("usr/lib"), folder("usr/lib/dracut"), folder("usr/lib/dracut/hooks"),
    folder("usr/lib/systemd"), file("usr/lib/systemd/systemd", b"\x7fELF", 0o755),
    file("usr/lib/dracut-lib.sh", b"# shell\n"), link("lib", "usr/lib"), folder("usr/bin"),
    link("bin", "usr/bin"), link("init", "usr/lib/systemd/systemd"),
)  # fmt: skip
DRACUT_VAR = (
    folder("usr"), folder("usr/lib"), folder("usr/lib/dracut"), folder("var"), folder("var/lib"),
    folder("var/lib/dracut"), folder("var/lib/dracut/hooks"),
    folder("var/lib/dracut/hooks/pre-udev", 0o700), file("usr/lib/dracut-lib.sh", b"# shell\n"),
    link("lib", "usr/lib"), file("init", b"#!/bin/sh\n", 0o755),
)  # fmt: skip


def write_base(path: Path, items: Iterable[Item] = INITRAMFS_TOOLS, codec: Codec = Codec.ZSTD,
               *, before: bytes = b"", behind: bytes = b"") -> Path:  # fmt: skip
    """Write an initrd of one packed segment, with something before and behind it, if said."""
    path.write_bytes(before + pipe(PACK[codec], newc(items)) + behind)
    return path


def bzimage(release: str = "6.1.0-test", *, flags: int = 1, protocol: int = 0x020F,
            cmdline: int = 2047, relocatable: int = 1) -> bytes:  # fmt: skip
    """Return what begins like an x86 kernel (Documentation/arch/x86/boot.rst)."""
    data = bytearray(1 << 17)
    data[0x1FE:0x206] = b"\x55\xaa\xeb\x6aHdrS"
    struct.pack_into("<H", data, 0x206, protocol)
    struct.pack_into("<H", data, 0x20E, 0x3000)
    data[0x234] = relocatable
    struct.pack_into("<H", data, 0x236, flags)
    struct.pack_into("<I", data, 0x238, cmdline)
    struct.pack_into("<I", data, 0x260, 48 << 20)
    text = release.encode() + b" (builder@host) #1 SMP\0"
    data[0x3200 : 0x3200 + len(text)] = text
    return bytes(data)


def write_capture(path: Path, *, kernel: str = "6.1.0-test", machine: str = "x86_64",
                  cmdline: str = "panic=10 nr_cpus=1", kind: str = "capture",
                  modules: tuple[str, ...] = ()) -> Path:  # fmt: skip
    """Write a small image of ours that says of itself what is asked for."""
    manifest = Manifest(kind, "0", kernel=kernel, machine=machine, cmdline=cmdline, modules=modules)
    tree = Tree()
    tree.add_content(MANIFEST, manifest.to_json().encode(), why="what this image is")
    tree.add_content("init", b"#!/bin/sh\n", why="the first process", mode=0o755)
    write_image(tree, path, Packing(Codec.ZSTD, 0), force=True)
    return path
