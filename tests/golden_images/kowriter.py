# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes small kernel modules: modinfo, exported and wanted symbols, no code; and their folder."""

from __future__ import annotations

import gzip
import struct
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..unit.elfwriter import X86_64
from ..unit.packing import packed

#: elf.h.
_ET_REL, _SHT_PROGBITS, _SHT_SYMTAB, _SHT_STRTAB, _STB_GLOBAL = 1, 1, 2, 3, 1
_SECTION = "<IIQQQQIIQQ"


@dataclass(frozen=True)
class Module:
    """A module: its place below the kernel's folder, the module that it needs, its modinfo.

    A module needs one other at most, so that there is one order of loading for every depmod.
    """

    folder: str
    needs: str = ""
    info: tuple[str, ...] = ()

    def path(self, name: str) -> str:
        """Return its path below the folder of the kernel's modules, without ``.ko``'s packing."""
        return f"kernel/{self.folder}/{name}.ko"


def alias(*patterns: str) -> tuple[str, ...]:
    """Return modinfo's fields for names by which a module is asked for."""
    return tuple(f"alias={pattern}" for pattern in patterns)


_PCI = "sv*sd*bc*sc*i*"
#: What the sets and file systems of the profiles ask for, as far as the roots have it.
MODULES: Mapping[str, Module] = {
    "virtio": Module("drivers/virtio"),
    "virtio_ring": Module("drivers/virtio", "virtio"),
    "virtio_pci": Module(
        "drivers/virtio", "virtio_ring", alias(f"pci:v00001AF4d*{_PCI}")),
    "virtio_blk": Module("drivers/block", "virtio_ring", alias("virtio:d00000002v*")),
    "scsi_mod": Module("drivers/scsi"),
    "sd_mod": Module("drivers/scsi", "scsi_mod", alias("scsi:t-0x00*", "block-major-8-*")),
    "nvme_core": Module("drivers/nvme/host"),
    "nvme": Module(
        "drivers/nvme/host", "nvme_core",
        alias("pci:v*d*sv*sd*bc01sc08i02*", f"pci:v0000106Bd00002001{_PCI}")),
    "qla2xxx": Module(
        "drivers/scsi/qla2xxx", "scsi_mod",
        (*alias(f"pci:v00001077d00002432{_PCI}"), "firmware=ql2400_fw.bin")),
    "hv_vmbus": Module("drivers/hv", info=alias("acpi*:VMBUS:*")),
    "crc16": Module("lib"),
    "jbd2": Module("fs/jbd2", "crc16"),
    "ext4": Module("fs/ext4", "jbd2", alias("fs-ext4")),
    "libcrc32c": Module("lib"),
    "xfs": Module("fs/xfs", "libcrc32c", alias("fs-xfs")),
    "xxhash_generic": Module("crypto", info=alias("crypto-xxhash64")),
    "raid6_pq": Module("lib/raid6"),
    "btrfs": Module("fs/btrfs", "raid6_pq", alias("fs-btrfs")),
    "md_mod": Module("drivers/md"),
    "raid1": Module("drivers/md", "md_mod", alias("md-level-1", "md-raid1")),
    "dm_mod": Module("drivers/md", info=alias("dm-mod")),
}  # fmt: skip


def module(name: str, *, release: str, machine: int = X86_64, versioned: bool = False) -> bytes:
    """Return the file of the module ``name``, of a 64-bit little-endian machine (e_machine).

    It is built for the kernel ``release``, or does not say for which; a ``versioned`` one has a
    table of its symbols' checksums, which is empty.
    """
    made = MODULES[name]
    info = (*made.info, f"name={name}", f"depends={made.needs}", "license=GPL")
    info += (f"vermagic={release} SMP mod_unload ",) if release else ()
    symbols = [(f"{name}_api", 1)]
    symbols += [(f"{made.needs}_api", 0)] if made.needs else []
    strings = b"\0" + b"".join(text.encode() + b"\0" for text, _ in symbols)
    table = bytes(24)
    at = 1
    for text, section in symbols:
        table += struct.pack("<IBBHQQ", at, _STB_GLOBAL << 4, 0, section, 0, 0)
        at += len(text) + 1
    modinfo = b"".join(field.encode() + b"\0" for field in info)
    exports = f"{name}_api".encode() + b"\0"
    # The symbols are in section 4, their names in the next.
    return _elf(
        [
            (".modinfo", _SHT_PROGBITS, modinfo, 0, 0),
            ("__ksymtab_strings", _SHT_PROGBITS, exports, 0, 0),
            (".symtab", _SHT_SYMTAB, table, 4, 24),
            (".strtab", _SHT_STRTAB, strings, 0, 0),
            *([("__versions", _SHT_PROGBITS, b"", 0, 0)] if versioned else []),
        ],
        machine,
    )


def bare(name: str, *, release: str) -> bytes:
    """Return the file of a module that needs nothing and has no symbols."""
    info = (*MODULES[name].info, f"name={name}", "depends=", f"vermagic={release} SMP ")
    modinfo = b"".join(field.encode() + b"\0" for field in info)
    return _elf([(".modinfo", _SHT_PROGBITS, modinfo, 0, 0)], X86_64)


def _elf(sections: list[tuple[str, int, bytes, int, int]], machine: int) -> bytes:
    """Return an object file of sections (name, type, bytes, sh_link, sh_entsize)."""
    names = bytearray(b"\0")
    headers = [bytes(64)]
    body = bytearray()
    for name, kind, data, link, size in [*sections, (".shstrtab", _SHT_STRTAB, b"", 0, 0)]:
        at = len(names)
        names += name.encode() + b"\0"
        body += bytes(-len(body) % 8)
        data = data if name != ".shstrtab" else bytes(names)
        fields = (at, kind, 0, 0, 64 + len(body), len(data), link, 1 if link else 0, 8, size)
        headers.append(struct.pack(_SECTION, *fields))
        body += data
    body += bytes(-len(body) % 8)
    count = len(headers)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(ident, _ET_REL, machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, count, count - 1),
    )
    return header + bytes(body) + b"".join(headers)


def write_modules(
    folder: Path,
    *,
    suffix: str,
    index: bool,
    built_in: Iterable[str] = (),
    machine: int = X86_64,
) -> None:
    """Write all modules into the folder of a kernel, packed as ``suffix`` says.

    Those that are ``built_in`` are named as such. ``index`` is depmod's, for which the folder is
    lib/modules/RELEASE of something.
    """
    inside = set(built_in)
    for name in MODULES.keys() - inside:
        path = folder / f"{MODULES[name].path(name)}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = module(name, release=folder.name, machine=machine)
        path.write_bytes(gzip.compress(data, mtime=0) if suffix == ".gz" else packed(suffix, data))
    lines = [f"{each.path(name)}\n" for name, each in MODULES.items() if name in inside]
    (folder / "modules.builtin").write_text("".join(lines))
    fields = [f"{name}.{field}\0" for name in sorted(inside) for field in MODULES[name].info]
    (folder / "modules.builtin.modinfo").write_text("".join(fields))
    order = (f"{each.path(name)}\n" for name, each in MODULES.items() if name not in inside)
    (folder / "modules.order").write_text("".join(order))
    if index:
        argv = ["depmod", "--basedir", str(folder.parents[2]), folder.name]
        subprocess.run(argv, check=True, timeout=60)
