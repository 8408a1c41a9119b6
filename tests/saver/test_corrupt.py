# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged vmcores and dumps: never a traceback, never without end, the log if it can be had."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.vm.kernels import newest
from tests.vm.vmcores import raw_vmcore

from . import damage, fuzz
from .attempt import Attempt, attempt, problems
from .damage import LOG_TEXT, MACHINE, Input
from .description import parse
from .filtering import expected
from .minireader import MiniReader
from .ports import PORTS
from .printk import Printk
from .vmcore import PAGE, X86_64

#: Few examples, or many of them.
AMOUNTS = pytest.mark.parametrize(
    "amount",
    [6, pytest.param(600, marks=[pytest.mark.full, pytest.mark.timeout(900)])],
)
RANDOM = st.randoms(use_true_random=False)
LEVELS = {"dump_level": 31}
_STEP = 256 << 10
#: Keys without which the rules themselves leave out more.
NOT_KNOWN_IS_TRUE = {"NUMBER(PG_swapbacked)"}


class World:
    """The inputs, and a folder for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.core = damage.core()
        self.machine = damage.machine(folder)
        self.dump = damage.dump(folder, self.machine, "lzo")
        self.others = [
            damage.dump(folder, self.machine, codec) for codec in ("zstd", "zlib", "snappy")
        ]
        self.flat = damage.flat(self.dump, 1)
        self.elf = damage.dump(folder, self.machine, "none", dump_format="elf")
        self._there = b""

    def save(
        self, raw: bytes, before: Callable[[], object] = lambda: None, **options: object
    ) -> Attempt:
        """Save an input, and demand what must be true of any."""
        path = self.folder / "in"
        self._write(path, raw)
        done = attempt(path, self.folder / "out", {**LEVELS, **options}, before=before)
        assert problems(done) == []
        return done

    def _write(self, path: Path, raw: bytes) -> None:
        # Mostly it is there already but for a few bytes.
        with path.open("r+b" if self._there else "wb") as file:
            for at in range(0, len(raw), _STEP):
                if raw[at : at + _STEP] != self._there[at : at + _STEP]:
                    file.seek(at)
                    file.write(raw[at : at + _STEP])
            file.truncate(len(raw))
        self._there = raw


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("corrupt"))


def for_all(amount: int, *strategies: SearchStrategy[object], check: Callable[..., None]) -> None:
    """Check so many examples."""
    healthy = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    limited = settings(
        max_examples=amount,
        derandomize=True,
        database=None,
        suppress_health_check=healthy,
    )
    run: Callable[[], None] = limited(given(*strategies)(check))
    run()


def test_what_is_not_damaged_is_saved(world: World) -> None:
    for each in (world.core, world.machine, world.dump, world.flat, world.elf, *world.others):
        done = world.save(each.raw)
        assert (done.status, done.saved_log) == (0, LOG_TEXT), each.name


@AMOUNTS
@pytest.mark.parametrize("name", ["core", "machine", "dump", "flat", "elf"])
def test_cut_anywhere(world: World, name: str, amount: int) -> None:
    chosen: Input = getattr(world, name)

    def check(size: int) -> None:
        done = world.save(chosen.raw[:size])
        assert done.status in (1, 3)

    for_all(amount // 2, st.integers(0, len(chosen.raw) - 1), check=check)


@AMOUNTS
@pytest.mark.parametrize("name", ["core", "machine", "elf"])
@pytest.mark.parametrize("kind", ["kdump", "elf", "flat"])
def test_damaged_headers_of_a_core(world: World, name: str, kind: str, amount: int) -> None:
    chosen: Input = getattr(world, name)

    def check(rng: random.Random) -> None:
        part = rng.choice(("headers", "headers", "notes"))
        world.save(damage.flip(chosen, rng, part), dump_format=kind)

    for_all(amount // 2, RANDOM, check=check)


@AMOUNTS
def test_wild_vmcoreinfo(world: World, amount: int) -> None:
    keys = st.sampled_from(world.machine.info_keys())
    values = st.one_of(
        st.sampled_from(damage.WILD),
        st.integers(-(1 << 66), 1 << 66).map(str),
        st.integers(0, 1 << 64).map(hex),
        st.text(st.characters(max_codepoint=255, exclude_characters="\n"), max_size=40),
    )

    def check(changes: dict[str, str | None]) -> None:
        for each in (world.machine, world.dump):
            done = world.save(each.with_info(changes))
            assert done.status == 0 or each is world.dump

    for_all(amount, st.dictionaries(keys, values, min_size=1, max_size=4), check=check)


@pytest.mark.parametrize("name", damage.FOREIGNERS)
def test_what_is_not_damaged_of_other_machines_is_saved(world: World, name: str) -> None:
    given = damage.foreign(world.folder, name)
    dump = damage.dump(world.folder, given, "none")
    for each in (given, dump):
        for kind in ("kdump", "elf"):
            done = world.save(each.raw, dump_format=kind)
            assert (done.status, done.saved_log) == (0, LOG_TEXT)
            assert done.report["dump"]["level"] == 31


@AMOUNTS
@pytest.mark.parametrize("name", damage.FOREIGNERS)
def test_damage_of_other_machines(world: World, name: str, amount: int) -> None:
    given = damage.foreign(world.folder, name)
    dump = damage.dump(world.folder, given, "none")
    own = [*PORTS[name].info(parse(f"port {name}\nmemory 0-64M")), "SYMBOL(swapper_pg_dir)"]

    def check(rng: random.Random, kind: str) -> None:
        part = rng.choice(("tables", "tables", "sections", "struct pages"))
        how = rng.choice((damage.flip, damage.flip, damage.garbage, damage.repeated))
        world.save(how(given, rng, part), verify="none", dump_format=kind)
        changes = {rng.choice(own): rng.choice((None, *damage.WILD))}
        each = rng.choice((given, dump))
        world.save(each.with_info(changes), verify="none", dump_format=kind)

    for_all(amount // 3, RANDOM, st.sampled_from(["kdump", "elf"]), check=check)


@AMOUNTS
def test_fewer_keys_never_leave_out_more(world: World, amount: int) -> None:
    layout = parse(MACHINE)
    whole = expected(layout, 31)
    keys = [key for key in world.machine.info_keys() if key not in NOT_KNOWN_IS_TRUE]
    log_keys = {line.partition("=")[0] for line in Printk().info(0)}

    def check(gone: set[str]) -> None:
        raw = world.machine.with_info(dict.fromkeys(gone))
        done = world.save(raw, dump_compress="none", verify="none")
        assert done.status == 0
        dump = MiniReader(done.dumps[0], X86_64)
        assert set(dump.first) - set(dump.second) <= whole
        assert done.saved_log == LOG_TEXT or gone & log_keys

    for_all(amount, st.sets(st.sampled_from(keys), min_size=1, max_size=12), check=check)


@AMOUNTS
@pytest.mark.parametrize("part", ["tables", "sections", "struct pages"])
@pytest.mark.parametrize("how", ["flip", "garbage", "repeated"])
def test_damaged_memory_management(world: World, part: str, how: str, amount: int) -> None:
    # Not a word of the log is in those pages.
    def check(rng: random.Random) -> None:
        raw = getattr(damage, how)(world.machine, rng, part)
        done = world.save(raw, verify="none")
        assert (done.status, done.saved_log) == (0, LOG_TEXT)

    for_all(amount // 3, RANDOM, check=check)


@AMOUNTS
@pytest.mark.parametrize("name", ["machine", "dump", "flat"])
def test_pages_that_cannot_be_read(world: World, name: str, amount: int) -> None:
    chosen: Input = getattr(world, name)
    pages = -(-len(chosen.raw) // PAGE)

    def check(first: int, count: int) -> None:
        bad = tuple(range(first, first + count))
        world.save(chosen.raw, before=lambda: damage.spoil(bad))

    count = st.sampled_from([1, 1, 2, 40])
    for_all(amount, st.integers(0, pages - 1), count, check=check)


@AMOUNTS
@pytest.mark.parametrize("part", ["headers", "numbers", "bitmaps", "descriptors", "data"])
def test_damaged_dumps(world: World, part: str, amount: int) -> None:
    def check(rng: random.Random, kind: str) -> None:
        chosen = rng.choice([world.dump, *world.others])
        how = rng.choice((damage.flip, damage.flip, damage.garbage, damage.repeated))
        world.save(how(chosen, rng, part), dump_format=kind)

    for_all(amount, RANDOM, st.sampled_from(["kdump", "kdump", "elf"]), check=check)


@AMOUNTS
def test_damaged_records(world: World, amount: int) -> None:
    def check(rng: random.Random) -> None:
        world.save(damage.flip(world.flat, rng, "records"))

    for_all(2 * amount, RANDOM, check=check)


@pytest.mark.full
@pytest.mark.qemu
@pytest.mark.timeout(600)
def test_fuzz_for_a_minute() -> None:
    raw_vmcore(newest())
    done = fuzz.run(1, seconds=60)
    assert done.failures == [] and done.inputs > 200
