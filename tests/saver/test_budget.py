# SPDX-License-Identifier: GPL-2.0-or-later
"""The room that a dump may take, what it is foretold to take, and what is done without room."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver.codec.opening import open_codec
from kdump_initrd.saver.crash.facts import Crash
from kdump_initrd.saver.dump import budget, pagecopy
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.low.selection import Selection
from kdump_initrd.saver.store.folder import free_room, pool_room

from .filtering import expected
from .logged import LOG, logged
from .minireader import MiniReader
from .running import Outcome, save
from .synthetic import STEPS, build
from .vmcore import PAGE, X86_64, Core, noise, text, zero

Disk = Callable[[int], Path]
KINDS = {"text": text(1, 7), "noise": noise(1, 7), "zero": zero()}


def mixture(pages: int, shares: dict[str, float], run: int, seed: int) -> bytes:
    """Pages of some kinds, so many of one kind in a row."""
    rng = random.Random(seed)
    kinds = rng.choices(list(shares), list(shares.values()), k=pages // run)
    return b"".join(KINDS[kind] * run for kind in kinds)


@pytest.mark.parametrize(("codec", "zero_free"), [("lzo", True), ("none", False)])
@pytest.mark.parametrize("run", [1, 13, 512])
def test_the_forecast_is_within_its_error(
    tmp_path: Path, codec: str, zero_free: bool, run: int
) -> None:
    for seed, shares in enumerate(
        (
            {"text": 1.0},
            {"text": 0.5, "noise": 0.5},
            {"text": 0.2, "noise": 0.3, "zero": 0.5},
            {"noise": 0.1, "zero": 0.9},
        )
    ):
        data = mixture(4096, shares, run, seed)
        core = Core().load(0x1000000, data)
        crash = Crash(open_dump(str(core.write(tmp_path / "in"))))
        fd = os.memfd_create("bitmap")
        selection = Selection(fd, 0)
        selection.add_run(0x1000, 4096)
        selection.finish()
        packer = open_codec(codec, PAGE)
        forecast = budget.Forecast(crash.source(), selection, packer, zero_free=zero_free)
        done = save(
            tmp_path, tmp_path / "in", dump_level=int(zero_free), dump_compress=codec, verify="none"
        )
        dump = MiniReader(done.dump, X86_64)
        real = len(dump.raw) - dump.table - 24 * 4096
        # 128 pages of 4096: two standard deviations; one seed of many may miss by a bit.
        assert forecast.least - 2 * PAGE <= real * 1.02 and real * 0.98 <= forecast.most + 2 * PAGE
        assert forecast.least <= forecast.most
        os.close(fd)
        crash.memory.close()


def test_what_repeats_does_not_mislead_the_forecast(tmp_path: Path) -> None:
    # At the start of each 8 MiB, memory is another than elsewhere.
    data = b"".join(zero(4) + noise(2044, seed) for seed in range(12))
    path = Core().load(0x1000000, data).write(tmp_path / "in")
    done = save(tmp_path, path, dump_level=1, verify="none")
    facts = done.report["dump"]
    assert abs(facts["predicted_bytes"] / facts["bytes"] - 1) < 0.02


def test_the_room_ends_with_a_block(small_disk: Disk) -> None:
    disk = small_disk(1000)
    (disk / "file").write_bytes(bytes(10 * PAGE))
    free = os.statvfs(disk).f_bavail
    assert free == 240
    assert free_room(str(disk), 0) == 240 * PAGE
    assert free_room(str(disk), 10) == 215 * PAGE
    assert free_room(str(disk), 33) == 157 * PAGE  # of 82.5 blocks
    assert free_room(str(disk), 97) == 0
    assert free_room(str(disk), 100) == 239 * PAGE
    assert free_room(str(disk), 10 * PAGE + 1) == 229 * PAGE
    assert free_room(str(disk), 1 << 60) == 0
    with pytest.raises(FileNotFoundError):
        free_room(str(disk / "missing"), 5)


def stepped(tmp_path: Path, disk: Path, **options: object) -> tuple[Outcome, list[str]]:
    """Save the machine of STEPS on a disk; return what was said of it as well."""
    vmcore = tmp_path / "vmcore.in"
    build(STEPS, vmcore)
    console = tmp_path / "console"
    console.unlink(missing_ok=True)
    options = {"dump_compress": "none", "dump_level": 0, "console": console, **options}
    done = save(tmp_path, vmcore, output=disk / "crash", **options)
    lines = [line for line in console.read_text().splitlines() if line.startswith("<4>")]
    return done, [line for line in lines if "dump would take" in line]


@pytest.mark.parametrize(("mib", "level"), [(60, 0), (40, 17), (22, 31)])
@pytest.mark.parametrize("kind", ["kdump", "elf", "flat"])
def test_the_level_that_fits_is_taken(
    tmp_path: Path, small_disk: Disk, mib: int, level: int, kind: str
) -> None:
    done, said = stepped(tmp_path, small_disk(mib << 10), dump_format=kind)
    assert (done.status, done.report["result"]) == (0, "saved")
    facts = done.report["dump"]
    assert (facts["level"], facts["wanted_level"]) == (level, 0)
    note = facts["level_note"]
    assert bool(note) is bool(level) and all(note in line for line in said[:1])
    tried = [0, 17, 31][: [0, 17, 31].index(level)]
    assert len(said) == len(tried)
    for line, step in zip(said, tried):
        assert f"MB at dump level {step}, and " in line
        assert line.endswith("MB may be used")
    left_out = {"free": 2048, "cache": 2048} if level == 31 else {"free": 2048}
    assert facts["left_out"] == (left_out if level else {})
    assert facts["verified"] == "sample"
    room = os.statvfs(done.folder)
    assert room.f_bavail >= room.f_blocks * 5 // 100
    if kind == "kdump":
        dump = MiniReader(done.dump, X86_64)
        assert dump.level == level
        assert facts["predicted_bytes"] == pytest.approx(facts["bytes"], rel=0.15)


def test_the_wanted_bits_stay_in_a_stronger_level(tmp_path: Path, small_disk: Disk) -> None:
    done, said = stepped(tmp_path, small_disk(22 << 10), dump_level=2)
    facts = done.report["dump"]
    assert (done.status, facts["level"], facts["wanted_level"]) == (0, 19, 2)
    assert len(said) == 1
    from .description import parse

    dump = MiniReader(done.dump, X86_64)
    assert set(dump.first) - set(dump.second) == expected(parse(STEPS), 19)


@pytest.mark.parametrize("kind", ["kdump", "elf", "flat"])
def test_the_log_alone_where_nothing_fits(tmp_path: Path, small_disk: Disk, kind: str) -> None:
    core = logged(Core().load(0x1000000, noise(1500)))
    console = tmp_path / "console"
    disk = small_disk(2048)
    done = save(tmp_path, core, output=disk / "crash", dump_format=kind, console=console)
    assert (done.status, done.report["result"]) == (4, "refused")
    assert done.report["dump"] is None
    assert sorted(path.name for path in done.folder.iterdir()) == [
        "dmesg.202311142213",
        "report.json",
    ]
    assert (done.folder / "dmesg.202311142213").read_text().count("\n") == len(LOG)
    detail = done.step("dump")["detail"]
    assert detail == "no room for the dump: about 6 MB at dump level 1, and 2 MB may be used"
    assert f"<3>kdump-initrd: error: dump: {detail}" in console.read_text().splitlines()


@pytest.mark.parametrize("kind", ["kdump", "elf", "flat"])
@pytest.mark.parametrize("keep_free", [0, 20])
def test_what_is_kept_free_is_free(
    tmp_path: Path, small_disk: Disk, monkeypatch: pytest.MonkeyPatch, kind: str, keep_free: int
) -> None:
    # A forecast that is too low: the dump goes on until what it may take is taken.
    monkeypatch.setattr(budget, "_stored", lambda *_: 0)
    data = text(10) + noise(5000)
    path = Core().load(0x1000000, data).write(tmp_path / "in")
    disk = small_disk(16000)
    done = save(tmp_path, path, output=disk / "crash", keep_free=keep_free, dump_format=kind)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    detail = done.step("dump")["detail"]
    limited = "no room for the dump: the rest of the file system is kept free"
    assert detail == limited or (not keep_free and "No space left" in detail)
    free, kept = os.statvfs(disk).f_bavail, 4000 * keep_free // 100
    # And not much more than that: what is written at once, and what the report had kept.
    assert kept <= free <= kept + 100
    dump = open_dump(str(done.dump))
    assert dump.read_physical(0x1000000, 10 * PAGE) == text(10)
    dump.close()


@pytest.mark.parametrize("options", [{}, {"dump_format": "elf"}, {"dump_format": "flat"}])
def test_somebody_else_takes_the_room(
    tmp_path: Path,
    small_disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, object],
) -> None:
    disk = small_disk(40 << 10)
    copy = pagecopy.PageCopier.copy

    def greedy(self: pagecopy.PageCopier, number: int) -> None:
        if number == 2:
            with (disk / "filler").open("wb", buffering=0) as file:
                while True:
                    try:
                        file.write(bytes(1 << 20))
                    except OSError:
                        break
        copy(self, number)

    monkeypatch.setattr(pagecopy.PageCopier, "copy", greedy)
    content = noise(7000)
    path = logged(Core().load(0x1000000, content)).write(tmp_path / "in")
    done = save(tmp_path, path, output=disk / "crash", dump_level=1, **options)
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.step("dump")["detail"] == "no room for the dump: No space left on device"
    assert done.dump.name == "vmcore-incomplete"
    lost = done.report["dump"]["lost_pages"]
    assert 2000 < lost < 3000
    dump = open_dump(str(done.dump))
    assert dump.read_physical(0x1000000, 4096 * PAGE) == content[: 4096 * PAGE]
    dump.close()


def test_a_thin_pool_has_less_room_than_the_file_system(small_disk: Disk, tmp_path: Path) -> None:
    """Of the pool, the volume has some already; what the file system uses of that is taken."""
    pool, disk = tmp_path / "pool", small_disk(1000)
    (disk / "file").write_bytes(bytes(10 * PAGE))
    info = os.statvfs(disk)
    whole = 2000 * PAGE
    used = whole - info.f_bfree * info.f_frsize
    for said, room in (
        (f"1000 {used + 500} {whole}\n", 1500),
        (f"1000 {used - 500} {whole}\n", 1000),
        ("", 1 << 62),
        ("x y\n", 1 << 62),
    ):
        pool.write_text(said)
        assert pool_room(str(disk), str(pool)) == room
    assert pool_room(str(disk), str(tmp_path / "none")) == 1 << 62
