# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile and odd roots: ``python -m tests.roots.fuzz [--seconds N] [--seed S] [--only TEXT]``.

Each path that a command reads of a root is replaced by each oddity (oddities.py); a run must end
in time, within memory, with one line at most, and touch nothing outside of the root. Without
--seconds every combination is tried once.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..golden_images import fakeroot
from ..golden_images.systems import SYSTEMS, System
from . import trial
from .oddities import FOLDERS, KINDS, odd
from .trial import MEMORY, SECONDS, Trial

_UUID = "UUID=4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"
_CONFIGURATION = f"""\
[capture]
device = "{_UUID}"
fstype = "FSTYPE"
[image]
hardware = ["virtio", "scsi"]
"""
#: What an administrator has of his own.
_OVERRIDES = {
    "etc/kdump-initrd.toml.d/10-more.toml": "[capture]\ndump-level = 31\n",
    "etc/kdump-initrd/hooks/save/60-mine": "#!/bin/sh\n# needs: cat\ncat /proc/uptime\n",
    "etc/modprobe.d/mine.conf": "options virtio_blk queue_depth=16\n",
    "etc/depmod.d/mine.conf": "search updates built-in\n",
    "etc/ld.so.conf": "include /etc/ld.so.conf.d/*.conf\n",
    "etc/ld.so.conf.d/mine.conf": "/opt/lib\n",
}
#: Lines that a run may say more than one of: each kernel has one, and what is advised is none.
_ERROR = re.compile(r"^kdump-initrd: error: ", re.MULTILINE)
_CANARY = "The host's own: nobody reads this.\n"


@dataclass(frozen=True)
class Case:
    """One combination: a path of the root, what it becomes, and the command that is run."""

    path: str
    kind: str
    command: str

    def __str__(self) -> str:
        return f"{self.command}: {self.path}: {self.kind}"


class Fuzzer:
    """A root in the folder ``top``, the host's folder beside it, and the commands on it."""

    def __init__(self, top: Path, system: System) -> None:
        self.root = fakeroot.build(top / "root", system)
        self.host = top / "host"
        self._system = system
        self._top = top
        self._out = top / "out"
        self._out.mkdir()
        self._write_overrides()
        self._write_host()
        self.commands = self._commands()
        for name in ("refresh", "plan"):
            words = [word for word in self.commands[name] if word != "--dry-run"]
            found = trial.run([*words, "-o", str(top / "healthy.img")] if name == "plan" else words)
            assert found.status == 0, found.said
        self._before = self._look()

    def _write_overrides(self) -> None:
        texts = {"etc/kdump-initrd.toml": _CONFIGURATION.replace("FSTYPE", self._system.fstype)}
        for name, text in {**_OVERRIDES, **texts}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        shipped = Path(__file__).parents[2] / "templates"
        for name in ("init.j2", "first/arm.j2"):
            path = self.root / "etc/kdump-initrd/templates" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(shipped / name, path)
        mine = self.root / f"etc/kdump-initrd/distros/{self._system.profile}.toml"
        mine.parent.mkdir()
        mine.write_text('[dump]\nreadme = "README.txt"\n')

    def _write_host(self) -> None:
        # What a link of a folder finds there is of the names that are looked for.
        (self.host / "folder").mkdir(parents=True)
        (self.host / "file").write_text(_CANARY)
        for source in sorted(self.root.glob("boot/*")):
            (self.host / "folder" / source.name).write_bytes(source.read_bytes())
        for name in ("init.j2", "10-more.toml", "os.py", "fstab", "os-release", "save"):
            (self.host / "folder" / name).write_text(_CANARY)

    def _commands(self) -> Mapping[str, Sequence[str]]:
        root, release = str(self.root), self._system.release
        initrd = str(self.root / self._system.initrd)
        capture = str(self._top / "healthy.img")
        place = ("--root", root)
        plan = ("-c", _UUID, "-f", self._system.fstype, "--hardware", "virtio", *place)
        return {
            "plan": (*plan, "--dry-run", release),
            "build": (*plan, "--force", "-o", str(self._out / "image"), release),
            "first": ("-i", capture, "-v", release, "--dry-run", *place, release),
            "refresh": ("--refresh", "--dry-run", *place),
            "list": ("--list", initrd),
            "check": ("--check-config", *place),
            "show": ("--show-distro", *place),
        }

    def cases(self) -> list[Case]:
        """Return every combination of what each command reads of the root, in a fixed order."""
        return [case for command in self.commands for case in self.cases_of(command)]

    def cases_of(self, command: str) -> list[Case]:
        """Return the same for one command."""
        files, folders = self._read_by(self.commands[command])
        found = [Case(path, kind, command) for path in files for kind in KINDS]
        return found + [Case(path, kind, command) for path in folders for kind in FOLDERS]

    def _read_by(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        done = trial.run(words)
        assert done.status == 0, done.said
        paths = {Path(name) for name in done.opened}
        # What other programs read, and what --refresh passes over when nothing has changed.
        paths |= {*self.root.glob("usr/lib/modules/*/modules.*"), *self.root.glob("etc/*/*.conf")}
        paths |= {*self.root.glob("var/lib/kdump-initrd/*.json")}
        inside = sorted(path for path in paths if path.is_relative_to(self.root))
        files = [path for path in inside if path.is_file()]
        folders = {parent for path in files for parent in path.parents} - {self.root}
        folders |= {path for path in inside if path.is_dir() and path != self.root}
        mine = sorted(each for each in folders if each.is_relative_to(self.root))
        return self._names(files), self._names(mine)

    def _names(self, paths: Sequence[Path]) -> list[str]:
        return [str(path.relative_to(self.root)) for path in paths]

    def one(self, case: Case) -> list[str]:
        """Run one combination; return what was wrong."""
        with odd(self.root / case.path, case.kind, self.host):
            done = trial.run(self.commands[case.command])
        return [f"{case}: {line}" for line in (*_problems(done), *self._touched(case, done))]

    def _touched(self, case: Case, done: Trial) -> Iterator[str]:
        # Who lists a file names it, and may name a link.
        for name in () if case.command == "list" else (*done.opened, *done.changed):
            if Path(name).is_relative_to(self.host):
                yield f"{name} was opened"
        mine = (
            *(self.root, self._out, Path("/dev"), Path("/proc")),
            *map(Path, (tempfile.gettempdir(), os.environ.get("XDG_CACHE_HOME", "/var/cache"))),
        )
        for name in done.changed:
            inside = Path(name).is_relative_to(self._top)
            allowed = mine[:2] if inside else mine
            if not any(Path(name).is_relative_to(each) for each in allowed):
                yield f"{name} was changed"
        now = self._look()
        if now != self._before:
            both = {*now, *self._before}
            names = sorted(str(each) for each in both if now.get(each) != self._before.get(each))
            self._before = now
            yield f"touched: {names}"

    def _look(self) -> dict[Path, tuple[object, ...]]:
        found: dict[Path, tuple[object, ...]] = {}
        for path in (self.host, *sorted(self.host.rglob("*"))):
            status = path.lstat()
            found[path] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return found


def _problems(done: Trial) -> Iterator[str]:
    last = done.said.strip().splitlines()[-1:] or ["nothing was said"]
    if done.status is None:
        yield f"did not end in {SECONDS:g} s"
        return
    # 3 is for a dry run of --refresh that would write.
    if done.status not in (0, 1, 2, 3):
        yield f"status {done.status}: {last[0]}"
    if done.memory > MEMORY:
        yield f"took {done.memory >> 20} MB"
    if "Traceback" in done.said:
        yield f"traceback: {last[0]}"
    errors = [line for line in done.said.splitlines() if _ERROR.match(line)]
    if len(errors) > 1:
        yield f"{len(errors)} errors: {errors[:3]}"
    if done.status in (1, 2) and not re.search(r": .", done.said):
        yield f"status {done.status} without an error: {last[0]}"
    long = [line for line in errors if len(line) > 2000]
    if long:
        yield f"a line of {len(long[0])} characters"


def systems(names: Sequence[str]) -> list[System]:
    """Return the systems of those profiles."""
    return [system for system in SYSTEMS if system.profile in names]


def main(argv: list[str]) -> int:
    """Run as a command; 0 means that nothing failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, help="at random, for so long, instead of all")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="only cases with this text in their line")
    parser.add_argument("--profile", action="append", help="debian by default")
    words = parser.parse_args(argv)
    failures = count = 0
    for system in systems(words.profile or ["debian"]):
        with tempfile.TemporaryDirectory(prefix="roots-") as folder:
            fuzzer = Fuzzer(Path(folder).resolve(), system)
            cases = [case for case in fuzzer.cases() if words.only in str(case)]
            if words.seconds:
                random.Random(words.seed).shuffle(cases)
            end = time.monotonic() + (words.seconds or 1e9)
            for case in cases:
                if time.monotonic() > end:
                    break
                found = fuzzer.one(case)
                count += 1
                failures += len(found)
                for line in found:
                    print(line, flush=True)
            print(f"{system.profile}: {len(cases)} cases are known")
    print(f"seed {words.seed}: {count} cases, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
