# SPDX-License-Identifier: GPL-2.0-or-later
"""How a machine may end, and what each end is called: played by a program in QEMU's place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from .architectures import X86_64
from .fakeqemu import Step, ended, write
from .machine import (
    Hang,
    LostMachine,
    Machine,
    MachineConfig,
    MachineError,
    PanicWithoutDump,
    Run,
)
from .phases import CAPTURE, Phase

_BOOT: tuple[Step, ...] = ("SeaBIOS", "[ 1.0] 7e57 booted")
_CRASH: tuple[Step, ...] = (*_BOOT, "7e57 loaded", "Kernel panic - not syncing: sysrq triggered")
_SAVE: tuple[Step, ...] = ("image: capturing", "image: saved /dump")
_RESET = ended("guest-reset")
#: The firmware of a machine that restarts resets once more, and takes its time.
_AGAIN: tuple[Step, ...] = (_RESET, 0.5, _RESET, 0.5)
_RESTART = (*CAPTURE, Phase.RESTARTED, Phase.FOUND)


@pytest.fixture
def config(tmp_path: Path) -> MachineConfig:
    """A machine of which nothing is read but what its program plays."""
    return MachineConfig(
        folder=tmp_path / "run",
        kernel=tmp_path / "kernel",
        initrd=tmp_path / "initrd",
        append="words",
        token="7e57",
        speaker="image",
    )


def play(config: MachineConfig, *steps: Step) -> Run:
    """Let the machine run whose program plays these steps."""
    program = write(config.folder.with_name("qemu"), *steps)
    with Machine(replace(config, architecture=replace(X86_64, program=program))) as machine:
        return machine.run()


def test_each_phase_is_reached_in_its_order(config: MachineConfig) -> None:
    run = play(config, *_CRASH, *_SAVE, _RESET)
    assert tuple(run.reached) == CAPTURE
    assert sorted(run.reached.values()) == list(run.reached.values())
    assert run.console.splitlines()[-1] == "image: saved /dump"
    assert run.log.read_text().splitlines() == run.console.splitlines()


def test_a_restarted_machine_is_the_same_machine(config: MachineConfig) -> None:
    config = replace(config, phases=_RESTART)
    run = play(config, *_CRASH, *_SAVE, *_AGAIN, *_BOOT, "7e57 found /dump")
    assert tuple(run.reached) == _RESTART


def test_what_a_kernel_says_of_the_crash_is_no_crash_of_its_own(config: MachineConfig) -> None:
    quoted = "image: it said: Kernel panic - not syncing: sysrq triggered"
    run = play(config, *_CRASH, _SAVE[0], quoted, _SAVE[1], _RESET)
    assert Phase.SAVED in run.reached


@pytest.mark.parametrize(
    ("kind", "phase", "said", "steps"),
    [
        (
            PanicWithoutDump,
            Phase.CAPTURING,
            "the capture kernel panicked: out of memory (phase capturing)",
            (*_CRASH, "Kernel panic - not syncing: out of memory"),
        ),
        (
            PanicWithoutDump,
            Phase.FOUND,
            "the restarted system panicked: sysrq triggered (phase found)",
            (*_CRASH, *_SAVE, *_AGAIN, *_CRASH),
        ),
        (
            PanicWithoutDump,
            Phase.LOADED,
            "guest-shutdown while waiting for loaded (phase loaded)",
            (*_BOOT, "7e57 failed: the capture kernel is not loaded", ended("guest-shutdown")),
        ),
        (
            PanicWithoutDump,
            Phase.SAVED,
            "guest-reset while waiting for saved (phase saved)",
            (*_CRASH, _SAVE[0], "image: cannot save", _RESET),
        ),
        (
            LostMachine,
            Phase.REBOOTED,
            "ended by guest-shutdown, not by guest-reset (phase rebooted)",
            (*_CRASH, *_SAVE, ended("guest-shutdown")),
        ),
        (
            LostMachine,
            Phase.BOOTED,
            "QEMU stopped the machine: host-error (phase booted)",
            (ended("host-error"),),
        ),
        (
            LostMachine,
            Phase.LOADED,
            "QEMU ended by itself: played to its end (phase loaded)",
            (*_BOOT, None),
        ),
    ],
    ids=["capture", "restarted", "not-loaded", "not-saved", "off", "stopped", "lost"],
)
def test_each_end_has_its_name(
    config: MachineConfig,
    kind: type[MachineError],
    phase: Phase,
    said: str,
    steps: tuple[Step, ...],
) -> None:
    phases = _RESTART if phase is Phase.FOUND else CAPTURE
    with pytest.raises(MachineError) as caught:
        play(replace(config, phases=phases), *steps)
    assert (type(caught.value), caught.value.phase) == (kind, phase)
    first, *tail, last = str(caught.value).splitlines()
    assert first == said
    assert list(filter(None, tail)) == [step for step in steps if isinstance(step, str)]
    assert last == f"console log: {caught.value.log}"
    assert caught.value.log.exists() or tail == [""]


def test_a_deadline_that_passes_is_a_hang(config: MachineConfig) -> None:
    config = replace(config, deadlines={Phase.LOADED: 0.2})
    with pytest.raises(Hang, match=r"^not loaded within [\d.]+ s \(phase loaded\)") as caught:
        play(config, *_BOOT)
    assert caught.value.phase is Phase.LOADED
