# SPDX-License-Identifier: GPL-2.0-or-later
"""The complete loop: a Debian system from its disk, its crash, and its next boot."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import phases, readers, rootfs
from .disks import CrashFolder, Disk, DiskError
from .kernels import Kernel
from .machine import Machine, MachineConfig
from .phases import Phase
from .readers import DrgnFacts
from .scenario import CRASHKERNEL_MIB, Outcome, folder_of

#: A boot up to the login target, without a crash.
LOGIN = (Phase.BOOTED, Phase.OFF)
#: A crash whose dump the next boot of the machine cannot find in its root.
ONCE = phases.LOOP[: phases.LOOP.index(Phase.REBOOTED) + 1]
#: What the payload may keep of the memory after it is loaded, in KiB.
SLACK_KIB = 1000
#: A crash before the root is mounted, which a next boot would only repeat.
EARLY = tuple(phase for phase in ONCE if phase is not Phase.BOOTED)


@dataclass(frozen=True)
class Loop:
    """One machine with a regular system; ``initrd`` is the one it boots with.

    ``test`` is for the test service in the root (guest/kdump-test) or for the early base;
    ``root`` the word for the root's device; ``more`` is added to the command line; ``phases``
    are the expected ones, and if there is one after REBOOTED, the machine really restarts.
    """

    name: str
    kernel: Kernel
    initrd: Path
    disks: tuple[Path, ...]
    root: str = f"UUID={rootfs.UUID}"
    test: str = "loop"
    more: str = ""
    memory_mib: int = 1024
    crashkernel_mib: int = CRASHKERNEL_MIB
    speaker: str = "kdump-initrd"
    phases: tuple[Phase, ...] = phases.LOOP
    deadlines: Mapping[Phase, float] = field(default_factory=dict)

    def command_line(self, token: str) -> str:
        """Return the regular kernel's command line, in the order of a boot loader's.

        ``panic=-1`` restarts the machine when no capture kernel is there to take over.
        """
        machine = self.kernel.architecture
        words = [f"root={self.root} ro console={machine.console}"]
        words += [f"crashkernel={self.crashkernel_mib}M panic=-1 kdump_token={token}"]
        return " ".join([*words, f"kdump_test={self.test}", *machine.both, self.more]).strip()

    @property
    def final(self) -> str:
        """How the machine is expected to end, as QMP says it."""
        return "guest-reset" if self.phases[-1] is Phase.REBOOTED else "guest-shutdown"


def go(
    loop: Loop,
    *,
    on_line: Callable[[str], None] | None = None,
    on_phase: Callable[[Phase], None] | None = None,
) -> Outcome:
    """Boot the system and go through its phases; raises MachineError as Machine.run does."""
    token = secrets.token_hex(8)
    config = MachineConfig(
        folder=folder_of(loop.name),
        kernel=loop.kernel.image,
        initrd=loop.initrd,
        append=loop.command_line(token),
        token=token,
        architecture=loop.kernel.architecture,
        speaker=loop.speaker,
        disks=loop.disks,
        memory_mib=loop.memory_mib,
        phases=loop.phases,
        final=loop.final,
        deadlines=loop.deadlines,
    )
    with Machine(config, on_line=on_line, on_phase=on_phase) as machine:
        return Outcome(machine.run(), token)


def said(outcome: Outcome, word: str = "") -> list[str]:
    """Return what the guest said with the run's token and ``word``, without both of them.

    The command line, which has the token too, is not something said.
    """
    wanted = re.compile(rf"(?:^|\] ){outcome.token} {re.escape(word)}(.*)", re.MULTILINE)
    return [text.strip() for text in wanted.findall(outcome.run.console)]


def kept_kib(armed: Outcome, plain: Outcome) -> int:
    """Return the memory that an armed machine lacks, by what EARLY told in it and in a plain one.

    That is in KiB. With nokaslr, which moves megabytes from boot to boot, it is comparable.
    """
    (after,), (before,) = (said(each, "available ") for each in (armed, plain))
    return int(before) - int(after)


@dataclass(frozen=True)
class SavedCrash:
    """The one crash's folder as read from the disk, and drgn's facts of its dump."""

    folder: CrashFolder
    facts: DrgnFacts


def read_back(
    disk: Disk, into: Path, outcome: Outcome, release: str, *, below: str = "/var/crash"
) -> SavedCrash:
    """Check the file system and prove that its only dump is of this very run's crash.

    Raises DiskError or NotThisCrash.
    """
    problems = disk.fsck()
    if problems:
        raise DiskError(f"{disk.path}: e2fsck finds errors: {problems}")
    folders = disk.crash_folders(into, below=below)
    if len(folders) != 1:
        raise DiskError(f"{disk.path}: not one crash in {below}: {[str(f.path) for f in folders]}")
    dump, dmesg = folders[0].file("dump."), folders[0].file("dmesg.")
    facts = readers.prove(dump=dump.copy, dmesg=dmesg.copy, token=outcome.token, release=release)
    return SavedCrash(folders[0], facts)
