# SPDX-License-Identifier: GPL-2.0-or-later
"""Each architecture with keys missing, with wild values and with wild page tables: an answer, or an
error that says why, and an end.

All that the saver asks of a crash is asked in this process, without a dump: so thousands of inputs
take seconds.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from kdump_initrd.saver.arch import of_elf
from kdump_initrd.saver.crash.dmesg import log_lines
from kdump_initrd.saver.crash.facts import Crash
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.elf.elfheaders import ElfHeaders
from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.memory.reader import Memory

from . import damage
from .damage import LOG_TEXT, WILD
from .description import parse
from .filtering import Judged, expected, judge
from .layout import Layout
from .pagetables import Shape
from .ports import PORTS
from .printk import Printk
from .running import save

#: A machine of each architecture with each size of pages and kind of page tables.
NAMES = (
    "x86_64", "i386", "i386-pae", "ppc64-hash-64k", "ppc64-radix-64k", "ppc64le-hash-4k",
    "ppc64le-hash-64k", "ppc64le-radix-4k", "ppc64le-radix-64k", "aarch64-4k-39", "aarch64-4k-48",
    "aarch64-4k-52", "aarch64-16k-47", "aarch64-16k-52", "aarch64-64k-48", "aarch64-64k-52",
    "s390x", "riscv64-sv39", "riscv64-sv48", "riscv64-sv57",
)  # fmt: skip
#: The log's own keys: without one of them, there is no log.
OF_THE_LOG = {line.partition("=")[0] for line in Printk().info(0)}
#: Pieces of memory that are read for all answers together, at most.
MOST_READS = 20_000
SEEDS = pytest.mark.parametrize(
    "seed",
    [0, pytest.param(1, marks=[pytest.mark.full, pytest.mark.timeout(900)])],
)


class Machine:
    """The vmcore of a machine, and what is right for it."""

    def __init__(self, folder: Path, name: str) -> None:
        given = damage.foreign(folder, name)
        self.raw = given.raw
        self.path = folder / name
        self.path.write_bytes(given.raw)
        self.layout = parse(damage.described(name))
        start, end = given.info
        lines = given.raw[start:end].decode().splitlines()
        self.info = {key: value for key, _, value in (line.partition("=") for line in lines)}
        self.right = expected(self.layout, 31)
        #: The keys that only this architecture has, and where its page tables are.
        self.own = {*self.layout.port.info(self.layout), "SYMBOL(swapper_pg_dir)", "PAGESIZE"}
        self.tables = tables(self.layout, given.raw)


@dataclass(frozen=True)
class Answers:
    """What the filter says; the log as a dump's reader finds it, by the page tables, or b""."""

    filter: Judged
    page: int
    log: bytes


def ask(path: Path, info: Mapping[str, str], *, elf: bool = False) -> Answers:
    """Ask all of a vmcore, by a VMCOREINFO; no errors but those that are meant may come up.

    elf asks also what an ELF dump that is made from a kdump-compressed one needs.
    """
    memory = open_dump(str(path))
    limit_reads(memory)
    try:
        found = judge(memory, info, 31)
        crash, log = Crash(memory), b""
        assert crash.identity() and crash.facts(31)
        architecture = of_elf(memory.abi.machine)
        with suppress(SaverError, OSError):
            memory.read_virtual = architecture.space(memory, crash.info).read  # type: ignore
            log = b"".join(log_lines(memory, crash.info))
        if elf:
            with suppress(SaverError, OSError):
                ElfHeaders(crash, crash.source())
    finally:
        memory.close()
    return Answers(found, crash.page_size, log)


def limit_reads(memory: Memory) -> None:
    """Let reads of memory fail the test if there are too many: something has no end."""
    count, read = itertools.count(), memory.read_physical

    def limited(address: int, length: int) -> bytes:
        assert next(count) < MOST_READS
        return read(address, length)

    memory.read_physical = limited  # type: ignore[method-assign]


def check(answers: Answers) -> None:
    """Demand what is true of any answers."""
    found = answers.filter
    assert found.level in (1, 31) or "VMCOREINFO has no" in found.note
    assert (found.note == "") == (found.level == 31)
    assert "failed" not in found.note


def wrong(machine: Machine, answers: Answers) -> set[int]:
    """Return the places that are left out, but should not be, in units of 4 KiB."""
    page = machine.layout.port.page
    if answers.page == page:
        return answers.filter.left_out - machine.right
    return small(answers.filter.left_out, answers.page) - small(machine.right, page)


def small(pages: set[int], size: int) -> set[int]:
    """Return the same in pages of 4 KiB."""
    each = size // 4096
    return {pfn * each + at for pfn in pages for at in range(each)}


@pytest.fixture(scope="module", params=NAMES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("wild"), request.param)


def keys(machine: Machine, seed: int = 0) -> list[str]:
    """Return the keys to try: its own ones and the log's; all of them for one of each page size."""
    port = machine.layout.port
    alike = [
        name for name in NAMES if (type(PORTS[name]), PORTS[name].page) == (type(port), port.page)
    ]
    if seed or machine.path.name == alike[0]:
        return list(machine.info)
    return [key for key in machine.info if key in machine.own | OF_THE_LOG]


def test_without_a_key(machine: Machine) -> None:
    whole = ask(machine.path, machine.info)
    assert (whole.filter.left_out, whole.filter.level) == (machine.right, 31)
    assert whole.log == LOG_TEXT
    for key in keys(machine):
        info = {other: value for other, value in machine.info.items() if other != key}
        answers = ask(machine.path, info, elf=key in machine.own)
        check(answers)
        assert not wrong(machine, answers), key
        if key in OF_THE_LOG:
            assert (answers.log, answers.filter) == (b"", whole.filter)
        else:
            assert answers.log in (b"", LOG_TEXT), key
            # What the log is not found without, struct pages are not found without either.
            assert answers.log or answers.filter.level == 1, key


@SEEDS
def test_with_wild_values(machine: Machine, seed: int) -> None:
    rng = random.Random(f"{seed} {machine.path.name}")
    for key in keys(machine, seed):
        own = key in machine.own
        values = rng.sample(WILD, len(WILD) if seed else 1 + own)
        values += [str(rng.getrandbits(64) >> rng.randrange(64)) for _ in range(30 * seed)]
        values += ["4096", "16384", "65536"] * (key == "PAGESIZE")
        for value in values:
            answers = ask(machine.path, {**machine.info, key: value}, elf=own)
            check(answers)
            # Radix tables are the same for both sizes of pages, and vmemmap is at the same place.
            if key == "PAGESIZE" and "radix" not in machine.path.name:
                assert not wrong(machine, answers), value


def tables(layout: Layout, raw: bytes) -> list[tuple[int, int, list[int]]]:
    """Return physical address, level and entries of each page table, by the plainest walk."""
    port, shape = layout.port, layout.port.shape(layout)
    found: dict[int, tuple[int, int, list[int]]] = {}
    todo = [(layout.base + port.root, len(shape.levels) - 1)]
    while todo:
        address, level = todo.pop()
        size = shape.size << shape.levels[level][1]
        at, there = damage.physical(raw, address, address + size)[-1]
        assert there == size
        found[address] = address, level, numbers(raw[at : at + size], shape)
        for entry in found[address][2]:
            place = port.resolve(entry, level)
            if place and not place[1] and place[0] not in found:
                todo.append((place[0], level - 1))
    return list(found.values())


def numbers(raw: bytes, shape: Shape) -> list[int]:
    """Return the entries of a table."""
    order: Literal["big", "little"] = "big" if shape.big else "little"
    steps = range(0, len(raw), shape.size)
    return [int.from_bytes(raw[at : at + shape.size], order) for at in steps]


#: What an entry that leads somewhere is replaced by: from the layout, its table, that one's level,
#: and a source of random numbers.
ENTRIES: dict[str, Callable[[Layout, int, int, random.Random], int]] = {
    "its own table": lambda layout, table, level, rng: shape_of(layout).table(table, level),
    "the first table": lambda layout, table, level, rng: shape_of(layout).table(
        layout.base + layout.port.root, level
    ),
    "a table beyond memory": lambda layout, table, level, rng: shape_of(layout).table(
        far(layout), level
    ),
    "a page beyond memory": lambda layout, table, level, rng: shape_of(layout).leaf(
        far(layout), level
    ),
    "ones": lambda layout, table, level, rng: (1 << 8 * shape_of(layout).size) - 1,
    "random": lambda layout, table, level, rng: rng.getrandbits(8 * shape_of(layout).size),
}
#: Those by which nothing can be taken for a struct page that is none.
NOWHERE = {"a table beyond memory", "a page beyond memory"}


def shape_of(layout: Layout) -> Shape:
    return layout.port.shape(layout)


def far(layout: Layout) -> int:
    """Return a physical address that entries can have, and no memory."""
    return 1 << layout.port.reach - 1


@contextmanager
def damaged(machine: Machine, how: str, chosen: set[int], rng: random.Random) -> Iterator[None]:
    """Damage the page tables of some levels in the file, and mend them."""
    shape, layout = shape_of(machine.layout), machine.layout
    order: Literal["big", "little"] = "big" if shape.big else "little"
    places: list[tuple[int, int]] = []
    with machine.path.open("r+b") as file:
        for address, level, entries in machine.tables:
            if level not in chosen:
                continue
            raw = b""
            for entry in entries:
                if layout.port.resolve(entry, level):
                    entry = ENTRIES[how](layout, address, level, rng)
                raw += entry.to_bytes(shape.size, order)
            for at, size in damage.physical(machine.raw, address, address + len(raw)):
                places.append((at, size))
                file.seek(at)
                file.write(raw[:size])
        file.flush()
        yield
        for at, size in places:
            file.seek(at)
            file.write(machine.raw[at : at + size])


@SEEDS
@pytest.mark.parametrize("how", list(ENTRIES))
def test_with_wild_page_tables(machine: Machine, how: str, seed: int) -> None:
    rng = random.Random(f"{seed} {machine.path.name}")
    count = len(shape_of(machine.layout).levels)
    every = set(range(count))
    levels = [{level} for level in every] * 9 if seed else [{rng.randrange(count)}]
    for chosen in [every, *levels]:
        with damaged(machine, how, chosen, rng):
            answers = ask(machine.path, machine.info, elf=chosen == every)
            check(answers)
            if how in NOWHERE:
                assert not wrong(machine, answers)


def test_the_saver_lowers_the_level_and_says_so(machine: Machine, tmp_path: Path) -> None:
    count = len(shape_of(machine.layout).levels)
    console = tmp_path / "console"
    with damaged(machine, "a table beyond memory", set(range(count)), random.Random(0)):
        done = save(tmp_path, machine.path, dump_level=31, console=console, dmesg_name="log")
    assert done.status == 0
    assert (done.folder / "log").read_bytes() == LOG_TEXT
    report = done.report["dump"]
    said = [line for line in console.read_text().splitlines() if line.startswith("<4>")]
    if report["level"] == 31:
        # vmemmap_list says all that page tables would.
        assert "hash" in machine.path.name and not said
        return
    (line,) = said
    assert f"dump level 31 is lowered to 1: {report['level_note']}" in line
