# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel addresses of every port, against what its MMU makes of the same tables: sound and wild."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kdump_initrd.saver.arch import of_elf
from kdump_initrd.saver.low.failure import SaverError

from .mmu import Machine
from .port import Port
from .ports import PORTS
from .ports.aarch64 import Aarch64

#: Those whose tests know what their MMU does.
NAMES = [name for name, port in PORTS.items() if type(port).resolve is not Port.resolve]
AARCH64 = {name: port for name, port in PORTS.items() if isinstance(port, Aarch64)}


def translator(machine: Machine) -> Callable[[int], tuple[int, int]]:
    return of_elf(machine.port.machine.number).translator(machine.memory, machine.vmcoreinfo())


def some(machine: Machine, count: int = 200) -> list[int]:
    """Addresses of all that is mapped, of what is beside it, and any between."""
    first, end = machine.port.spare(machine.layout)
    found = [machine.rng.randrange(first, end) for _ in range(count)]
    for start, (_, size) in machine.places.items():
        found += [start, start + size - 1, start + machine.rng.randrange(size)]
        found += [at for at in (start - 1, start + size) if first <= at < end]
    machine.rng.shuffle(found)
    return found


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", NAMES)
def test_what_is_mapped_is_found(name: str, seed: int) -> None:
    machine = Machine(name, seed, "kaslr" if seed else "")
    machine.map_some(60)
    machine.write()
    locate = translator(machine)
    assert len(machine.places) > 10
    for address in some(machine):
        inside = [
            (target + address - start, start + size - address)
            for start, (target, size) in machine.places.items()
            if start <= address < start + size
        ]
        assert machine.walk(address) == (inside[0] if inside else None)
        if inside:
            assert locate(address) == inside[0]
        else:
            with pytest.raises(SaverError, match=f"virtual address {address:#x} is not in"):
                locate(address)


@pytest.mark.parametrize("name", NAMES)
def test_the_direct_map_and_the_image_are_found(name: str) -> None:
    machine = Machine(name, 0, "kaslr")
    machine.write()
    locate, port, layout = translator(machine), machine.port, machine.layout
    for physical in (layout.base, layout.base + 12345, layout.base + layout.tables - 1):
        found, span = locate(port.direct(layout) + physical)
        assert (found, span > 0) == (physical, True)
    for skip in (0, 0x10000, (2 << 20) - 1):
        assert locate(port.text(layout) + skip)[0] == layout.base + skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_address_of_the_kernel_is_said(name: str) -> None:
    machine = Machine(name, 0)
    machine.write()
    locate = translator(machine)
    for address in (0, 4096, 0x7FFFFFFFF000, 1 << 64, (1 << 64) + 0x7FFFFFFFF000, -1, -4096):
        if address >> 32 or machine.port.machine.word == 8:
            with pytest.raises(SaverError, match="is not in the dump"):
                locate(address)


@pytest.mark.parametrize("name", list(AARCH64))
def test_tags_and_signatures_are_taken_off(name: str) -> None:
    machine = Machine(name, 7)
    machine.map_some(20)
    machine.write()
    locate = translator(machine)
    del machine.info["NUMBER(KERNELPACMASK)"]
    unsigned = translator(machine)
    actual = AARCH64[name].actual
    direct = machine.port.direct(machine.layout) + machine.layout.base
    for address in [*machine.places, direct]:
        wanted = locate(address)
        tag = machine.rng.randrange(1 << 8) << 56
        tagged = address & (1 << 56) - 1 | tag
        assert locate(tagged) == unsigned(tagged) == wanted
        sign = machine.rng.randrange(1 << 55) & -(1 << actual)
        signed = address & (1 << actual) - 1 | 1 << 55 | sign | tag
        assert locate(signed) == wanted
        if signed | 0xFF << 56 != address:
            with pytest.raises(SaverError):
                unsigned(signed)


def leading(machine: Machine) -> list[bytes]:
    """Entries that lead to tables, most often, whichever level they are in."""
    rng, shape, found = machine.rng, machine.shape, []
    pages = list(machine.memory.pages)
    for number in range(60):
        leads = rng.choice((machine.root, rng.choice(pages) * 4096))
        table = shape.table(leads, 1)
        odd = (rng.getrandbits(64), table ^ 1 << rng.randrange(64), shape.leaf(leads, 0))
        found.append(
            machine.raw((odd[number % 3] if number % 5 == 0 else table) % (1 << 8 * shape.size))
        )
    return found


def some_entries(machine: Machine, raw: bytearray) -> bytes:
    """A table in which some of the entries that lead somewhere lead elsewhere."""
    size, found = machine.shape.size, leading(machine)
    words = [bytes(raw[at : at + size]) for at in range(0, len(raw), size)]
    chosen = [any(word) and machine.rng.random() < 0.3 for word in words]
    return b"".join(machine.rng.choice(found) if new else word for word, new in zip(words, chosen))


#: How page tables can be wild, by what becomes of each page of them.
WILD: dict[str, Callable[[Machine, bytearray], bytes]] = {
    "ones": lambda machine, raw: b"\xff" * len(raw),
    "random": lambda machine, raw: machine.rng.randbytes(len(raw)),
    "to themselves": lambda machine, raw: (
        machine.raw(machine.shape.table(machine.root, 1)) * (len(raw) // machine.shape.size)
    ),
    "to each other": lambda machine, raw: b"".join(
        machine.rng.choices(leading(machine), k=len(raw) // machine.shape.size)
    ),
    "here and there": some_entries,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", list(WILD))
@pytest.mark.parametrize("name", NAMES)
def test_wild_tables_are_an_error_or_what_the_mmu_makes_of_them(name: str, how: str) -> None:
    for seed in range(2):
        machine = Machine(name, seed)
        machine.map_some(30)
        machine.write()
        first = machine.memory.read_physical(machine.root, machine.shape.size)
        for page, raw in machine.memory.pages.items():
            if page not in machine.data:
                raw[:] = WILD[how](machine, raw)
        # On s390x it tells what kind of table that is; the MMU knows by a register.
        machine.memory.write(machine.root, first)
        addresses = some(machine)
        try:
            locate = translator(machine)
        except SaverError as error:  # where the tables lead back to themselves
            assert machine.port.machine.word == 4
            assert str(error).startswith("no page tables are where SYMBOL(swapper_pg_dir)=")
            continue
        machine.memory.reads = 0
        for address in addresses:
            wanted = machine.walk(address)
            try:
                assert locate(address) == wanted
            except SaverError:
                assert wanted is None
        # Those of the walk that it is compared with are in this, too.
        assert machine.memory.reads <= 2 * len(machine.shape.levels) * len(addresses)
