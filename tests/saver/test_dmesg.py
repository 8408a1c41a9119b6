# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel log out of synthetic ring buffers, sound and damaged."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from kdump_initrd.saver.dmesg import log_lines
from kdump_initrd.saver.elfcore import ElfCore
from kdump_initrd.saver.failure import SaverError
from kdump_initrd.saver.panic import LogFacts
from kdump_initrd.saver.vmcoreinfo import VmcoreInfo
from kdump_initrd.saver.window import Window

from .printk import COMMITTED, NO_DATA, NO_ROOM, RESERVED, REUSABLE, Printk, add_log
from .vmcore import ARM, I386, PPC64, S390X, X86_64, Core, Machine

BASE = 0xC0100000


def lines(tmp_path: Path, ring: Printk, drop: str = "") -> list[str]:
    core = add_log(Core(ring.machine), ring, 0x100000, BASE)
    assert core.info is not None
    core.info = [line for line in core.info if not drop or not line.startswith(drop)]
    elf = ElfCore(Window(str(core.write(tmp_path / "core"))))
    found = log_lines(elf, VmcoreInfo(elf.notes.vmcoreinfo))
    return b"".join(found).decode().splitlines()


@pytest.mark.parametrize("machine", [X86_64, I386, ARM, PPC64, S390X])
def test_times_lines_and_bytes(tmp_path: Path, machine: Machine) -> None:
    ring = Printk(machine)
    ring.add(0, b"Linux version 6.1")
    ring.add(1_234_567_890, b"two\nlines", COMMITTED)
    ring.add(99999_000_001_000, b"bytes \x01\xc3\xa9\ttab")
    ring.add(5, b"")
    assert lines(tmp_path, ring) == [
        "[    0.000000] Linux version 6.1",
        "[    1.234567] two",
        "               lines",
        r"[99999.000001] bytes \x01\xc3\xa9" + "\ttab",
        "[    0.000000] ",
    ]


def test_records_without_text_to_show(tmp_path: Path) -> None:
    ring = Printk()
    ring.add(0, b"first")
    ring.add(0, b"being written", RESERVED)
    ring.add(0, b"free again", REUSABLE)
    ring.add_empty(0, NO_DATA)
    ring.add_empty(0, NO_ROOM)
    ring.add(0, b"last")
    texts = [line[15:] for line in lines(tmp_path, ring)]
    assert texts == ["first", "", "last"]


@pytest.mark.parametrize("machine", [X86_64, I386])
@pytest.mark.parametrize("count", [1, 7, 8, 16, 17, 40, 300])
def test_ring_that_wraps(tmp_path: Path, machine: Machine, count: int) -> None:
    ring = Printk(machine, desc_bits=4, data_bits=9)
    texts = [f"line {number} " + "x" * (number * 7 % 50) for number in range(count)]
    for number, text in enumerate(texts):
        ring.add(number * 1_000_000, text.encode())
    found = [line[15:] for line in lines(tmp_path, ring)]
    alive = [record.text.decode() for record in ring.records if record.state != REUSABLE]
    assert found == alive
    assert found == texts[-len(found) :]
    if count > 16:
        assert len(found) < len(ring.records), "no descriptor without text: nothing was tested"


def test_long_ring_is_read_in_batches(tmp_path: Path) -> None:
    ring = Printk(desc_bits=9, data_bits=15)
    for number in range(700):
        ring.add(number, f"line {number}".encode())
    assert [line[15:] for line in lines(tmp_path, ring)] == [
        f"line {number}" for number in range(700 - 512, 700)
    ]


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ("SYMBOL(prb)", "VMCOREINFO has no SYMBOL(prb)"),
        ("SIZE(printk_info)", "VMCOREINFO has no SIZE(printk_info)"),
        ("OFFSET(prb_desc.state_var)", "VMCOREINFO has no OFFSET(prb_desc.state_var)"),
    ],
)
def test_missing_keys_are_named(tmp_path: Path, drop: str, message: str) -> None:
    ring = Printk()
    ring.add(0, b"text")
    with pytest.raises(SaverError, match="^" + re.escape(message) + "$"):
        lines(tmp_path, ring, drop)


def test_rings_of_impossible_size_are_refused(tmp_path: Path) -> None:
    ring = Printk()
    ring.add(0, b"text")
    for name in ("desc_bits", "data_bits"):
        for bits in (0, 40, 0xFFFFFFFF):
            right = getattr(ring, name)
            setattr(ring, name, bits)
            with pytest.raises(SaverError, match=rf"ring is damaged \(2\^{bits} entries\)"):
                lines(tmp_path, ring)
            setattr(ring, name, right)
    ring.desc_bits = 20  # longer than memory: found at once, not after a million steps
    with pytest.raises(SaverError, match="is not in the dump"):
        lines(tmp_path, ring)


def test_random_damage_ends_soon(tmp_path: Path) -> None:
    rng = random.Random(11)
    ring = Printk(desc_bits=6, data_bits=12)
    for number in range(100):
        ring.add(number, b"some text %d" % number)
    image = ring.image(BASE)
    start = time.monotonic()
    for _ in range(300):
        broken = bytearray(image)
        for _ in range(rng.randrange(1, 40)):
            place = rng.randrange(160) if rng.random() < 0.3 else rng.randrange(len(image))
            broken[place] = rng.randrange(256)
        core = Core(info=ring.info(BASE))
        core.load(0x100000, bytes(broken), BASE)
        elf = ElfCore(Window(str(core.write(tmp_path / "core"))))
        try:
            found = list(log_lines(elf, VmcoreInfo(elf.notes.vmcoreinfo)))
        except SaverError:
            continue
        finally:
            elf.window.close()
        assert sum(map(len, found)) < 64 * 4 * 5000
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("log", "panic", "command_line"),
    [
        (
            [
                "Command line: root=/dev/sda quiet",
                "BUG: unable to handle",
                "Kernel panic - not syncing: Fatal exception",
            ],
            "Fatal exception",
            "root=/dev/sda quiet",
        ),
        (["Kernel command line: a=b ", "Oops: 0002 [#1]", "RIP: x"], "Oops: 0002 [#1]", "a=b"),
        (["sysrq: Trigger a crash"], "sysrq: Trigger a crash", ""),
        (["all is well"], "", ""),
    ],
)
def test_panic_and_command_line(log: list[str], panic: str, command_line: str) -> None:
    facts = LogFacts()
    for line in log:
        facts.see(f"[    0.000000] {line}\n".encode())
    assert (facts.panic, facts.command_line) == (panic, command_line)


def test_tail_begins_at_the_panic() -> None:
    facts = LogFacts()
    for number in range(50):
        facts.see(b"line %d\n" % number)
    assert facts.tail[0] == "line 38"
    facts.see(b"Kernel panic - not syncing: x\n")
    for number in range(50):
        facts.see(b"trace %d\n" % number)
    assert facts.tail[0].endswith("not syncing: x")
    assert len(facts.tail) == 12
