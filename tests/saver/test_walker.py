# SPDX-License-Identifier: GPL-2.0-or-later
"""The walk through page tables of any shape: right for what is mapped, an error for all else."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.memory.pagetables import walker

#: Levels as (first bit of the index, bits), bytes of an entry, and whether they are big-endian.
SHAPES = {
    "four of 512": ([(39, 9), (30, 9), (21, 9), (12, 9)], 8, False),
    "large tables": ([(42, 10), (29, 13), (16, 13)], 8, False),
    "a small first one": ([(30, 2), (21, 9), (12, 9)], 8, False),
    "words of 32 bits": ([(22, 10), (12, 10)], 4, False),
    "uneven, big-endian": ([(31, 11), (20, 11), (12, 8)], 8, True),
    "one": ([(12, 9)], 4, True),
}
#: How the entries of these tests are: the lowest bits say what it is, a level more than a number.
TABLE, LEAF, LEAF_OF_16 = 1, 2, 3
_KINDS = 15


def decode(entry: int, shift: int) -> tuple[int, int] | None:
    bits = {TABLE: 0, LEAF: shift, LEAF_OF_16: shift + 4}.get(entry & _KINDS)
    return None if bits is None else (entry & ~_KINDS, bits)


class Physical:
    """Memory with tables in it, by address; it counts what is read."""

    def __init__(self, name: str, seed: int = 0) -> None:
        self.levels, self.size, self.big = SHAPES[name]
        self.rng = random.Random(seed)
        self.memory: dict[int, bytearray] = {}
        self.reads: list[tuple[int, int]] = []
        self.root = self.table(0)

    def table(self, level: int) -> int:
        address = 0x100000 + 0x20000 * len(self.memory)
        self.memory[address] = bytearray(self.size << self.levels[level][1])
        return address

    def write(self, table: int, index: int, entry: int) -> None:
        at = index * self.size
        raw = entry.to_bytes(self.size, "big" if self.big else "little")
        self.memory[table][at : at + self.size] = raw

    def entry(self, table: int, index: int) -> int:
        raw = self.memory[table][index * self.size : (index + 1) * self.size]
        return int.from_bytes(raw, "big" if self.big else "little")

    def read(self, address: int, length: int) -> bytes:
        self.reads.append((address, length))
        for start, table in self.memory.items():
            if start <= address and address + length <= start + len(table):
                return bytes(table[address - start :][:length])
        raise SaverError("no such memory")

    def map(self, address: int, level: int, entry: int) -> None:
        """Write the entry of a level for an address, through tables that are made on the way."""
        table = self.root
        for upper, (shift, bits) in enumerate(self.levels[: level + 1]):
            index = address >> shift & (1 << bits) - 1
            if upper == level:
                self.write(table, index, entry)
            elif not self.entry(table, index):
                self.write(table, index, self.table(upper + 1) | TABLE)
            table = self.entry(table, index) & ~_KINDS

    def walk(self) -> Callable[[int], tuple[int, int]]:
        return walker(self.read, self.root, self.levels, decode, size=self.size, big=self.big)


@pytest.fixture(params=list(SHAPES))
def physical(request: pytest.FixtureRequest) -> Physical:
    return Physical(request.param)


def mapped(physical: Physical) -> dict[int, tuple[int, int]]:
    """Map places all over the addresses, in pages of all levels: where each leads, and its size."""
    found: dict[int, tuple[int, int]] = {}
    top = sum(physical.levels[0])
    for _ in range(60):
        level = physical.rng.randrange(len(physical.levels))
        size = 1 << physical.levels[level][0]
        start = physical.rng.randrange(1 << top) & -size
        if not any(start < old + more and old < start + size for old, (_, more) in found.items()):
            target = physical.rng.randrange(1 << 8 * physical.size - 4) & -size
            physical.map(start, level, target | LEAF)
            found[start] = (target, size)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", list(SHAPES))
def test_what_is_mapped_is_found_in_any_order(name: str, seed: int) -> None:
    physical = Physical(name, seed)
    places = mapped(physical)
    assert len(places) > 3
    walk = physical.walk()
    for _ in range(600):
        start, (target, size) = physical.rng.choice(list(places.items()))
        skip = physical.rng.choice((0, size - 1, physical.rng.randrange(size)))
        assert walk(start + skip) == (target + skip, size - skip)
        other = physical.rng.randrange(1 << sum(physical.levels[0]))
        if not any(old <= other < old + length for old, (_, length) in places.items()):
            with pytest.raises(SaverError, match=f"virtual address {other:#x} is not in the dump"):
                walk(other)


def test_no_more_is_read_than_a_part_of_each_table(physical: Physical) -> None:
    shift = physical.levels[-1][0]
    last = len(physical.levels) - 1
    for number in range(64):
        physical.map(number << shift, last, 0x4000000 + (number << shift) | LEAF)
    walk = physical.walk()
    for number in range(64):
        assert walk(number << shift) == (0x4000000 + (number << shift), 1 << shift)
    assert len(physical.reads) == len(physical.levels)
    for (_, length), (_, bits) in zip(physical.reads, physical.levels):
        assert length == min(physical.size << bits, 4096)


def test_a_leaf_may_be_larger_than_its_entry_s_part(physical: Physical) -> None:
    shift = physical.levels[-1][0]
    last = len(physical.levels) - 1
    for number in range(16, 32):
        physical.map(number << shift, last, 0x4000000 | LEAF_OF_16)
    skip = (5 << shift) + 7
    assert physical.walk()((16 << shift) + skip) == (0x4000000 + skip, (16 << shift) - skip)


def test_a_walk_through_itself_ends(physical: Physical) -> None:
    physical.memory[physical.root].extend(bytes(0x10000))  # lower tables are larger
    physical.write(physical.root, 0, physical.root | TABLE)
    with pytest.raises(SaverError, match="virtual address 0x0 is not in the dump"):
        physical.walk()(0)
    assert len(physical.reads) <= len(physical.levels)


@pytest.mark.parametrize("address", [-1, -4096, 1 << 64, (1 << 64) - 1, 1 << 200])
def test_any_number_is_an_address(physical: Physical, address: int) -> None:
    with pytest.raises(SaverError):
        physical.walk()(address)
    physical.root = -address
    with pytest.raises(SaverError, match="no such memory"):
        physical.walk()(address)


def test_wild_entries_are_an_error_or_an_answer(physical: Physical) -> None:
    for table in physical.memory.values():
        table[:] = physical.rng.randbytes(len(table))
    walk = physical.walk()
    errors = 0
    for _ in range(1000):
        try:
            target, size = walk(physical.rng.randrange(1 << 64))
            assert size > 0 and 0 <= target < 1 << 8 * physical.size
        except SaverError:
            errors += 1
    assert 0 < errors <= 1000
    assert len(physical.reads) <= 1000 * len(physical.levels)
