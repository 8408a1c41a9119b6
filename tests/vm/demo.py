# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration: crash a kernel in QEMU, and read what the capture image saved of it."""

from __future__ import annotations

import shutil
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from kdump_initrd.errors import KdumpInitrdError

from . import disks, product, readers
from .disks import CrashFolder, DiskError
from .kernels import NoKernel, newest
from .libraries import LibraryError
from .machine import MachineError
from .phases import Phase
from .readers import DrgnFacts, NotThisCrash
from .scenario import CRASHKERNEL_MIB, Outcome, Scenario, crash, folder_of
from .tools import MissingTool

_NAME = "demo"
#: Console lines worth showing while the machine runs, beside the product's own.
_HIGHLIGHTS = ("Linux version", "kdump_token=", "Kernel panic", "reboot: ")


class _Show:
    """Prints the highlights of the console as they come, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._start:7.1f} s  {text}", flush=True)

    def phase(self, phase: Phase) -> None:
        self.say(f"== {phase.value}")

    def line(self, line: str) -> None:
        text = line.partition("] ")[2] if line.startswith("[") else line
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


def _show_times(outcome: Outcome, image: product.Product, folder: CrashFolder) -> None:
    _heading("Times and sizes")
    for phase in outcome.run.reached:
        print(f"{phase.value:<18} {outcome.run.took(phase):7.1f} s")
    print(f"{'panic to restart':<18} {outcome.run.restart_seconds:7.1f} s")
    print(f"{'build':<18} {image.seconds:7.1f} s")
    print(f"{'capture initrd':<18} {image.path.stat().st_size / 1e6:7.1f} MB")
    print(f"{'dump':<18} {folder.file('dump.').size / 1e6:7.1f} MB of a guest of 1074 MB")
    print(f"{'reservation':<18} {CRASHKERNEL_MIB:5d} MiB")


def demonstrate() -> None:
    """Do it; raises what the parts raise when a step fails."""
    show = _Show()
    kernel = newest()
    work = folder_of(_NAME)
    show.say(f"kernel {kernel.release} ({kernel.image})")
    shutil.rmtree(work / "crash", ignore_errors=True)
    disk = disks.make(work / "disk.raw")
    show.say(f"an empty ext4 disk of 2 GiB, UUID={disks.UUID}")
    device = f"UUID={disks.UUID}"
    image = product.build(work / "capture.img", kernel, device, *product.VIRTIO)
    show.say(f"capture initrd of {image.path.stat().st_size / 1e6:.1f} MB: {image.path}")
    show.say(f"QEMU starts, without KVM; its console log: {work / 'console.log'}")
    scenario = Scenario(_NAME, kernel, image.path, image.command_line, disks=(disk.path,))
    outcome = crash(scenario, on_line=show.line, on_phase=show.phase)
    show.say("the machine is off; now its disk is read, without mounting it")
    problems = disk.fsck()
    if problems:
        raise DiskError(f"{disk.path}: e2fsck finds errors: {problems.splitlines()[0]}")
    folders = disk.crash_folders(work / "crash")
    if not folders:
        raise DiskError(f"{disk.path}: /var/crash is empty; console log: {outcome.run.log}")
    folder = folders[-1]
    dump, dmesg = folder.file("dump."), folder.file("dmesg.")
    facts = readers.prove(
        dump=dump.copy, dmesg=dmesg.copy, token=outcome.token, release=kernel.release
    )
    _show_folder(folder)
    _heading(f"The panic, in {dmesg.name}")
    log = dmesg.copy.read_text(errors="replace")
    print("\n".join(readers.panic_lines(log)))
    print(f"{readers.seconds_up(log):.1f} s after its start")
    _show_facts(facts, dump.copy)
    _show_times(outcome, image, folder)
    print(f"\nThe dump is of this very crash (token {outcome.token}): {dump.copy}")


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
    except (KdumpInitrdError, NoKernel, MissingTool, LibraryError) as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 1
    except (DiskError, NotThisCrash, OSError) as error:
        print(f"demo: error: {error}; console log: {log}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
