# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel, a capture image and disks put together, and crashed once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import firstkernel
from .kernels import Kernel
from .machine import Machine, MachineConfig, Run
from .phases import CAPTURE, Phase

#: Every run keeps its folder here: console log, QEMU's command line, disks while they are needed.
BUILD = Path(__file__).parents[2] / "build/vm"
#: The reservation where a test does not ask for another, in MiB.
CRASHKERNEL_MIB = 128
#: Phases of a capture that cannot save a dump.
WITHOUT_DUMP = tuple(phase for phase in CAPTURE if phase is not Phase.SAVED)


@dataclass(frozen=True)
class Scenario:
    """One crash; ``command_line`` is the capture kernel's, ``more`` is added to the regular one's.

    ``extra`` are shell lines that the first kernel runs before it loads the capture kernel;
    ``beside`` is a plain cpio archive of further files for its root; ``devices`` are further
    words for QEMU.
    """

    name: str
    kernel: Kernel
    image: Path
    command_line: str
    disks: tuple[Path, ...] = ()
    speaker: str = "kdump-initrd"
    crashkernel_mib: int = CRASHKERNEL_MIB
    memory_mib: int = 1024
    more: str = ""
    extra: str = ""
    beside: Path | None = None
    devices: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = CAPTURE
    final: str = "guest-reset"
    deadlines: Mapping[Phase, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a crash left behind, and the token that marks it."""

    run: Run
    token: str


def folder_of(name: str) -> Path:
    """Return the run's folder below BUILD, made if it is not there."""
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def crash(
    scenario: Scenario,
    *,
    on_line: Callable[[str], None] | None = None,
    on_phase: Callable[[Phase], None] | None = None,
) -> Outcome:
    """Boot, load, panic and capture; raises MachineError as Machine.run does."""
    token = secrets.token_hex(8)
    initrd = folder_of(scenario.name) / "first.cpio"
    write_first(scenario, token, initrd)
    config = machine_config(scenario, token, initrd)
    with Machine(config, on_line=on_line, on_phase=on_phase) as machine:
        run = machine.run()
    initrd.unlink()
    return Outcome(run, token)


def write_first(scenario: Scenario, token: str, initrd: Path) -> None:
    """Write the initrd of the first kernel."""
    first = firstkernel.FirstKernel(
        token, scenario.kernel, scenario.image, scenario.command_line, scenario.extra
    )
    firstkernel.write(initrd, first)
    if scenario.beside is not None:
        with initrd.open("ab") as out:
            out.write(scenario.beside.read_bytes())


def machine_config(scenario: Scenario, token: str, initrd: Path) -> MachineConfig:
    """Return the machine of a scenario, with its first kernel's initrd."""
    return MachineConfig(
        folder=folder_of(scenario.name),
        kernel=scenario.kernel.image,
        initrd=initrd,
        append=firstkernel.command_line(
            token,
            scenario.kernel.architecture,
            crashkernel_mib=scenario.crashkernel_mib,
            more=scenario.more,
        ),
        token=token,
        architecture=scenario.kernel.architecture,
        speaker=scenario.speaker,
        disks=scenario.disks,
        memory_mib=scenario.memory_mib,
        phases=scenario.phases,
        final=scenario.final,
        deadlines=scenario.deadlines,
        more=scenario.devices,
    )
