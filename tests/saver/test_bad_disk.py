# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad blocks under a dump, and a disk that dies: known at once, mended where that can be, named."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdump_initrd.saver import save
from kdump_initrd.saver.__main__ import main
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.formats.kdump.kdumpread import KdumpDump
from kdump_initrd.saver.low import progress
from kdump_initrd.saver.low.writeback import Writeback
from kdump_initrd.saver.memory.reader import Memory
from kdump_initrd.saver.report import Report
from kdump_initrd.saver.store import relocation

from .baddisk import BLOCK, BadDisk, bad_disk, blocks_of
from .logged import logged
from .running import Outcome, arguments
from .vmcore import PAGE, Core, noise, text

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")
KINDS = ("kdump", "elf", "flat")
#: Pages of the core, and its first page frame.
PAGES, FIRST = 5000, 0x1000
#: One block of 150 is bad, behind what the file system itself has; of 700 where a dump's pages have
#: one place in the file only, since blocks that are given back are given out again.
SPOILED, FEWER = range(4000, 24000, 150), range(4000, 24000, 700)


@pytest.fixture(scope="module")
def content() -> bytes:
    return noise(3000) + text(2000)


@pytest.fixture(scope="module")
def vmcore(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    core = Core().load(FIRST * PAGE, content)
    return logged(core).write(tmp_path_factory.mktemp("bad") / "vmcore")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[BadDisk, Path]]:
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not Path(device).exists():
            pytest.skip(f"no {device}")
    with bad_disk(tmp_path, mib=96) as found:
        yield found


def saved(vmcore: Path, mounted: Path, **options: object) -> Outcome:
    status = main(arguments(vmcore, mounted, dump_level=0, keep_free=0, **options))
    folder = mounted / "crash"
    return Outcome(status, folder, json.loads((folder / "report.json").read_text()))


def pages(path: Path) -> list[bytes | None]:
    """Return what the disk has of the core's pages, None for one that is lost."""
    Path("/proc/sys/vm/drop_caches").write_text("3")
    dump = open_dump(str(path))
    try:
        return [_page(dump, FIRST + number) for number in range(PAGES)]
    finally:
        dump.close()


def _page(dump: Memory, pfn: int) -> bytes | None:
    return dump.page(pfn) if isinstance(dump, KdumpDump) else dump.read_physical(pfn * PAGE, PAGE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("jobs", [1, 2])
def test_bad_blocks_are_gone_round(
    disk: tuple[BadDisk, Path],
    vmcore: Path,
    content: bytes,
    kind: str,
    jobs: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    bad, mounted = disk
    spoiled = SPOILED if kind == "kdump" else FEWER
    bad.spoil(spoiled)
    done = saved(vmcore, mounted, dump_format=kind, jobs=jobs)
    facts = done.report["dump"]
    assert (done.status, facts["lost_pages"], facts["unwritten_pages"]) == (0, 0, 0)
    assert facts["moved_pages"] > 100 and facts["verified"] == "sample"
    said = f"{facts['moved_pages']} pages were written again, elsewhere: Input/output error"
    assert f"warning: {said}\n" in capfd.readouterr().err
    assert not set(blocks_of(done.dump)) & set(spoiled), "cp would fail"
    found = pages(done.dump)
    assert b"".join(page or b"" for page in found) == content


#: Drops what the page cache has of the files of a folder, as soon as that can be; until killed.
DROP = """
import os, sys
print(flush=True)
while True:
    try:
        for name in os.listdir(sys.argv[1]):
            fd = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
    except OSError:
        pass
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_record_that_is_mended_is_not_left_to_the_page_cache(
    disk: tuple[BadDisk, Path], vmcore: Path, content: bytes, jobs: int
) -> None:
    # What could not be written is clean: little memory, and it is gone.
    bad, mounted = disk
    bad.spoil(FEWER)
    folder = mounted / "here"
    words = [sys.executable, "-c", DROP, str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as dropping:
        assert dropping.stdout and dropping.stdout.readline()
        try:
            options = {"directory": "here", "dump_format": "flat", "jobs": jobs}
            status = main(arguments(vmcore, mounted, dump_level=0, keep_free=0, **options))
        finally:
            dropping.kill()
    assert (status, [path.name for path in folder.glob("vmcore*")]) == (0, ["vmcore"])
    assert json.loads((folder / "report.json").read_text())["dump"]["moved_pages"] > 100
    assert b"".join(page or b"" for page in pages(folder / "vmcore")) == content


@pytest.mark.parametrize("kind", ["kdump", "elf"])
def test_what_the_disk_takes_nowhere_is_counted_and_named(
    disk: tuple[BadDisk, Path],
    vmcore: Path,
    content: bytes,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(relocation, "_TRIES", 1)
    bad, mounted = disk
    bad.spoil(SPOILED)
    done = saved(vmcore, mounted, dump_format=kind)
    facts = done.report["dump"]
    lost = facts["lost_pages"]
    assert (done.status, done.dump.name) == (1, "vmcore-incomplete")
    assert 0 < lost == facts["unwritten_pages"] < facts["moved_pages"]
    why = f"{lost} pages could not be written: Input/output error"
    assert done.step("dump")["detail"] == why
    assert f"error: dump: {why}; {lost} of {PAGES + 2} pages are lost" in capfd.readouterr().err
    found = pages(done.dump)
    wrong = [
        number
        for number, page in enumerate(found)
        if page != content[number * PAGE : (number + 1) * PAGE]
    ]
    # Those of an ELF dump are holes.
    assert len(wrong) == lost and all(not any(found[number] or b"") for number in wrong)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("after", [1 << 20, 10 << 20])
def test_a_disk_that_dies_is_known_within_seconds(
    disk: tuple[BadDisk, Path],
    vmcore: Path,
    kind: str,
    jobs: int,
    after: int,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, mounted = disk
    report = Report()
    monkeypatch.setattr(save, "Report", lambda *_: report)  # the disk will not have it
    bad.die_after(after)
    start = time.monotonic()
    words = arguments(vmcore, mounted, dump_level=0, dump_format=kind, jobs=jobs, keep_free=0)
    status = main(words)
    assert time.monotonic() - start < 10
    assert status in (1, 3)
    said = capfd.readouterr().err
    (why,) = [str(step["detail"]) for step in report.steps if step["name"] == "dump"]
    assert f"error: dump: {why}" in said
    if not why.startswith("the dump cannot be written: "):
        # It died so late that the pages that were left were tried before that was clear.
        facts = report.fields["dump"]
        assert isinstance(facts, dict)
        assert why == f"{facts['unwritten_pages']} pages could not be written: Input/output error"
        assert 0 < facts["unwritten_pages"] <= facts["lost_pages"]
        assert facts["name"] == "vmcore-incomplete"
    assert "error: report: " in said, "the report cannot be there either"
    assert "Traceback" not in said


def test_a_header_on_a_bad_block_is_moved_before_anything_is_copied(
    disk: tuple[BadDisk, Path], vmcore: Path, content: bytes
) -> None:
    bad, mounted = disk
    (mounted / "crash").mkdir()
    os.sync()
    bad.spoil(block for block in range(4000, 12000) if block % 40 == 0)
    done = main(arguments(vmcore, mounted, dump_level=0, keep_free=0))
    assert done == 0
    folder = mounted / "crash-2"
    assert pages(folder / "vmcore") == [
        content[number * PAGE : (number + 1) * PAGE] for number in range(PAGES)
    ]


def test_each_description_is_told_of_an_error_once(disk: tuple[BadDisk, Path]) -> None:
    bad, mounted = disk
    fd = os.open(mounted / "file", os.O_RDWR | os.O_CREAT)
    first, second = Writeback(fd), Writeback(fd)
    bad.spoil(range(2000, 24576, 8))
    os.pwrite(fd, noise(64), 0)
    assert first.wait(0, 64 * PAGE) == errno.EIO
    assert first.wait(0, 64 * PAGE) == 0, "it has been told"
    assert second.wait(0, 64 * PAGE) == errno.EIO
    late = Writeback(fd)
    assert late.wait(0, 64 * PAGE) == 0, "somebody knows of it"
    bad.spoil([])
    assert first.mend(0, 64 * PAGE) == []
    for each in (first, second, late):
        each.close()
    os.close(fd)
    assert (mounted / "file").read_bytes() == noise(64)


def test_reading_back_is_by_the_disk(disk: tuple[BadDisk, Path], vmcore: Path) -> None:
    # What went bad after it was written: the page cache still has it, verification must not.
    _, mounted = disk
    done = saved(vmcore, mounted, verify="none")
    assert done.status == 0
    fd = os.open(done.dump, os.O_RDWR)
    here = Writeback(fd)
    os.pread(fd, BLOCK, 40 * BLOCK)
    assert os.preadv(fd, [bytearray(BLOCK)], 40 * BLOCK, os.RWF_NOWAIT) == BLOCK, "it is cached"
    here.drop()
    with pytest.raises(BlockingIOError):
        os.preadv(fd, [bytearray(BLOCK)], 40 * BLOCK, os.RWF_NOWAIT)
    here.close()
    os.close(fd)


def test_a_block_that_goes_bad_behind_the_copy_is_found_by_verification(
    disk: tuple[BadDisk, Path], vmcore: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, mounted = disk
    drop = Writeback.drop

    def spoil(self: Writeback) -> None:
        (path,) = (mounted / "crash").glob("vmcore-*")
        bad.spoil([blocks_of(path)[-20]])
        drop(self)

    monkeypatch.setattr(Writeback, "drop", spoil)
    done = saved(vmcore, mounted)
    assert (done.status, done.report["dump"]["verified"]) == (1, "none")
    assert done.step("dump")["detail"] == "verification failed: Input/output error"


def test_a_log_on_a_bad_block_is_written_a_second_time(
    disk: tuple[BadDisk, Path],
    vmcore: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    bad, mounted = disk
    fsync = os.fsync
    spoiled: list[int] = []

    def spoil(fd: int) -> None:
        if not spoiled and "dmesg" in Path(f"/proc/self/fd/{fd}").readlink().name:
            # Where it goes is known when it is there.
            fsync(fd)
            spoiled.extend(blocks_of(Path(f"/proc/self/fd/{fd}").readlink()))
            bad.spoil(spoiled)
            os.pwrite(fd, b"[", 0)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", spoil)
    done = saved(vmcore, mounted)
    assert (done.status, done.step("dmesg")["result"]) == (0, "done")
    (log,) = done.folder.glob("dmesg*")
    assert spoiled and not set(blocks_of(log)) & set(spoiled)
    assert log.read_text().endswith("Kernel panic - not syncing: a test\n")
    said = "warning: dmesg: Input/output error: it is written again, elsewhere\n"
    assert said in capfd.readouterr().err


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_written_again_feeds_the_stall_timer(
    disk: tuple[BadDisk, Path],
    vmcore: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jobs: int,
) -> None:
    monkeypatch.setattr(progress, "_FEED", 0)
    bad, mounted = disk
    numbers = []
    for name, blocks in (("good", range(0)), ("bad", SPOILED)):
        bad.spoil(blocks)
        path = tmp_path / name
        options = {"directory": name, "progress": path, "verify": "none", "jobs": jobs}
        main(arguments(vmcore, mounted, dump_level=0, keep_free=0, **options))
        numbers.append(int(path.read_text().split()[0]))
    assert numbers[1] > numbers[0] + 10
