# SPDX-License-Identifier: GPL-2.0-or-later
"""The facts of architectures, from distros/linux/architectures.toml, which explains them."""

from __future__ import annotations

import functools
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from ...core.errors import KdumpInitrdError
from ...core.resources import shipped
from ...core.root import Root
from ...core.schema import (
    Table,
    check,
    flag,
    one_of,
    relative,
    some,
    text,
    texts,
    whole,
    word,
)
from ...core.toml import Document
from . import profilefile

_FILE = "linux/architectures.toml"
#: The table of what holds for every architecture that does not say otherwise.
_COMMON = "common"


class Kind(str, Enum):
    """The kinds of kernel images; an Image that gzip has packed whole is an Image as well."""

    BZIMAGE = "bzImage"
    IMAGE = "Image"
    ZBOOT = "EFI zboot"
    EFI = "EFI program"
    VMLINUX = "vmlinux"
    ZIMAGE = "zImage"


@dataclass(frozen=True)
class Image:
    """How a kernel image is told from others, and what its header tells.

    ``bzimage`` says that it has x86's header, ``pe`` is Machine of PE/COFF, ``magic`` are the bytes
    from ``magic_at`` on of an image of ``kind``; ``loaded`` are the kinds that kexec loads as a
    capture kernel. ``cmdline`` are the bytes of the longest command line, without the NUL. At
    ``cmdline_at``, ``size_at`` and ``release_at`` a header has, as 64-bit numbers, that with the
    NUL, the bytes of memory that the kernel needs, and the place of its release; at ``page_at`` it
    has the page size, in bits 1 and 2: 4, 16 or 64 KiB. 0 and b"" are for none.
    """

    cmdline: int
    loaded: tuple[Kind, ...]
    kind: Kind = Kind.IMAGE
    bzimage: bool = False
    pe: int = 0
    magic: bytes = b""
    magic_at: int = 0
    size_at: int = 0
    cmdline_at: int = 0
    release_at: int = 0
    page_at: int = 0


@dataclass(frozen=True)
class Reservation:
    """What a capture kernel takes of the reserved memory, in bytes.

    ``kernel`` is its unpacked image if the file does not tell, ``runtime`` what it takes besides,
    and ``pages`` how many pages in addition, whatever their size; ``freed`` is what it gives back
    before the saver starts, and ``page`` its page size if neither image nor configuration tells.
    ``grows`` are pairs: from which size of memory on how much more is reserved, the smallest first.
    """

    kernel: int
    runtime: int
    pages: int
    freed: int
    page: int
    grows: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class OldCall:
    """What a good dump needs if kexec -c loads: then kexec writes the headers of /proc/vmcore.

    ``symbol`` is the one in /proc/kallsyms by which kexec finds the kernel; only a kernel with
    ``symbols_option`` lists it. A kexec that leaves nothing out contains ``mark``; with others,
    dumps lack what ``lacks`` says, and ``remedy`` says what to do. "" and b"" are for nothing.
    """

    symbol: str = ""
    symbols_option: str = ""
    mark: bytes = b""
    lacks: str = ""
    remedy: str = ""

    def by(self, kexec: bytes) -> OldCall:
        """Return what is needed with the program ``kexec``, of which these are the bytes."""
        return replace(self, lacks="") if self.mark in kexec else self


@dataclass(frozen=True)
class Architecture:
    """One architecture. ``name`` is what uname -m usually says, ``uname`` are all such names.

    ``elf`` is e_machine, ``bits`` 32 or 64, ``order`` struct's sign of the byte order.
    ``libraries`` are folders below / and /usr, ``cmdline`` words of the capture kernel's command
    line, ``kexec`` the options of kexec that say how it loads, in the order in which they are
    tried: "-s" or "-c" is the first word of each.
    """

    name: str
    elf: int
    bits: int
    order: str
    uname: tuple[str, ...]
    libraries: tuple[str, ...]
    cmdline: tuple[str, ...]
    kexec: tuple[str, ...]
    image: Image
    reservation: Reservation
    old_call: OldCall

    def is_called(self, machine: str) -> bool:
        """Tell whether ``machine`` is what ``uname -m`` says on it."""
        return any(
            machine.startswith(each[:-1]) if each.endswith("*") else machine == each
            for each in self.uname
        )


@dataclass(frozen=True)
class Facts:
    """What the file says; ``known`` are the architectures by their names."""

    document: Document
    common: Mapping[str, Any]
    known: Mapping[str, Architecture]

    def named(self, name: str) -> Architecture:
        """Return the architecture of that name; an unknown one has what holds for all."""
        return self.known.get(name) or self._unknown(name, elf=0, bits=0, order="<")

    def of_elf(self, elf: int, *, bits: int, order: str, otherwise: str = "") -> Architecture:
        """Return the architecture of an ELF header; ``order`` is struct's sign of its byte order.

        An unknown one is called ``otherwise``, or by its number.
        """
        for each in self.known.values():
            if (each.elf, each.bits, each.order) == (elf, bits, order):
                return each
        return self._unknown(otherwise or str(elf), elf=elf, bits=bits, order=order)

    def origin(self, name: str, key: str) -> str:
        """Return "FILE:LINE" of a key of an architecture."""
        return self.document.where(name, key)

    def _unknown(self, name: str, *, elf: int, bits: int, order: str) -> Architecture:
        identity = {"elf": elf, "bits": bits, "byte_order": order, "uname": (name,)}
        return _architecture(name, {**self.common, **identity}, self.common)


@functools.cache
def facts() -> Facts:
    """Return what our own file says; raises KdumpInitrdError for a broken one."""
    return read(shipped("distros") / _FILE)


def runs_here(name: str) -> bool:
    """Tell whether this host runs programs of the architecture of that name."""
    return facts().named(name).is_called(platform.machine())


def read(path: Path) -> Facts:
    """Read such a file; raises KdumpInitrdError with the line of what is wrong."""
    document = profilefile.read(path, root=Root())
    tables = check(document, _DECLARED)
    common = tables.pop(_COMMON)
    known: dict[str, Architecture] = {}
    for name, table in tables.items():
        known[name] = _architecture(name, {**common, **table}, common)
        if len({(each.elf, each.bits, each.order) for each in known.values()}) < len(known):
            place = document.where(name, "elf")
            raise KdumpInitrdError(f"{place}: {name}.elf: another architecture has these already")
    return Facts(document, common, known)


def _architecture(name: str, facts: Mapping[str, Any], common: Mapping[str, Any]) -> Architecture:
    rest = {key: facts[key] for key in ("elf", "bits", "uname", "libraries", "cmdline", "kexec")}
    return Architecture(
        name=name,
        order=facts["byte_order"],
        image=Image(**{**common["image"], **facts["image"]}),
        reservation=Reservation(**{**common["reservation"], **facts["reservation"]}),
        old_call=OldCall(**facts.get("old_call", {})),
        **rest,
    )


def _order(said: str) -> str:
    return {"little": "<", "big": ">"}[one_of("little", "big")(said)]


def _bits(value: object) -> int:
    if value not in (32, 64):
        raise ValueError("expected 32 or 64")
    return whole(value)


def _magic(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError("expected hexadecimal digits, two per byte") from None


def _growth(said: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)G\+(\d+)M", said)
    if match is None:
        raise ValueError("expected a size and what is added from there on, as 64G+256M")
    return int(match[1]) << 30, int(match[2]) << 20


def _calls(value: object) -> tuple[str, ...]:
    calls: tuple[str, ...] = texts()(value)
    names = [call.split(" ")[0] for call in calls]
    if not names or len(set(names)) < len(names) or {*names} - {"-s", "-c"}:
        raise ValueError('expected options of kexec that begin with "-s" or "-c", each once')
    return calls


_IDENTITY = {"elf": whole, "bits": _bits, "byte_order": text(_order), "uname": texts(word)}
_KIND = one_of(*(kind.value for kind in Kind))
_NUMBERS = ("cmdline", "cmdline_at", "size_at", "release_at", "page_at", "magic_at", "pe")
_IMAGE = {
    **dict.fromkeys(_NUMBERS, whole),
    "bzimage": flag,
    "magic": text(_magic),
    "kind": text(lambda said: Kind(_KIND(said))),
    "loaded": some(texts(lambda said: Kind(_KIND(said)))),
}
_RESERVATION = {
    **dict.fromkeys(("kernel", "runtime", "pages", "freed", "page"), whole),
    "grows": texts(_growth),
}
_OLD_CALL = {
    **dict.fromkeys(("symbol", "symbols_option"), text(word)),
    "mark": text(str.encode),
    **dict.fromkeys(("lacks", "remedy"), text()),
}
_SHARED = {
    "libraries": some(texts(relative)),
    "cmdline": texts(word),
    "kexec": _calls,
}
_DECLARED = Table(
    {_COMMON: Table({
        **_SHARED,
        "image": Table(_IMAGE, needed=("cmdline", "loaded")),
        "reservation": Table(_RESERVATION, needed=tuple(_RESERVATION)),
    }, needed=(*_SHARED, "image", "reservation"))},
    others=Table({
        **_IDENTITY, **_SHARED, "image": Table(_IMAGE), "reservation": Table(_RESERVATION),
        "old_call": Table(_OLD_CALL),
    }, needed=tuple(_IDENTITY)),
    needed=(_COMMON,),
)  # fmt: skip
