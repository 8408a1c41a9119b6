# SPDX-License-Identifier: GPL-2.0-or-later
"""Vmcores and dumps with a kernel log, small enough to be damaged a thousand times, and how."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.saver.formats import dumpfile

from . import flattening
from .description import parse
from .faults import FaultyWindow
from .layout import Layout
from .logged import LOG, logged
from .minireader import MiniReader
from .pagetables import LARGE
from .ports import PORTS
from .printk import Printk, Records, Text
from .running import save
from .samples import sample
from .synthetic import KINDS_OF_PAGES, build
from .vmcore import PAGE, X86_64, Core, Machine

#: (offset, bytes) of parts of a file.
Places = list[tuple[int, int]]
#: What a saver says of the log of all that follows.
LOG_TEXT = "".join(f"[    0.000000] {line}\n" for line in LOG).encode()
#: Room in VMCOREINFO for longer values.
_PAD = "PAD=" + "x" * 400
SOME_PAGES = """
    0x10+16 anon
    0x20+16 file
    0x30+8 free order=3
    0x38+8 slab order=3
    0x40+16 hugetlb-file order=4
"""
MACHINE = f"kernel 6.12\nmemory 0-11M\n{KINDS_OF_PAGES}\nset {_PAD}"
#: Ports of other architectures that are damaged: the structures of none are large.
FOREIGNERS = (
    "aarch64-4k-48", "aarch64_be-64k-52", "i386-pae", "ppc64-hash-64k", "ppc64le-radix-64k",
    "riscv64-sv39", "s390x",
)  # fmt: skip
#: Values of VMCOREINFO that have been seen nowhere.
WILD = (
    "", "0", "1", "-1", "63", "4096", "4097", "0x1000", "ffffffff81000000", "ffffffffffffffff",
    "18446744073709551615", "18446744073709551616", "-9223372036854775808", "4611686018427387904",
    "99999999999999999999999999999999", "9" * 40, "2147483648", "text", "0xdeadbeef", "1e9", "12 ",
    "\x00", "\xff\xfe", "nan", "_1_0", "ffff888000000000", "100", "1000000000", "262144", "65536",
    "30", "52",
)  # fmt: skip
#: And numbers anywhere else: sizes, addresses and what is near to them, page table entries.
_WORDS = (
    0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0xFFF, 0x1000, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 40,
    (1 << 52) - 1, 1 << 52, 1 << 63, (1 << 63) - 1, (1 << 64) - 1, 0x63, 0x83, 0xFFFFEA0000000001,
)  # fmt: skip


@dataclass(frozen=True)
class Input:
    """A file: its bytes, where its parts are by name, and the place of VMCOREINFO."""

    name: str
    raw: bytes
    parts: dict[str, Places]
    machine: Machine = X86_64

    @property
    def info(self) -> tuple[int, int]:
        """Where VMCOREINFO begins and ends, with _PAD at its end."""
        start = self.raw.index(b"OSRELEASE=")
        return start, self.raw.index(b"\n", self.raw.index(b"PAD=", start)) + 1

    def info_keys(self) -> list[str]:
        start, end = self.info
        lines = self.raw[start:end].decode().splitlines()
        return [line.partition("=")[0] for line in lines if not line.startswith("PAD=")]

    def with_info(self, changes: dict[str, str | None]) -> bytes:
        """Return the file with other values in VMCOREINFO; None is no such key."""
        start, end = self.info
        text = ""
        for line in self.raw[start:end].decode().splitlines():
            key, _, value = line.partition("=")
            new = changes.get(key, value)
            if new is not None and key != "PAD":
                text += f"{key}={new}\n"
        raw = text.encode("latin-1")[: end - start].ljust(end - start, b"\n")
        return self.raw[:start] + raw + self.raw[end:]


def core() -> Input:
    """The smallest vmcore: no struct pages, but a log."""
    vmcore = logged(sample()[0])
    assert vmcore.info is not None
    vmcore.info.append(_PAD)
    raw = vmcore.build()
    notes = PAGE, len(vmcore.notes())
    return Input("core", raw, {"headers": [(0, 64 + 56 * 5)], "notes": [notes]})


def _keys(lines: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def machine(folder: Path, text: str = MACHINE, name: str = "machine") -> Input:
    """A vmcore with every kind of page, and a log in the kernel's image."""
    layout = parse(text)
    ring = Printk(layout.port.machine)
    for line in LOG:
        ring.add(0, line.encode())
    place, vaddr = layout.base + (1 << 20), layout.place.text + (1 << 20)
    layout.sets.update(_keys(ring.info(vaddr)))
    # The padding comes last.
    layout.sets["PAD"] = layout.sets.pop("PAD")
    path = build(layout, folder / name)
    raw = bytearray(path.read_bytes())
    path.unlink()
    image = ring.image(vaddr)
    for at, size in physical(raw, place, place + len(image)):
        raw[at : at + size] = image[:size]
    return Input(name, bytes(raw), _parts(layout, bytes(raw)), layout.port.machine)


def foreign(folder: Path, name: str) -> Input:
    """The same of another architecture; name is that of a port."""
    return machine(folder, described(name), name)


def described(name: str, more: str = "") -> str:
    """Return the text of a machine of a port, with some kinds of pages: its pages may be large.

    more are further lines of the text.
    """
    page, start = PORTS[name].page, f"port {name}\n{more}\n"
    low = -(-0x50 * page // LARGE) * LARGE
    size = parse(f"{start}memory 0-64M").size
    return f"{start}memory 0-{low + size}\n{SOME_PAGES}\nset {_PAD}"


def with_log(path: Path, log: Records | Text, release: str) -> Path:
    """Write the vmcore of a machine that makedumpfile opens, with an older log, as a release."""
    layout = parse("kernel 5.10\nmemory 0-11M")
    place, vaddr = layout.base + (1 << 20), layout.place.text + (1 << 20)
    layout.sets.update(_keys(log.info(vaddr)), OSRELEASE=release)
    build(layout, path)
    raw = bytearray(path.read_bytes())
    for start, content in (
        (place, log.image(vaddr)),
        (layout.base + 0x1000 + 2 * 65, release.encode().ljust(65, b"\0")),
    ):
        for at, size in physical(raw, start, start + len(content)):
            raw[at : at + size] = content[:size]
    path.write_bytes(raw)
    return path


def _parts(layout: Layout, raw: bytes) -> dict[str, Places]:
    base, arena, page = layout.base, layout.base + LARGE, layout.port.page
    roots = layout.roots * layout.root_size
    root, tables = base + layout.port.root, -(-(arena + roots) // page) * page
    notes, *loads = _headers(raw)
    size = layout.port.page_struct
    return {
        "headers": [(0, len(Core(layout.port.machine).header(0)) + 56 * (1 + len(loads)))],
        "notes": [(notes[1], notes[3])],
        "sections": physical(raw, arena, arena + 64)
        + physical(raw, tables, tables + 2 * page)
        + physical(raw, base + 0x2000, base + 0x2200),
        "tables": physical(raw, root, root + 0x1000)
        + physical(raw, tables + 2 * page, tables + 2 * page + 8 * PAGE)
        + physical(raw, base + 0x4000, base + 0x7000),
        "struct pages": physical(
            raw, base + layout.tables + 16 * size, base + layout.tables + 0x400 * size
        ),
    }


def _headers(raw: bytes | bytearray) -> list[tuple[int, int, int, int]]:
    # Of each program header: type, file offset, physical address, bytes in the file.
    order, found = ">" if raw[5] == 2 else "<", []
    wide = raw[4] == 2
    (count,) = struct.unpack_from(order + "H", raw, 56 if wide else 44)
    for number in range(count):
        if wide:
            kind, _, offset, _, paddr, size = struct.unpack_from(
                order + "IIQQQQ", raw, 64 + 56 * number
            )
        else:
            kind, offset, _, paddr, size = struct.unpack_from(order + "5I", raw, 52 + 32 * number)
        found.append((kind, offset, paddr, size))
    return found


def physical(raw: bytes | bytearray, start: int, end: int) -> Places:
    """Return all places of a vmcore that hold a part of memory, by its addresses."""
    found = []
    for kind, offset, paddr, size in _headers(raw):
        low, high = max(start, paddr), min(end, paddr + size)
        if kind == 1 and low < high:
            found.append((offset + low - paddr, high - low))
    return found


def dump(folder: Path, source: Input, codec: str, **options: object) -> Input:
    """What becomes of a vmcore: a kdump-compressed dump, or an ELF one."""
    path = folder / f"{source.name}.in"
    path.write_bytes(source.raw)
    done = save(folder, path, dump_compress=codec, dump_level=1, directory=codec, **options)
    assert done.status == 0
    if options:
        raw = done.dump.read_bytes()
        return Input("elf", raw, {"headers": [(0, 64 + 56 * 4)], "notes": [(PAGE, 800)]})
    reader = MiniReader(done.dump, source.machine)
    page = reader.block
    data = reader.table + 24 * len(reader.second)
    parts = {
        "headers": [(0, 16), (272, 12), (408, 56), (page, 104)],
        "numbers": [(428, 16), (page + 32, 32), (page + 96, 8)],
        "notes": [(reader.notes_at, len(reader.notes))],
        "bitmaps": [(page * (1 + reader.sub_blocks), reader.table - 2 * page)],
        "descriptors": [(reader.table, data - reader.table)],
        "data": [(data, len(reader.raw) - data)],
    }
    return Input(f"{source.name} {codec}", reader.raw, parts, source.machine)


def flat(source: Input, seed: int) -> Input:
    """A dump, flattened in disorder; the parts are the heads of its records."""
    raw = flattening.flatten(flattening.cut(source.raw, random.Random(seed)))
    heads, at = [], 4096
    while raw[at : at + 16] != flattening.END:
        heads.append((at, 16))
        at += 16 + struct.unpack_from(">q", raw, at + 8)[0]
    return Input("flat", raw, {"headers": [(0, 32)], "records": [*heads, (at, 16)]})


def flip(given: Input, rng: random.Random, part: str) -> bytes:
    """Return the file with other bytes in one of its parts."""
    raw = bytearray(given.raw)
    for _ in range(rng.choice((1, 1, 2, 8))):
        start, size = rng.choice(given.parts[part])
        width = rng.choice((1, 4, 8))
        at = start + rng.randrange(size) // width * width
        value = rng.choice(_WORDS) if rng.random() < 0.5 else rng.getrandbits(64)
        new = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
        raw[at : at + width] = new[::-1] if part == "records" else new
    return bytes(raw[: len(given.raw)])


def garbage(given: Input, rng: random.Random, part: str) -> bytes:
    """Return the file with nothing but garbage in one of its parts."""
    raw = bytearray(given.raw)
    start, size = rng.choice(given.parts[part])
    raw[start : start + size] = random.Random(rng.getrandbits(32)).randbytes(size)
    return bytes(raw)


def cut(given: Input, rng: random.Random) -> bytes:
    """Return the start of the file."""
    return given.raw[: rng.randrange(len(given.raw))]


def wild(given: Input, rng: random.Random) -> bytes:
    """Return the file with other values, or none, for keys of VMCOREINFO."""
    keys = given.info_keys()
    chosen = [rng.choice(keys) for _ in range(rng.choice((1, 1, 2, 5)))]
    return given.with_info({key: rng.choice((None, *WILD)) for key in chosen})


def repeated(given: Input, rng: random.Random, part: str) -> bytes:
    """Return the file with one word of a part all over it: loops, and the same page everywhere."""
    raw = bytearray(given.raw)
    start, size = rng.choice(given.parts[part])
    at = start + rng.randrange(size) // 8 * 8
    raw[start : start + size // 8 * 8] = raw[at : at + 8].ljust(8, b"\0") * (size // 8)
    return bytes(raw[: len(given.raw)])


def bad_pages(size: int, rng: random.Random) -> tuple[int, ...]:
    """Return pages of a file that cannot be read: mostly none, or a few in a row."""
    if rng.random() < 0.8:
        return ()
    first = rng.randrange(size // PAGE + 1)
    return tuple(range(first, first + rng.choice((1, 3, 200))))


def spoil(pages: tuple[int, ...]) -> None:
    """Let the saver in this process see a file with pages that cannot be read."""
    dumpfile.Window = lambda path: FaultyWindow(path, bad_pages=pages)  # type: ignore


def any_damage(given: Input, rng: random.Random) -> tuple[str, bytes]:
    """Return what was done to a file, and its bytes."""
    kinds: dict[str, Callable[[], bytes]] = {"cut": lambda: cut(given, rng)}
    if b"PAD=" in given.raw and given.name != "flat":
        kinds["wild"] = lambda: wild(given, rng)
    name = rng.choice((*kinds, "flip", "flip", "flip", "garbage", "repeated"))
    if name in kinds:
        return name, kinds[name]()
    part = rng.choice(sorted(given.parts))
    done = {"flip": flip, "garbage": garbage, "repeated": repeated}[name](given, rng, part)
    return f"{name} {part}", done
