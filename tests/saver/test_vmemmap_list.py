# SPDX-License-Identifier: GPL-2.0-or-later
"""vmemmap_list of ppc64, which hash page tables need: sound, damaged, without an end."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from kdump_initrd.saver.arch import ppc64
from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.memory.vmcoreinfo import VmcoreInfo

from .description import parse
from .mmu import Bare
from .pagetables import Arena, Image, PageTables
from .ports.ppc64 import DIRECT, LIST, Ppc64

Locate = Callable[[int], tuple[int, int]]
NAMES = ["ppc64-hash-4k", "ppc64le-hash-4k", "ppc64-hash-64k", "ppc64le-hash-64k"]
#: Where the nodes of a list lie.
NODES = 0x2000000


class Listed:
    """A machine with nothing but the kernel's variables and a list."""

    def __init__(self, name: str, lines: str = "") -> None:
        self.layout = parse(f"port {name}\n{lines}\nmemory 0-64M")
        port = self.layout.port
        assert isinstance(port, Ppc64)
        self.port, self.block, self.start = port, port.block, port.vmemmap(self.layout)
        self.info = {"PAGESIZE": f"{port.page}", **port.info(self.layout)}
        self.info["SYMBOL(swapper_pg_dir)"] = f"{port.text(self.layout) + port.root:x}"
        self.memory, self.root = Bare(self.layout), self.layout.base + port.root
        self.memory.write(self.root, bytes(65536))  # page tables without an entry
        image = Image()
        port.data(self.layout, image)
        self.add(image)

    def add(self, image: Image) -> None:
        """Put into memory what an image has."""
        for address, raw in image.parts:
            self.memory.write(address, raw)

    def fill(self, places: list[tuple[int, int]]) -> list[int]:
        """Let the list have (virtual, physical address), the last one first; return its nodes."""
        image = Image()
        nodes = self.port.chain(self.layout, places, image, Arena(NODES))
        self.add(image)
        return nodes

    def write(self, address: int, number: int) -> None:
        """Write a word of the machine."""
        self.memory.write(address, self.port.machine.long(number))

    def locate(self) -> Locate:
        lines = [f"{key}={value}" for key, value in self.info.items()]
        info = VmcoreInfo("\n".join(lines).encode())
        return ppc64.ARCHITECTURE.translator(self.memory, info)


def blocks(listed: Listed, count: int, rng: random.Random) -> list[tuple[int, int]]:
    """Blocks in ascending order, some behind each other in both addresses."""
    found: list[tuple[int, int]] = []
    virtual, physical = listed.start, rng.randrange(1 << 20) << 16
    for _ in range(count):
        found.append((virtual, physical))
        virtual += listed.block * rng.choice((1, 1, 1, 2, 40))
        physical += listed.block
        if rng.random() < 0.2:
            physical = rng.randrange(1 << 30) << 16
    return found


@pytest.mark.parametrize("order", ["as boot makes it", "any"])
@pytest.mark.parametrize("name", NAMES)
def test_blocks_are_found(name: str, order: str) -> None:
    rng, listed = random.Random(name), Listed(name)
    places = blocks(listed, 200, rng)
    told = places[:]
    if order == "any":
        rng.shuffle(told)
    listed.fill(told)
    locate, size = listed.locate(), listed.block
    for start, physical in places:
        skip = rng.randrange(size)
        found, span = locate(start + skip)
        assert found == physical + skip and span >= size - skip
        # What is said to follow does.
        last = start + skip + span - 1
        assert (last // size * size, found + span - 1 - last % size) in places
    for start, _ in places:
        for other in (start - 1, start + size):
            if not any(old <= other < old + size for old, _ in places):
                with pytest.raises(SaverError, match=f"virtual address {other:#x} is not in"):
                    locate(other)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 100])
def test_a_list_in_circles_is_no_list(length: int) -> None:
    listed = Listed("ppc64-hash-64k")
    nodes = listed.fill(blocks(listed, length, random.Random(length)))
    for target in {nodes[0], nodes[-1], nodes[length // 2]}:
        # The first node that was made is the last one of the list.
        listed.write(nodes[0], DIRECT + target)
        locate = listed.locate()
        listed.memory.reads = 0
        for address in (listed.start, listed.start + 4096):
            with pytest.raises(SaverError, match="vmemmap_list has no end"):
                locate(address)
        assert listed.memory.reads < 10 + 4 * length
        assert locate(DIRECT + 4096)[0] == 4096  # that the log needs


def test_a_list_with_more_blocks_than_there_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ppc64, "_MOST", 500)
    listed = Listed("ppc64le-hash-64k")
    listed.fill(blocks(listed, 501, random.Random(1)))
    with pytest.raises(SaverError, match="vmemmap_list has no end"):
        listed.locate()(listed.start)


@pytest.mark.parametrize("name", NAMES)
def test_wild_nodes_are_an_error_or_what_is_left_of_the_list(name: str) -> None:
    for seed in range(40):
        rng, listed = random.Random(seed), Listed(name)
        places = blocks(listed, 30, rng)
        nodes = listed.fill(places)
        for _ in range(rng.choice((1, 1, 3))):
            node = rng.choice([*nodes, listed.layout.base + LIST])
            near = DIRECT + rng.choice(nodes) + rng.choice((0, 8, 4096))
            value = rng.choice((0, 1, near, rng.getrandbits(64), (1 << 64) - 1, listed.start))
            listed.write(node + rng.choice((0, 8, 16)) * (node in nodes), value)
        locate = listed.locate()
        listed.memory.reads = 0
        errors = set()
        for start, _ in places:
            try:
                found, span = locate(start)
                assert found % 4096 == 0 and span >= listed.block
            except SaverError as error:
                errors.add(str(error).partition(" 0x")[0])
        assert listed.memory.reads < 200, errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SYMBOL(mmu_vmemmap_psize)": None}, "no SYMBOL.mmu_vmemmap_psize"),
        ({"OFFSET(vmemmap_backing.phys)": None}, "no OFFSET.vmemmap_backing.phys"),
        ({"OFFSET(vmemmap_backing.phys)": "0"}, "a vmemmap_backing of 24 bytes"),
        ({"OFFSET(vmemmap_backing.virt_addr)": "20"}, "a vmemmap_backing of 24 bytes"),
        ({"SIZE(vmemmap_backing)": "2147483648"}, "a vmemmap_backing of 2147483648 bytes"),
        ({"OFFSET(mmu_psize_def.shift)": "4"}, "vmemmap is in pages of kind"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, str | None], message: str) -> None:
    listed = Listed("ppc64-hash-64k")
    listed.fill(blocks(listed, 3, random.Random(1)))
    told = {**listed.info, **change}
    listed.info = {key: value for key, value in told.items() if value is not None}
    with pytest.raises(SaverError, match=message):
        listed.locate()(listed.start)


@pytest.mark.parametrize("told", ["RADIX_MMU", "cur_cpu_spec"])
@pytest.mark.parametrize("name", ["ppc64-radix-64k", "ppc64le-hash-4k"])
def test_either_key_tells_which_tables_there_are(name: str, told: str) -> None:
    listed = Listed(name)
    for key in ("NUMBER(RADIX_MMU)", "SYMBOL(cur_cpu_spec)"):
        if told not in key:
            del listed.info[key]
    listed.fill([])
    with pytest.raises(SaverError, match="virtual address"):
        listed.locate()(listed.start)
    tables, image = PageTables(listed.root, Arena(NODES), listed.port.shape(listed.layout)), Image()
    tables.map(listed.start, 7 << 16, level=0)
    tables.write(image)
    listed.add(image)
    assert listed.locate()(listed.start) == (7 << 16, listed.port.page)
