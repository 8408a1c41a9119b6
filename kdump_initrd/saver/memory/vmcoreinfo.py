# SPDX-License-Identifier: GPL-2.0-or-later
"""VMCOREINFO: what the crashed kernel says of itself, as KEY=VALUE lines."""

from __future__ import annotations

from ..low.failure import SaverError
from .reader import Memory

#: Fields of struct new_utsname, each a C string of 65 bytes (include/uapi/linux/utsname.h).
UTS_FIELDS = ("sysname", "nodename", "release", "version", "machine", "domainname")
UTS_LENGTH = 65
_PAGE_SIZES = range(12, 19)
#: A crash time beyond the year 9999 is damage.
_MAX_TIME = 253402300799


class VmcoreInfo:
    """The keys of a VMCOREINFO text. A key that is missing or has no proper value gives None.

    As in Linux (include/linux/vmcore_info.h), SYMBOL and KERNELOFFSET are hexadecimal, NUMBER is
    decimal or has 0x in front, and the others are decimal.
    """

    def __init__(self, text: bytes) -> None:
        self._values: dict[str, str] = {}
        for line in text.decode("ascii", "replace").split("\n"):
            key, equals, value = line.partition("=")
            if equals:
                self._values[key] = value

    def text(self, key: str) -> str:
        """Return the value as it is; "" when there is none."""
        return self._values.get(key, "")

    def symbol(self, name: str) -> int | None:
        """Return the address of a symbol."""
        return self._integer(f"SYMBOL({name})", 16)

    def size(self, name: str) -> int | None:
        """Return the bytes of a type."""
        return self._integer(f"SIZE({name})", 10)

    def offset(self, name: str) -> int | None:
        """Return the offset in bytes of type.member."""
        return self._integer(f"OFFSET({name})", 10)

    def length(self, name: str) -> int | None:
        """Return the elements of an array."""
        return self._integer(f"LENGTH({name})", 10)

    def number(self, name: str) -> int | None:
        """Return a constant; it may be negative."""
        return self._integer(f"NUMBER({name})", 0)

    def need(self, kind: str, name: str) -> int:
        """Return the value of kind ("symbol", "size", "offset") of name; SaverError without."""
        value: int | None = getattr(self, kind)(name)
        if value is None:
            raise SaverError(f"VMCOREINFO has no {kind.upper()}({name})")
        return value

    def address(self, key: str) -> int:
        """Return the value of a key that is an address, but not a symbol; SaverError without."""
        value = self._integer(key, 16)
        if value is None:
            raise SaverError(f"VMCOREINFO has no {key}")
        return value

    def page_size(self) -> int | None:
        """Return the bytes of a page: a power of two from 4 to 256 KiB."""
        size = self._integer("PAGESIZE", 10)
        return size if size in [1 << shift for shift in _PAGE_SIZES] else None

    def crash_time(self) -> int | None:
        """Return the time of the panic in seconds since 1970."""
        seconds = self._integer("CRASHTIME", 10)
        return seconds if seconds is not None and 0 < seconds <= _MAX_TIME else None

    def build_id(self) -> str:
        """Return the build ID in hexadecimal digits; "" for the garbage of some stable kernels."""
        text = self.text("BUILD-ID")
        proper = len(text) >= 16 and not text.strip("0123456789abcdef")
        return text if proper else ""

    def _integer(self, key: str, base: int) -> int | None:
        text = self._values.get(key)
        if text is None or len(text) > 32:
            return None
        try:
            value = int(text, base)
        except ValueError:
            return None
        return value if -(1 << 63) <= value < 1 << 64 else None


def utsname(memory: Memory, info: VmcoreInfo) -> dict[str, str]:
    """Return the UTS_FIELDS of the crashed kernel.

    If its memory does not tell, OSRELEASE and the ELF machine stand in, and the rest is "(none)":
    libkdumpfile does not take the machine from a utsname with an empty field.
    """
    fields = dict.fromkeys(UTS_FIELDS, "(none)")
    fields.update(sysname="Linux", release=info.text("OSRELEASE"), machine=memory.abi.uname)
    try:
        address = info.need("symbol", "init_uts_ns") + info.need("offset", "uts_namespace.name")
        raw = memory.read_virtual(address, UTS_LENGTH * len(UTS_FIELDS))
    except (SaverError, OSError):
        return fields
    if not raw.startswith(b"Linux\0"):
        return fields
    for index, name in enumerate(UTS_FIELDS):
        text = raw[index * UTS_LENGTH : (index + 1) * UTS_LENGTH].partition(b"\0")[0]
        fields[name] = text.decode("ascii", "replace")
    return fields
