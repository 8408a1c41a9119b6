# SPDX-License-Identifier: GPL-2.0-or-later
"""The saver beside makedumpfile, on the same file, turn about; the filter alone; its memory.

Dumps go to memory where that is possible: a disk would decide, not the programs. Neither side
verifies. The times are those of whole processes, Python's start included.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kdump_initrd.saver.crash.facts import Crash
from kdump_initrd.saver.filter.walk import PageFilter
from kdump_initrd.saver.formats.dumpfile import open_dump
from kdump_initrd.saver.low.selection import Selection
from tests.saver.synthetic import tebibyte_cache, tebibyte_free
from tests.vm.vmcores import filled_vmcore

from .subject import chosen_kernel, progress
from .table import Row, report

_ROOT = Path(__file__).resolve().parents[2]
_ROUNDS = 5
_GIB = 1 << 30
_SHM = Path("/dev/shm")
#: What an image gets; in a virtual environment a start takes longer.
_PYTHON = "/usr/bin/python3"
#: Name, makedumpfile's words, the saver's options.
_SIDES = {
    "-l -d 31": (("-l", "-d", "31"), ("31", "lzo")),
    "-l -d 1": (("-l", "-d", "1"), ("1", "lzo")),
    "-c -d 31": (("-c", "-d", "31"), ("31", "zlib")),
}


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=_SHM if _SHM.is_dir() else None, prefix="bench-saver-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _timed(argv: list[str], folder: Path, environment: dict[str, str]) -> float:
    # The seconds of one program that fills an empty folder.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    start = time.perf_counter()
    done = subprocess.run(
        argv, env=environment, cwd=_ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{argv[0]}: {done.stderr[-500:]}")
    return seconds


class Bench:
    """Runs both programs on a vmcore; dumps go to a folder in memory."""

    def __init__(self, vmcore: Path, folder: Path) -> None:
        self.vmcore = vmcore
        self.out = folder / "out"
        # As in the image: its starter, compiled before, no site packages, no search for a seed.
        template = (_ROOT / "templates/python.j2").read_text(encoding="utf-8")
        self._starter = template.partition("-c '")[2].partition('\' "$@"')[0]
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(_ROOT),
            "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        }

    def saver(self, level: str, codec: str, jobs: int, vmcore: Path | None = None) -> float:
        """Seconds of the saver."""
        argv = [_PYTHON, "-S", "-s", "-P", "-c", self._starter, "__main__", "--dump.verify", "none"]
        argv += ["--vmcore", str(vmcore or self.vmcore), "--target.folder", str(self.out)]
        argv += ["--names.directory", "crash", "--target.keep_free", "0", "--dump.jobs", str(jobs)]
        argv += ["--dump.level", level, "--dump.compress", codec]
        return _timed(argv, self.out, self.environment)

    def rival(self, words: tuple[str, ...]) -> float:
        """Seconds of makedumpfile."""
        argv = ["makedumpfile", *words, str(self.vmcore), str(self.out / "dump")]
        return _timed(argv, self.out, self.environment)

    def memory(self) -> int:
        """RssAnon of the last run of the saver, in KiB."""
        told = json.loads((self.out / "crash/report.json").read_text())
        return int(told["rss_anon_kib"])


def _ratios(bench: Bench) -> list[Row]:
    seconds: dict[str, list[float]] = {}
    bench.saver("31", "lzo", 1)  # compiles
    for number in range(1, _ROUNDS + 1):
        progress(f"round {number} of {_ROUNDS}")
        for name, (words, (level, codec)) in _SIDES.items():
            seconds.setdefault(f"makedumpfile {name}", []).append(bench.rival(words))
            seconds.setdefault(f"ours {name}", []).append(bench.saver(level, codec, 1))
        for name in ("-l -d 31", "-l -d 1"):
            words, (level, codec) = _SIDES[name]
            seconds.setdefault(f"two {name}", []).append(bench.saver(level, codec, 2))
            threads = bench.rival((*words, "--num-threads", "2"))
            seconds.setdefault(f"threads {name}", []).append(threads)
    median = {name: statistics.median(of) for name, of in seconds.items()}
    for name, value in median.items():
        progress(f"{name}: {value:.3f} s")

    def ratio(what: str, slow: str, quick: str, least: float) -> Row:
        note = f"{median[slow]:.3f} s / {median[quick]:.3f} s"
        return Row(what, median[slow] / median[quick], "x", least, note, at_least=True)

    rows = []
    for name, least in (("-l -d 31", 1.0), ("-l -d 1", 1.0), ("-c -d 31", 1.7)):
        rows.append(ratio(f"speed, {name}", f"makedumpfile {name}", f"ours {name}", least))
    for name in ("-l -d 31", "-l -d 1"):
        rows.append(ratio(f"two workers, one, {name}", f"ours {name}", f"two {name}", 1.7))
        rows.append(ratio(f"two workers, 2 threads, {name}", f"threads {name}", f"two {name}", 2.5))
    return rows


def _filter_seconds(vmcore: Path, folder: Path) -> tuple[float, int]:
    """Return the best seconds of the filter alone at level 31, and the bytes of memory."""
    best = float("inf")
    for _ in range(3):
        memory = open_dump(str(vmcore))
        crash = Crash(memory)
        source = crash.source()
        start = time.perf_counter()
        chosen = PageFilter(memory, crash.info, source, level=31)
        with (folder / "bitmap").open("w+b") as file:
            selection = Selection(file.fileno(), 0)
            chosen.run(source.runs(), selection, lambda _: None)
            selection.finish()
        best = min(best, time.perf_counter() - start)
        memory.close()
        if best > 1:
            break
    return best, source.pages * source.page_size


def main() -> int:
    """Measure and print; the status is 1 if a demand is not met."""
    kernel = chosen_kernel(__doc__ or "")
    vmcore = filled_vmcore(kernel)
    with _folder() as folder:
        bench = Bench(vmcore, folder)
        rows = _ratios(bench)
        bench.saver("31", "lzo", 1)
        memory = Row("RssAnon, 1 GiB", bench.memory() / 1024, "MB", 14)
        seconds, size = _filter_seconds(vmcore, folder)
        rows.append(Row("filter, a GiB of mixed memory", seconds * _GIB / size, "s", 0.10))
        for what, build, limit in (
            ("mostly free", tebibyte_free, 10.0),
            ("page cache of order 0", tebibyte_cache, 90.0),
        ):
            progress(f"1 TiB, {what}")
            path = folder / "tebibyte"
            build(path)
            rows.append(Row(f"filter, 1 TiB, {what}", _filter_seconds(path, folder)[0], "s", limit))
            bench.saver("31", "lzo", 1, path)
            rows.append(Row(f"RssAnon, 1 TiB, {what}", bench.memory() / 1024, "MB", 20))
            path.unlink()
        return report(f"the saver, kernel {kernel.release}, 1 GiB guest", [*rows, memory])


if __name__ == "__main__":
    sys.exit(main())
