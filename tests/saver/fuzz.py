# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged vmcores and dumps without end: ``python -m tests.saver.fuzz [--seconds N] [--seed S]``.

Input N of a run with seed S is made from the seed S + N alone, so that one that fails can be made
again: ``--seed S+N --count 1``.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.vm.kernels import newest
from tests.vm.vmcores import raw_vmcore

from . import damage
from .attempt import attempt, problems

#: The start of a real vmcore that is damaged: headers, notes, and the kernel's image, which has
#: page tables and VMCOREINFO in it.
_START = 32 << 20


@dataclass(frozen=True)
class Result:
    """What came out of a run: the count of inputs, and a line for each that failed."""

    inputs: int
    failures: list[str]


class Fuzzer:
    """Has a folder, the inputs that are damaged, and a copy of a real vmcore if there is one."""

    def __init__(self, folder: Path, real: Path | None = None) -> None:
        self._folder = folder
        machine = damage.machine(folder)
        dumps = [damage.dump(folder, machine, codec) for codec in ("lzo", "zstd", "zlib", "snappy")]
        self._inputs = [damage.core(), machine, machine, *dumps, damage.flat(dumps[0], 1)]
        self._inputs.append(damage.dump(folder, machine, "none", dump_format="elf"))
        for name in damage.FOREIGNERS:
            given = damage.foreign(folder, name)
            self._inputs += [given, damage.dump(folder, given, "none")]
        self._real = folder / "real" if real else None
        if real and self._real:
            words = ["cp", "--sparse=always", str(real), str(self._real)]
            subprocess.run(words, timeout=120, check=True)

    def one(self, seed: int) -> list[str]:
        """Save one damaged input; return what was wrong with that."""
        rng = random.Random(seed)
        options: dict[str, object] = {
            "dump_level": rng.choice((0, 1, 2, 16, 31, 31, 31)),
            "dump_format": rng.choice(("kdump", "kdump", "elf", "flat")),
            "dump_compress": rng.choice(("lzo", "zstd", "none")),
            "verify": rng.choice(("none", "sample", "full")),
            "jobs": rng.choice((1, 1, 2)),
        }
        if self._real and rng.random() < 0.1:
            with _damaged(self._real, rng) as name:
                done = attempt(self._real, self._folder / "out", options, limit=60)
                found = problems(done, seconds=30)
        else:
            given = rng.choice(self._inputs)
            what, raw = damage.any_damage(given, rng)
            bad = damage.bad_pages(len(raw), rng)
            name = f"{given.name}, {what}, {len(bad)} bad pages"
            path = self._folder / "in"
            path.write_bytes(raw)
            done = attempt(path, self._folder / "out", options, before=lambda: damage.spoil(bad))
            found = problems(done)
        said = " ".join(f"{key}={value}" for key, value in options.items())
        return [f"seed {seed} ({name}; {said}): {line}" for line in found]

    def run(self, seed: int, *, seconds: float, count: int = 1 << 62) -> Result:
        """Save so many inputs, or for so long."""
        end = time.monotonic() + seconds
        failures: list[str] = []
        number = 0
        while number < count and time.monotonic() < end:
            found = self.one(seed + number)
            failures += found
            for line in found:
                print(line, flush=True)
            number += 1
        return Result(number, failures)


@contextmanager
def _damaged(path: Path, rng: random.Random) -> Iterator[str]:
    # Damage a file in place, and mend it.
    with path.open("r+b") as file:
        before: list[tuple[int, bytes]] = []
        for _ in range(rng.choice((1, 3, 30, 300))):
            at = rng.randrange(rng.choice((64, 4096, _START)))
            new = rng.choice((bytes(8), b"\xff" * 8, rng.randbytes(8), rng.randbytes(1)))
            file.seek(at)
            before.append((at, file.read(len(new))))
            file.seek(at)
            file.write(new)
        file.flush()
        try:
            yield f"real, {len(before)} places"
        finally:
            for at, old in reversed(before):
                file.seek(at)
                file.write(old)


def run(seed: int, *, seconds: float, count: int = 1 << 62, real: bool = True) -> Result:
    """Fuzz in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        fuzzer = Fuzzer(Path(folder), raw_vmcore(newest()) if real else None)
        return fuzzer.run(seed, seconds=seconds, count=count)


def main(argv: list[str]) -> int:
    """Run as a command; 0 means that nothing failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()) << 20)
    parser.add_argument("--count", type=int, default=1 << 62)
    parser.add_argument("--no-real", action="store_true", help="synthetic inputs only")
    words = parser.parse_args(argv)
    done = run(words.seed, seconds=words.seconds, count=words.count, real=not words.no_real)
    print(f"seed {words.seed}: {done.inputs} inputs, {len(done.failures)} failures")
    return 1 if done.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
