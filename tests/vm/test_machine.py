# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine itself: a floor image goes the whole way, and each way to fail has its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from . import disks, floor, readers
from .kernels import Kernel
from .machine import Hang, LostMachine, PanicWithoutDump
from .phases import CAPTURE, Phase
from .scenario import Scenario, crash

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]
#: What is made of such an end is in test_ends.py, without QEMU.
FULL = pytest.mark.full


@pytest.fixture(scope="module")
def image(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The floor image."""
    return floor.build(tmp_path_factory.mktemp("floor") / "floor.zst", kernel).path


@pytest.fixture
def scenario(name: str, kernel: Kernel, folder: Path, image: Path) -> Scenario:
    """A crash with the floor image and an empty disk, which ought to succeed."""
    disk = disks.make(folder / "disk.raw")
    return Scenario(
        name, kernel, image, floor.COMMAND_LINE, disks=(disk.path,), speaker=floor.SPEAKER
    )


def test_a_floor_image_saves_a_dump_of_this_very_crash(
    scenario: Scenario, crash_copy: Path, kernel: Kernel
) -> None:
    outcome = crash(scenario)
    assert list(outcome.run.reached) == list(CAPTURE)
    disk = disks.Disk(scenario.disks[0])
    assert disk.fsck() == ""
    disk.copy_out(floor.DUMP, crash_copy / "dump")
    (crash_copy / "dmesg").write_text(readers.read_log(crash_copy / "dump"))
    facts = readers.prove(
        dump=crash_copy / "dump",
        dmesg=crash_copy / "dmesg",
        token=outcome.token,
        release=kernel.release,
    )
    assert facts.panic_cpu == 0
    with pytest.raises(readers.NotThisCrash, match="lacks this run's token beef"):
        readers.prove(
            dump=crash_copy / "dump",
            dmesg=crash_copy / "dmesg",
            token="beef",
            release=kernel.release,
        )


@FULL
def test_a_reservation_too_small_is_a_panic_without_dump(scenario: Scenario) -> None:
    with pytest.raises(PanicWithoutDump, match="the capture kernel panicked") as caught:
        crash(replace(scenario, crashkernel_mib=80))
    assert caught.value.phase is Phase.CAPTURING
    assert str(caught.value.log) in str(caught.value)
    assert caught.value.log.exists()


@FULL
def test_no_reservation_is_an_end_without_dump(scenario: Scenario) -> None:
    with pytest.raises(PanicWithoutDump, match="the capture kernel is not loaded") as caught:
        crash(replace(scenario, crashkernel_mib=0))
    assert caught.value.phase is Phase.LOADED


@FULL
def test_a_deadline_that_passes_is_a_hang(scenario: Scenario) -> None:
    with pytest.raises(Hang, match="not booted within") as caught:
        crash(replace(scenario, deadlines={Phase.BOOTED: 0.5}))
    assert caught.value.phase is Phase.BOOTED


def test_a_qemu_that_cannot_start_is_a_lost_machine(scenario: Scenario, folder: Path) -> None:
    with pytest.raises(LostMachine, match="no-such-disk"):
        crash(replace(scenario, disks=(folder / "no-such-disk",)))


@FULL
def test_a_restarted_machine_is_the_same_machine(scenario: Scenario) -> None:
    phases = (*CAPTURE, Phase.RESTARTED, Phase.FOUND)
    with pytest.raises(PanicWithoutDump, match="the restarted system panicked: sysrq") as caught:
        crash(replace(scenario, phases=phases))
    assert caught.value.phase is Phase.FOUND
