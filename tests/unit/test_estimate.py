# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd estimate``: what the kernel's counts say, and what is measured."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.commands import answers
from kdump_initrd.commands.admin import main
from kdump_initrd.core import exits
from kdump_initrd.core.root import Root
from kdump_initrd.saver.codec.opening import open_any
from kdump_initrd.upkeep.ready import forecast, outlook, sample, view, writing
from kdump_initrd.upkeep.ready.outlook import LEVELS

from . import machines
from .machines import DUMPS, NUMBER
from .refreshroots import Host

PAGE = Path(__file__).parents[2] / "docs/man/kdump-initrd-json.5"
MIB = 1 << 20
SIZE = os.sysconf("SC_PAGESIZE")
#: A machine of 1000 MiB without what is reserved, as each file tells it.
MEMINFO = """\
MemTotal:         901120 kB
MemFree:          512000 kB
Buffers:           10240 kB
Cached:           204800 kB
AnonPages:        102400 kB
HugePages_Total:       5
Hugetlb:           10240 kB
HardwareCorrupted:  1024 kB
"""
RESERVED = 128 * MIB
IOMEM = """\
00000000-00000fff : Reserved
00001000-00100fff : System RAM
00200000-463fffff : System RAM
  01000000-020025c6 : Kernel code
  30000000-37ffffff : Crash kernel
fee00000-fee00fff : Local APIC
"""
HIDDEN = "00000000-00000000 : System RAM\n  00000000-00000000 : Crash kernel\n"
ZONES = f"""\
Node 0, zone      DMA
  pages free     3840
        spanned  4095
        present  {256 * MIB // SIZE}
        managed  3840
Node 0, zone    DMA32
        present  {872 * MIB // SIZE}
"""


def root_with(tmp_path: Path, **files: str) -> Root:
    (tmp_path / "proc").mkdir()
    for name, text in files.items():
        (tmp_path / "proc" / name).write_text(text)
    return Root(tmp_path)


def test_each_bit_leaves_out_what_the_kernel_counts(tmp_path: Path) -> None:
    memory = forecast.count(root_with(tmp_path, meminfo=MEMINFO, iomem=IOMEM), reserved=RESERVED)
    assert memory.whole == (1 + 1122 - 128 - 1) * MIB
    kept = {level: (memory.whole - memory.kept(level)) // MIB for level in (0, 1, 2, 4, 8, 16, 31)}
    assert kept == {0: 0, 1: 0, 2: 200, 4: 210, 8: 110, 16: 500, 31: 820}
    small, large = memory.size(31, 0.25), memory.size(31, 0.5)
    assert memory.kept(31) / 4 < small < large < memory.kept(31)
    # Where it says that more is left out than there is.
    assert forecast.Memory(MIB, MIB, 0, MIB, MIB, SIZE).kept(31) == 0


@pytest.mark.parametrize(
    ("files", "whole"),
    [
        ({"iomem": IOMEM, "zoneinfo": ZONES}, 1 + 1122 - 128),
        ({"iomem": HIDDEN, "zoneinfo": ZONES}, 256 + 872 - 128),
        ({"zoneinfo": ZONES, "vmstat": f"balloon_inflate {9 * MIB // SIZE}\n"}, 1000 - 9),
        (
            {"zoneinfo": ZONES, "vmstat": f"balloon_inflate {MIB}\nballoon_deflate {MIB}\n"},
            1000,
        ),
        ({"iomem": HIDDEN}, 901120 >> 10),
        ({"iomem": "garbage\n", "zoneinfo": "  present x\n", "vmstat": "balloon_inflate\n"}, 880),
    ],
)
def test_how_much_there_is(tmp_path: Path, files: dict[str, str], whole: int) -> None:
    """By what everybody may read, where the addresses are hidden; bad memory is in none of it."""
    root = root_with(tmp_path, meminfo=MEMINFO, **files)
    assert forecast.count(root, reserved=RESERVED).whole == (whole - 1) * MIB


def test_proc_does_not_tell(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="does not tell"):
        forecast.count(root_with(tmp_path, meminfo="garbage"), reserved=0)


@pytest.mark.parametrize(
    ("words", "built_so", "zeroed"),
    [
        ("quiet", False, False),
        ("quiet", True, True),
        ("init_on_free=0 init_on_free=1", False, True),
        ("init_on_free=on init_on_free=off", True, False),
    ],
)
def test_free_pages_that_are_full_of_zeros(
    tmp_path: Path, words: str, built_so: bool, zeroed: bool
) -> None:
    root = root_with(tmp_path, meminfo=MEMINFO, iomem=IOMEM, cmdline=words)
    memory = forecast.count(root, reserved=RESERVED, fills=built_so)
    kept = [(memory.whole - memory.kept(level)) // MIB for level in (0, 1, 17, 31)]
    assert kept == [0, 500 if zeroed else 0, 500, 820]
    assert [memory.is_exact(level) for level in (0, 1, 17)] == [zeroed, zeroed, True]
    # Level 0 has them, as one page in the file; without that they would take half of it.
    descriptors = 24 * memory.free // SIZE
    difference = memory.size(0, 0.5) - memory.size(17, 0.5) - descriptors
    assert difference == (0 if zeroed else memory.free // 2)


@pytest.mark.parametrize("number", ["²", "٣", "-1", "9" * 5000])
def test_numbers_that_no_kernel_says(tmp_path: Path, number: str) -> None:
    said = MEMINFO.replace("10240 kB", f"{number} kB", 1)
    memory = forecast.count(root_with(tmp_path, meminfo=said, zoneinfo=number), reserved=0)
    assert (memory.private, memory.user) == (0, 110 * MIB)


def test_the_sample_is_like_memory() -> None:
    """Neither all zeros nor random; each codec finds something to do, and none finds nothing."""
    found = sample.measure(["lzo"])
    assert found.codec == "lzo"
    assert 0.1 < found.ratio < 0.8
    assert found.speed > 0
    none = sample.measure(["none"])
    assert (none.codec, none.ratio, none.speed) == ("none", 1.0, 0.0)
    # The first one that works.
    other, _ = open_any("zlib", SIZE)
    assert other is not None
    assert sample.measure(["zlib", "lzo"]).codec == "zlib"


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine that is ready."""
    return machines.ready(tmp_path_factory.mktemp("estimate") / "root")


@pytest.fixture
def host(pattern: Path) -> Iterator[Host]:
    """A copy of it."""
    with machines.copied(pattern) as host:
        host.write("proc/meminfo", MEMINFO)
        host.write("proc/iomem", IOMEM)
        yield host


def asked(host: Host, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    status = main(["estimate", "--json", "--root", str(host.root)])
    table: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert table["schema"] == answers.SCHEMA
    assert status == answers.STATUSES[table["answer"]]
    return table


def test_json(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    table = asked(host, capsys)
    assert table["not_measured"] == ""
    assert table["write_bytes_per_second"] > 0
    levels = {each["level"]: each for each in table["levels"]}
    assert [*levels] == [*LEVELS]
    sizes = [each["dump_bytes"] for each in levels.values()]
    assert sizes[0] == max(sizes)
    assert sizes[-1] == min(sizes)
    assert all(each["seconds"] >= 0 and each["fits"] for each in levels.values())
    assert levels[0]["memory_bytes"] == table["memory_bytes"]
    page = PAGE.read_text().replace("\\-", "-")
    named = {field for each in table["levels"] for field in each}
    assert {field for field in {*table, *named} if f"\n.B {field}\n" not in page} == set()
    # Nothing is left.
    assert {path.name for path in (host.root / DUMPS).iterdir()} == {"202611010101"}


def test_the_table(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--root", str(host.root)]) == exits.DONE
    first, heads, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("a dump of level 31 would take about ")
    assert heads.split() == ["level", "memory", "dump", "time", "fits", "left", "out"]
    assert [int(row.split()[0]) for row in rows] == [*LEVELS]
    assert rows[-1].endswith("  yes   all of these (configured)")


def test_too_little_room(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("destination", "outlook"):
        monkeypatch.setattr(f"kdump_initrd.upkeep.ready.{name}.free_room", lambda *_: 20 * MIB)
    table = asked(host, capsys)
    assert table["answer"] == "no"
    assert table["text"].startswith("too little room for a dump: ")
    assert [each["fits"] for each in table["levels"]] == [False] * len(LEVELS)
    assert "dump-level" in table["hints"][-1]


def test_a_target_that_is_not_mounted(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    machines.mount(host, "")
    host.write(f"run/udev/data/b{NUMBER}", "S:disk\nE:ID_FS_TYPE=ext4\n")
    table = asked(host, capsys)
    assert table["answer"] == "yes"
    assert table["not_measured"].endswith("is not mounted here")
    assert (table["room_bytes"], table["write_bytes_per_second"]) == (None, None)
    assert {each["seconds"] for each in table["levels"]} == {None}


def test_a_disk_that_is_read_only(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> float:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(writing, "speed", refuse)
    table = asked(host, capsys)
    assert "Read-only file system" in table["not_measured"]
    assert table["room_bytes"] > 0


def test_a_host_without_an_image(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """The level is that of the settings."""
    for record in (host.root / "var/lib/kdump-initrd").iterdir():
        record.unlink()
    assert asked(host, capsys)["level"] == 31, "the image tells itself"
    host.capture.unlink()
    text = (host.root / "etc/kdump-initrd.toml").read_text()
    host.write("etc/kdump-initrd.toml", text.replace("[image]", "dump-level = 9\n[image]"))
    table = asked(host, capsys)
    assert table["level"] == 9
    assert [each["level"] for each in table["levels"]] == sorted({*LEVELS, 9})
    assert "no image" in table["not_measured"]


def test_no_memory_is_told(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    (host.root / "proc/meminfo").unlink()
    assert main(["estimate", "--root", str(host.root)]) == exits.ERROR
    error, hint = capsys.readouterr().err.splitlines()
    assert "No such file" in error
    assert hint.startswith("hint: ")


def test_what_is_written_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0
    real = os.write

    def count(descriptor: int, data: bytes) -> int:
        nonlocal written
        done = real(descriptor, data)
        written += done
        return done

    monkeypatch.setattr(os, "write", count)
    assert writing.speed(tmp_path, most=5 * MIB + 3, seconds=60) > 0
    assert written == 5 * MIB + 3
    assert writing.speed(tmp_path, most=1 << 40, seconds=0) == 0
    assert written == 5 * MIB + 3
    assert list(tmp_path.iterdir()) == []


def test_this_very_machine() -> None:
    """Its own counts make sense, whoever asks."""
    found = outlook.of(view.take(Path("/"), None))
    assert found.memory.whole > forecast.count(Root(), reserved=0).free
    assert 0 < found.memory.kept(31) < found.memory.kept(0) == found.memory.whole
