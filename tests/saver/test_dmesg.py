# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel log out of synthetic ring buffers, sound and damaged."""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from pathlib import Path

import pytest

from kdump_initrd.saver.crash import caller
from kdump_initrd.saver.crash.dmesg import log_lines
from kdump_initrd.saver.crash.panic import LogFacts
from kdump_initrd.saver.formats.elf.elfcore import ElfCore
from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.memory.vmcoreinfo import VmcoreInfo
from kdump_initrd.saver.memory.window import Window

from . import damage
from .printk import (
    COMMITTED,
    NO_DATA,
    NO_ROOM,
    RESERVED,
    REUSABLE,
    Printk,
    Records,
    Text,
    add_log,
)
from .running import save
from .vmcore import (
    ARM,
    I386,
    PAGE,
    PPC64,
    S390X,
    TEXT,
    X86_64,
    Core,
    Machine,
)

BASE = 0xC0100000


def lines(
    tmp_path: Path, ring: Printk | Records | Text, drop: str = "", core: Core | None = None
) -> list[str]:
    core = add_log(core or Core(ring.machine), ring, 0x100000, BASE)
    assert core.info is not None
    core.info = [line for line in core.info if not drop or not line.startswith(drop)]
    elf = ElfCore(Window(str(core.write(tmp_path / "core"))))
    try:
        found = log_lines(elf, VmcoreInfo(elf.notes.vmcoreinfo))
        return b"".join(found).decode().splitlines()
    finally:
        elf.close()


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


def foreign_lines(tmp_path: Path, ring: Records | Text, release: str) -> bytes:
    """What makedumpfile reads of that, in a machine that says it is Linux of a release."""
    path = damage.with_log(tmp_path / "foreign", ring, release)
    log = tmp_path / "foreign.log"
    log.unlink(missing_ok=True)
    done = subprocess.run(
        ["makedumpfile", "--dump-dmesg", path, log],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return log.read_bytes()


@pytest.mark.parametrize("machine", [X86_64, I386, ARM, PPC64, S390X])
@pytest.mark.parametrize("name", ["printk_log", "log"])
@pytest.mark.parametrize("keys", [True, False])
def test_records_of_older_kernels(tmp_path: Path, machine: Machine, name: str, keys: bool) -> None:
    ring = Records(machine, name=name, keys=keys)
    assert lines(tmp_path, ring) == []
    ring.add(0, b"Linux version 4.19")
    ring.add(1_234_567_890, b"two\nlines", dictionary=b"SUBSYSTEM=pci\0DEVICE=+pci:0000")
    ring.add(99999_000_001_000, b"bytes \x01\xc3\xa9\ttab")
    ring.add(5, b"")
    assert lines(tmp_path, ring) == [
        "[    0.000000] Linux version 4.19",
        "[    1.234567] two",
        "               lines",
        r"[99999.000001] bytes \x01\xc3\xa9" + "\ttab",
        "[    0.000000] ",
    ]


@pytest.mark.parametrize("machine", [X86_64, I386])
@pytest.mark.parametrize("count", [1, 5, 9, 10, 11, 40, 300])
@pytest.mark.parametrize("callers", [False, True])
def test_records_that_wrap(tmp_path: Path, machine: Machine, count: int, callers: bool) -> None:
    ring = Records(machine, callers=callers)
    texts = [f"line {number} " + "x" * (number * 7 % 50) for number in range(count)]
    for number, text in enumerate(texts):
        ring.add(number * 1_000_000, text.encode())
        found = [line[23 if callers else 15 :] for line in lines(tmp_path, ring)]
        assert found == [text.decode() for text in ring.texts] == texts[: number + 1][-len(found) :]


@pytest.mark.parametrize("release", ["3.10.0", "4.19.0", "5.9.0"])
def test_records_are_read_as_by_makedumpfile(tmp_path: Path, release: str) -> None:
    ring = Records(name="log" if release == "3.10.0" else "printk_log", size=4096)
    for number in range(130):
        ring.add(number * 1_000_000_007, b"line %d\nand more \x02" % number, dictionary=b"A=b")
    found = "".join(f"{line}\n" for line in lines(tmp_path, ring))
    assert found.encode() == foreign_lines(tmp_path, ring, release)


@pytest.mark.parametrize("machine", [X86_64, S390X])
@pytest.mark.parametrize("written", [0, 1, 20, 40])
@pytest.mark.parametrize("before", [0, (1 << 32) - 300])
def test_text_of_the_oldest_kernels(
    tmp_path: Path, machine: Machine, written: int, before: int
) -> None:
    ring = Text(machine, size=1024, end=before)
    if before:
        ring.data[:] = b"." * len(ring.data)
    for number in range(written):
        ring.add(b"<6>[    0.00%04d] line %d of the log \x01\n" % (number, number))
    found = lines(tmp_path, ring)
    wanted = [f"<6>[    0.00{n:04}] line {n} of the log \\x01" for n in range(written)]
    whole = "\n".join(wanted if written <= 20 else wanted[-20:])
    assert "\n".join(found).endswith(whole)
    if before or written > 20:
        assert sum(len(line) + 1 for line in found) in range(
            1020, 1110
        )  # a byte is shown by four letters
    else:
        assert found == wanted
    if written == 40 and machine is X86_64 and not before:
        foreign = foreign_lines(tmp_path, ring, "2.6.32").decode("latin-1").splitlines()
        assert foreign == [line.replace("\\x01", "\x01") for line in found]


def test_a_text_that_is_none(tmp_path: Path) -> None:
    ring = Text(size=1 << 20, end=1 << 20)
    found = lines(tmp_path, ring)
    assert "".join(found) == r"\x00" * (1 << 20) and len(found) == 4


@pytest.mark.parametrize(
    ("who", "shown"),
    [(0, "[    T0]"), (1, "[    T1]"), (1234567, "[T1234567]"), (1 << 31, "[    C0]"),
     (1 << 31 | 255, "[  C255]")],
)  # fmt: skip
@pytest.mark.parametrize("machine", [X86_64, I386, ARM, PPC64, S390X])
def test_callers(tmp_path: Path, machine: Machine, who: int, shown: str) -> None:
    # Before 5.10, VMCOREINFO has the offset only where the kernel shows them.
    old, new, newest = Records(machine, callers=True), Printk(machine), Printk(machine, new=True)
    new.callers = newest.callers = True
    for ring in (old, new, newest):
        ring.add(1_000_000, b"two\nlines", caller=who)
        ring.add(2_000_000, b"another", caller=7)
        start = f"[    0.001000]{shown} "
        wanted = [f"{start}two", " " * len(start) + "lines", "[    0.002000][    T7] another"]
        assert lines(tmp_path, ring) == wanted


@pytest.mark.parametrize("machine", [X86_64, I386, PPC64])
def test_records_that_end_where_the_ring_does(tmp_path: Path, machine: Machine) -> None:
    """Those of Linux 7.2 do: also where positions begin anew, which is at the first such end."""
    ring = Printk(machine, new=True)
    texts = []
    for number in range(64):
        texts.append(f"line {number} " + "x" * (64 - machine.word - len(f"line {number} ")))
        ring.add(number, texts[-1].encode())
        found = [line[15:] for line in lines(tmp_path, ring)]
        assert found == texts[-len(found) :] and len(found) >= min(number, 8)
    assert {record.end % ring.size for record in ring.records if record.state != REUSABLE} >= {0}


FORMAT = b",caller=%c%u"


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (b"", True),  # not to be read
        (bytes(PAGE), False),
        (bytes(100) + FORMAT + bytes(PAGE), True),
        (bytes(PAGE - 5) + FORMAT + bytes(PAGE), True),
        (bytes((1 << 20) - 5) + FORMAT + bytes(PAGE), True),
        (bytes((1 << 20) + 5) + FORMAT, True),
        (bytes(PAGE) + FORMAT[:-1], False),
    ],
)
def test_callers_of_kernels_that_do_not_show_them(
    tmp_path: Path, image: bytes, shown: bool
) -> None:
    ring = Printk()
    ring.callers = True
    ring.add(0, b"text", caller=7)
    core = Core()
    assert core.info is not None
    core.info.append(f"SYMBOL(_stext)={TEXT + 0x200010:x}")
    if image:
        core.load(0x40000000, image + bytes(-len(image) % PAGE), TEXT + 0x200000)
    wanted = "[    0.000000][    T7] text" if shown else "[    0.000000] text"
    assert lines(tmp_path, ring, core=core) == [wanted]


def test_callers_behind_a_gap(tmp_path: Path) -> None:
    for gap, shown in ((2 << 20, True), (64 << 20, False)):
        ring = Printk()
        ring.callers = True
        ring.add(0, b"text", caller=7)
        core = (
            Core()
            .load(0x40000000, bytes(PAGE), TEXT)
            .load(0x50000000, FORMAT + bytes(PAGE), TEXT + gap)
        )
        assert core.info is not None
        core.info.append(f"SYMBOL(_stext)={TEXT:x}")
        assert ("T7" in lines(tmp_path, ring, core=core)[0]) == shown


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        (b"6,339,5140900,-,caller=T1;text\n", True),
        (b"6,339,5140900,-;text,caller=T1\n", False),
        (None, True),
    ],
)
def test_the_same_kernel_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes | None, shown: bool
) -> None:
    if head is not None:
        (tmp_path / "kmsg").write_bytes(head)
    monkeypatch.setattr(caller, "_KMSG", str(tmp_path / "kmsg"))
    names = os.uname()
    monkeypatch.setattr(caller, "utsname", lambda *_: {"release": names.release,
                                                        "version": names.version})  # fmt: skip
    ring = Printk()
    ring.callers = True
    ring.add(0, b"text", caller=7)
    assert ("[    T7]" in lines(tmp_path, ring)[0]) == shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"log_buf_len": 0}, "the kernel log's buffer is damaged (0 bytes)"),
        ({"log_buf_len": 0xFFFFFFFF}, "the kernel log's buffer is damaged (4294967295 bytes)"),
        ({"log_buf_len": 1 << 30}, "virtual address "),
        ({"log_first_idx": 100000}, "the kernel log's buffer is damaged at byte 100000"),
        ({"log_next_idx": 100000}, "the kernel log's buffer is damaged at byte "),
    ],
)
def test_damaged_positions(tmp_path: Path, changes: dict[str, int], message: str) -> None:
    ring = Records()
    for number in range(5):
        ring.add(0, b"line %d" % number)
    image = bytearray(ring.image(BASE))
    for name, value in changes.items():
        at = {"log_buf_len": 8, "log_first_idx": 12, "log_next_idx": 16}[name]
        image[at : at + 4] = value.to_bytes(4, "little")
    ring.image = lambda _: bytes(image)  # type: ignore[method-assign, assignment]
    with pytest.raises(SaverError) as caught:
        lines(tmp_path, ring)
    assert str(caught.value).startswith(message)


def test_what_was_read_before_the_damage_is_kept(tmp_path: Path) -> None:
    ring = Records()
    for number in range(5):
        ring.add(0, b"line %d" % number)
    ring.data[3 * 24 + 8 : 3 * 24 + 10] = b"\1\0"
    core = add_log(Core(), ring, 0x100000, BASE)
    done = save(tmp_path, core, dmesg_name="dmesg")
    assert (done.folder / "dmesg").read_text().split("\n")[2] == "[    0.000000] line 2"
    assert done.step("dmesg")["detail"] == "the kernel log's buffer is damaged at byte 72"
    assert done.status == 0


@pytest.mark.parametrize("kind", ["records", "text"])
def test_random_damage_of_older_logs_ends_soon(tmp_path: Path, kind: str) -> None:
    rng = random.Random(12)
    ring: Records | Text = Records(size=4096) if kind == "records" else Text(size=4096)
    for number in range(100):
        if isinstance(ring, Records):
            ring.add(number, b"some text %d" % number)
        else:
            ring.add(b"some text %d\n" % number)
    image, start = ring.image(BASE), time.monotonic()
    for _ in range(300):
        broken = bytearray(image)
        for _ in range(rng.randrange(1, 40)):
            place = rng.randrange(20) if rng.random() < 0.3 else rng.randrange(4096, len(image))
            broken[place] = rng.randrange(256)
        core = Core(info=ring.info(BASE)).load(0x100000, bytes(broken), BASE)
        elf = ElfCore(Window(str(core.write(tmp_path / "core"))))
        found: list[bytes] = []
        try:
            for line in log_lines(elf, VmcoreInfo(elf.notes.vmcoreinfo)):
                found.append(line)
        except SaverError as error:
            assert "damaged" in str(error) or "is not in the dump" in str(error)
        finally:
            elf.window.close()
        assert sum(map(len, found)) < 8 * 4096 * 4
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
