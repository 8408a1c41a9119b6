# SPDX-License-Identifier: GPL-2.0-or-later
"""Verification: what can be wrong with a finished dump is found before it gets its name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver.crash.facts import Crash
from kdump_initrd.saver.dump import dumping
from kdump_initrd.saver.dump.verify import Verification
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.kdump.kdumpread import KdumpDump
from kdump_initrd.saver.low.selection import Selection

from .faults import FaultyWindow
from .minireader import MiniReader
from .running import Outcome, save
from .samples import sample
from .vmcore import PAGE, PPC64, X86_64, Core, noise, text, zero

#: Changes a finished dump; gets its path.
Damage = Callable[[Path], None]
#: Pages of the sample core.
PAGES = 350


def damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage, **options: object
) -> Outcome:
    """Save the sample core, with damage between writing and verification."""
    verify = dumping.Dumping._verify

    def damage_first(self: dumping.Dumping, fd: int, path: str, *rest: object) -> str:
        damage(Path(path))
        return verify(self, fd, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(dumping.Dumping, "_verify", damage_first)
    return save(tmp_path, sample()[0], dump_level=1, **options)


def flip(path: Path, at: int, bits: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes((byte ^ bits,)))


def refused(done: Outcome, capfd: pytest.CaptureFixture[str]) -> str:
    """Demand that the dump is kept as an incomplete one; return why."""
    assert (done.status, done.report["result"]) == (1, "incomplete")
    assert done.dump.name == "vmcore-incomplete" and done.dump.exists()
    assert not (done.folder / "vmcore").exists()
    facts = done.report["dump"]
    assert (facts["verified"], facts["sha256"]) == ("none", "")
    detail = done.step("dump")["detail"]
    assert isinstance(detail, str)
    assert f"kdump-initrd: error: dump: {detail}\n" in capfd.readouterr().err
    before, colon, why = detail.partition(": ")
    assert (before, colon) == ("verification failed", ": ")
    return why


@pytest.mark.parametrize("mode", ["none", "sample", "full"])
@pytest.mark.parametrize("kind", ["kdump", "elf", "flat"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_good_dump(tmp_path: Path, mode: str, kind: str, jobs: int) -> None:
    done = save(tmp_path, sample()[0], verify=mode, dump_format=kind, jobs=jobs)
    assert (done.status, done.dump.name) == (0, "vmcore")
    facts = done.report["dump"]
    assert facts["verified"] == mode
    if mode == "none":
        assert (facts["verified_pages"], facts["sha256"]) == (0, "")
        assert "verify" not in facts["seconds"]
        return
    if mode == "full":
        assert facts["verified_pages"] == PAGES
    else:
        assert 200 <= facts["verified_pages"] <= 256
    assert facts["sha256"] == hashlib.sha256(done.dump.read_bytes()).hexdigest()
    assert facts["seconds"]["verify"] >= 0


def test_a_dump_of_another_byte_order(tmp_path: Path) -> None:
    done = save(tmp_path, sample(PPC64)[0], verify="full")
    assert (done.status, done.report["dump"]["verified_pages"]) == (0, PAGES)


@pytest.mark.parametrize("mode", ["sample", "full"])
@pytest.mark.parametrize("kind", ["kdump", "elf", "flat"])
def test_memory_that_ends_within_a_page(tmp_path: Path, mode: str, kind: str) -> None:
    core = Core().load(0x1000FC, text(3)).load(0x110000, noise(1)[:100]).load(0x1100F0, noise(1))
    done = save(tmp_path, core, verify=mode, dump_format=kind, dump_level=1)
    assert (done.status, done.report["dump"]["verified_pages"]) == (0, 6), done.report


def test_a_sample_is_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    page = KdumpDump.page

    def look(self: KdumpDump, pfn: int) -> bytes | None:
        looked.append(pfn)
        return page(self, pfn)

    monkeypatch.setattr(KdumpDump, "page", look)
    core = Core().load(0x1000000, text(3) + zero(8000) + noise(1))
    core.load(0x10000000, zero(2000))
    assert save(tmp_path, core).report["dump"]["verified_pages"] == len(looked) <= 256
    assert len(set(looked)) == len(looked) > 200
    for start in (0x1000, 0x1000 + 2000, 0x1000 + 4000, 0x1000 + 6000, 0x10000):
        assert [pfn for pfn in looked if start <= pfn < start + 2000]


@pytest.mark.parametrize("kind", ["kdump", "flat"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_flipped_byte_of_a_page(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    jobs: int,
) -> None:
    def damage(path: Path) -> None:
        # A page that is stored as it is: no codec complains.
        raw = path.read_bytes()
        at = raw.index(noise(9)[5 * PAGE : 6 * PAGE])
        flip(path, at + 1000)

    options = {"dump_format": kind, "verify": "full", "jobs": jobs}
    done = damaged(tmp_path, monkeypatch, damage, **options)
    assert (
        refused(done, capfd) == f"the page at {0x100000 + (320 + 5) * PAGE:#x} differs from memory"
    )


def test_a_flipped_byte_of_a_compressed_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def damage(path: Path) -> None:
        desc = MiniReader(path, X86_64).pages[0x100]
        flip(path, desc.offset + 20, 0xFF)

    done = damaged(tmp_path, monkeypatch, damage, verify="full")
    assert "0x100000" in refused(done, capfd) or "liblzo2" in done.step("dump")["detail"]


@pytest.mark.parametrize("mode", ["sample", "full"])
def test_a_flipped_byte_of_an_elf_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], mode: str
) -> None:
    def damage(path: Path) -> None:
        for page in range(9):
            flip(path, path.read_bytes().index(noise(9)[page * PAGE : (page + 1) * PAGE]) + 7)

    done = damaged(tmp_path, monkeypatch, damage, dump_format="elf", verify=mode)
    assert "differs from memory" in refused(done, capfd)


@pytest.mark.parametrize("which", ["first", "second", "hole"])
@pytest.mark.parametrize("mode", ["sample", "full"])
def test_a_flipped_bit_of_a_bitmap(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    which: str,
    mode: str,
) -> None:
    def damage(path: Path) -> None:
        dump = MiniReader(path, X86_64)
        half = dump.bitmap_blocks // 2 * PAGE
        at = dump.table - (half if which == "second" else 2 * half)
        flip(path, at + (0x300 if which == "hole" else 0x100) // 8 + 20)

    why = refused(damaged(tmp_path, monkeypatch, damage, verify=mode), capfd)
    assert (
        why
        == {
            "first": "the dump's first bitmap is not that of memory",
            "second": f"the dump's bitmap has {PAGES - 1} pages instead of {PAGES}",
            "hole": "the dump's first bitmap has more pages than memory",
        }[which]
    )


@pytest.mark.parametrize(
    ("at", "bits", "why"),
    [
        (7, 0x40, "a page descriptor of the dump points nowhere"),
        (0, 0, "1 page descriptors are empty, and 0 pages were lost"),
        (10, 0xFF, "a page descriptor of the dump points nowhere"),
    ],
)
def test_a_damaged_descriptor(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    at: int,
    bits: int,
    why: str,
) -> None:
    def damage(path: Path) -> None:
        table = MiniReader(path, X86_64).table
        if bits:
            flip(path, table + 24 * 7 + at, bits)
            return
        with path.open("r+b") as file:
            file.seek(table + 24 * 7)
            file.write(bytes(24))

    assert refused(damaged(tmp_path, monkeypatch, damage), capfd) == why


@pytest.mark.parametrize("kind", ["kdump", "elf", "flat"])
@pytest.mark.parametrize("left", [-1, -3000, 0.5, 0.02, 100, 0])
def test_a_dump_that_was_cut(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    left: float,
) -> None:
    def damage(path: Path) -> None:
        size = path.stat().st_size
        end = size + left if left < 0 else size * left if left < 1 else left
        os.truncate(path, int(end))

    done = damaged(tmp_path, monkeypatch, damage, dump_format=kind)
    assert refused(done, capfd)
    assert "Error" not in done.step("dump")["detail"], "a bug"


@pytest.mark.parametrize("at", [0, 428, 436])
def test_a_damaged_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], at: int
) -> None:
    done = damaged(tmp_path, monkeypatch, lambda path: flip(path, at, 0xFF))
    assert refused(done, capfd)
    assert "Error" not in done.step("dump")["detail"], "a bug"


def test_without_verification_nothing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = damaged(tmp_path, monkeypatch, lambda path: flip(path, 0), verify="none")
    assert (done.status, done.dump.name) == (0, "vmcore")
    assert done.report["dump"]["verified"] == "none"


@pytest.mark.parametrize("kind", ["kdump", "flat"])
def test_the_check_of_a_large_structure_shows_signs_of_life(tmp_path: Path, kind: str) -> None:
    # 28 pages of bitmaps, and 2.4 MB of descriptors; few bytes between two signs.
    core = Core().load(0x1000000, text(4) + zero(100000))
    path = core.write(tmp_path / "in")
    done = save(tmp_path, path, dump_format=kind, dump_level=1, verify="none")
    crash = Crash(open_dump(str(path)))
    fd = os.memfd_create("bitmap")
    selection = Selection(fd, 0)
    selection.add_run(0x1000, 100004)
    selection.finish()
    check = Verification(str(done.dump), crash.source(), selection)
    told: list[int] = []
    check.structure(0, told.append)
    assert min(told) > 0 and max(told) <= 64 << 10
    assert sum(told) >= 24 * 100004 + 2 * 104100 // 8
    check.close()
    crash.memory.close()
    os.close(fd)


@pytest.mark.parametrize("mode", ["sample", "full"])
def test_memory_that_cannot_be_read_again_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    from kdump_initrd.saver.formats import dumpfile

    windows: list[FaultyWindow] = []

    def window(path: str) -> FaultyWindow:
        windows.append(FaultyWindow(path))
        return windows[-1]

    def damage(_: Path) -> None:
        windows[0]._bad_pages = tuple(range(20, 40))
        windows[0]._unmap()

    monkeypatch.setattr(dumpfile, "Window", window)
    done = damaged(tmp_path, monkeypatch, damage, verify=mode)
    assert (done.status, done.report["dump"]["verified"]) == (0, mode)
    assert 0 < done.report["dump"]["verified_pages"] <= PAGES - 20
