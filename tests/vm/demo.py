# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration: a Debian system arms itself, crashes, restarts and finds its own dump."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from kdump_initrd.core.errors import KdumpInitrdError

from . import bases, loop, product, readers, rootfs
from .disks import CrashFolder, DiskError
from .kernels import NoKernel
from .loop import Loop
from .machine import MachineError
from .phases import Phase
from .readers import DrgnFacts, NotThisCrash
from .scenario import CRASHKERNEL_MIB, Outcome, folder_of
from .tools import MissingTool

_NAME = "demo"
#: Console lines worth showing while the machine runs, beside the product's own.
_HIGHLIGHTS = (
    "Linux version",
    "Kernel panic",
    "reboot: ",
    "Run /init",
    "Mounting root",
    "EXT4-fs (vda): mounted",
    "running in system mode",
    "Reached target multi-user.target",
    " login:",
)


#: What each phase means to somebody who watches.
_PHASES: Mapping[Phase, str] = {
    Phase.ARMED: "the regular kernel has loaded the capture kernel: it is armed",
    Phase.BOOTED: "the Debian system is up",
    Phase.CRASHED: "it is made to crash",
    Phase.CAPTURING: "the capture kernel has taken over",
    Phase.SAVED: "the dump is on the disk",
    Phase.REBOOTED: "the machine restarts",
    Phase.RESTARTED: "the same system is up again",
    Phase.FOUND: "it has found the dump of its crash",
    Phase.OFF: "the machine is off",
}
#: Seconds between two signs of life of a step that says nothing by itself.
_PATIENCE = 10.0
_NEXT = """
Now on your machine (README.md, "Install it"):
  make deb && apt install ./dist/kdump-initrd_*_all.deb
It builds the images, and says which crashkernel= to add to the kernel's command line."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class _Show:
    """Prints the highlights of the console as they come, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = self._said = time.monotonic()

    def say(self, text: str) -> None:
        self._said = time.monotonic()
        print(f"{self._said - self._start:5.0f} s  {text}", flush=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Say what is done, and that it still is where nothing else was said for a while."""
        self.say(text)
        start, ended = time.monotonic(), threading.Event()

        def tell() -> None:
            while not ended.wait(1):
                if time.monotonic() - self._said < _PATIENCE:
                    continue
                self.say(f"  ... {time.monotonic() - start:.0f} s so far")

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def phase(self, phase: Phase) -> None:
        if phase in _PHASES:
            self.say(f"* {_PHASES[phase]}")

    def line(self, line: str) -> None:
        text = _COLOUR.sub("", line)
        text = text.partition("] ")[2] if text.startswith("[") else text
        if text.startswith(f"{product.SPEAKER}: "):
            self.say(f"  | {text}")
        elif any(word in text for word in _HIGHLIGHTS) and "Unknown" not in text:
            self.say(f"  . {text[:100]}")


def _heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def _show_folder(folder: CrashFolder) -> None:
    _heading(f"On the disk, in {folder.path}")
    for file in folder.files:
        print(f"{file.mode:04o}  {file.size:>12,}  {file.name}")


def _show_facts(facts: DrgnFacts, dump: Path) -> None:
    _heading(f"Read from {dump.name} by drgn, without debug information")
    crashed = datetime.fromtimestamp(facts.crash_time, tz=timezone.utc)
    print(f"release        {facts.release}")
    print(f"banner         {facts.banner[:86]}")
    print(f"command line   {facts.command_line}")
    print(f"crash time     {crashed:%Y-%m-%d %H:%M:%S} UTC")
    print(f"panic CPU      {facts.panic_cpu}")
    print(f"KASLR offset   {facts.kernel_offset:#x}")
    print(f"symbols        {facts.symbols:,}")


def _show_times(
    outcome: Outcome, capture: product.Product, first: product.Product, folder: CrashFolder
) -> None:
    _heading("Times and sizes")
    for phase in outcome.run.reached:
        if phase in _PHASES:
            print(f"{outcome.run.took(phase):7.1f} s  until {_PHASES[phase]}")
    print(f"{outcome.run.restart_seconds:7.1f} s  from the panic to the restart, in all")
    print(f"\n{'builds':<18} {capture.seconds:7.1f} s and {first.seconds:.1f} s")
    print(f"{'capture initrd':<18} {capture.path.stat().st_size / 1e6:7.1f} MB")
    print(f"{'first initrd':<18} {first.path.stat().st_size / 1e6:7.1f} MB, with the base in it")
    print(f"{'dump':<18} {folder.file('dump.').size / 1e6:7.1f} MB of a guest of 1074 MB")
    print(f"{'reservation':<18} {CRASHKERNEL_MIB:5d} MiB")


def demonstrate() -> None:
    """Do it; raises what the parts raise when a step fails."""
    show = _Show()
    work = folder_of(_NAME)
    shutil.rmtree(work / "crash", ignore_errors=True)
    with show.step("Making a Debian system with debootstrap (the first time: two minutes)"):
        root = rootfs.debian()
        kernel = root.kernel
        base = bases.base(root, bases.Base.MOST)
    with show.step("Copying it to a disk image"):
        disk = rootfs.disk(root, work / "root.raw")
    size = base.stat().st_size / 1e6
    show.say(f"It has kernel {kernel.release} and an initrd of its own, {size:.1f} MB")
    with show.step("Building the capture initrd, and the regular initrd that carries and loads it"):
        capture = product.build(
            work / "capture.img", kernel, f"UUID={rootfs.UUID}", *product.VIRTIO
        )
        first = product.build_first(work / "first.img", capture.path, kernel, "--base", str(base))
    with show.step(f"Starting it in QEMU, without KVM; console log: {work / 'console.log'}"):
        run = Loop(_NAME, kernel, first.path, (disk.path,))
        outcome = loop.go(run, on_line=show.line, on_phase=show.phase)
    show.say("Reading its disk, without mounting it")
    saved = loop.read_back(disk, work / "crash", outcome, kernel.release)
    folder = saved.folder
    dump, dmesg = folder.file("dump."), folder.file("dmesg.")
    _show_folder(folder)
    _heading(f"The panic, in {dmesg.name}")
    log = dmesg.copy.read_text(errors="replace")
    print("\n".join(readers.panic_lines(log)))
    print(f"{readers.seconds_up(log):.1f} s after its start")
    _show_facts(saved.facts, dump.copy)
    _show_times(outcome, capture, first, folder)
    print(
        f"\nIt is the dump of this very crash: drgn found the run's random word, {outcome.token}."
    )
    print(f"It is {dump.copy}")
    print(_NEXT)


def main() -> int:
    """Run the demonstration; the status is 0 only if drgn read the dump of this very crash."""
    log = folder_of(_NAME) / "console.log"
    try:
        demonstrate()
    except MachineError as error:
        first, *tail = str(error).splitlines()
        print("\n".join(["", *tail]), file=sys.stderr)
        print(f"demo: error: {first}; console log: {error.log}", file=sys.stderr)
        return 1
    except (KdumpInitrdError, NoKernel, MissingTool) as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 1
    except (DiskError, NotThisCrash, OSError) as error:
        print(f"demo: error: {error}; console log: {log}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
