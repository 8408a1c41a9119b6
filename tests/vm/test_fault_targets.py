# SPDX-License-Identifier: GPL-2.0-or-later
"""Two targets under a real capture kernel: the dump goes to the first one that takes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kdump_initrd.core.run import run

from . import blkdebug, disks
from .capture import built, check, saved_on
from .nbd import Faults, Server
from .phases import Phase
from .scenario import Outcome, Scenario
from .snapshot import crash_again

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(1200)]

_FIRST, _SECOND = f"UUID={disks.UUID}", f"UUID={disks.SECOND}"
#: Seconds for reaching the first target, and without progress.
_DEADLINE, _STALL = 20, 20
#: Seconds from the panic to the restart: the deadlines of both targets, what a hang costs until it
#: is given up, and a minute for saving.
_RESTART = 2 * _DEADLINE + 5 * _STALL + 120
#: Bytes a second of a slow disk, and of one that is much too slow.
_RATE, _TRICKLE = 4 << 20, 256 << 10
#: Writes after which the log is saved, and the middle of the dump reached.
_WRITES = 45


@dataclass(frozen=True)
class Pair:
    """A scenario with two targets, and their disks."""

    scenario: Scenario
    first: disks.Disk
    second: disks.Disk


@pytest.fixture
def pair(scenario: Scenario, folder: Path) -> Pair:
    """Two targets on virtio disks; the first one's disk is not in the machine yet."""
    limits = ("--deadline", str(_DEADLINE), "--stall-timeout", str(_STALL))
    options = ("--deadline", str(_DEADLINE), "--target", _SECOND, "-f", "ext4", *limits)
    first = disks.make(folder / "first.raw")
    second = disks.make(folder / "second.raw", uuid=disks.SECOND)
    scenario = built(scenario, _FIRST, *options)
    deadlines = {Phase.SAVED: _RESTART, Phase.REBOOTED: _RESTART}
    return Pair(replace(scenario, disks=(second.path,), deadlines=deadlines), first, second)


def check_second(pair: Pair, outcome: Outcome, into: Path, *, reason: str) -> None:
    """Check that the second target has the whole dump, and why the first one has none."""
    saved = saved_on(pair.second, into / "second")
    check(saved, outcome.token, pair.scenario.kernel)
    (attempt,) = saved.report["attempts"]
    assert attempt.startswith(f"{_FIRST}: ") and reason in attempt
    assert outcome.run.paced < _RESTART


def check_log(disk: disks.Disk, outcome: Outcome, into: Path, *, result: str) -> None:
    """Check that a target has the kernel log, and nothing that passes for a dump."""
    run(["e2fsck", "-p", disk.path], timeout=120, check=False)  # as a mount replays the journal
    (found,) = disk.crash_folders(into)
    assert outcome.token in found.file("dmesg.").copy.read_text(errors="replace")
    assert not [file for file in found.files if file.name == f"dump.{found.path.name}"]
    report = [file.copy for file in found.files if file.name == "report.json"]
    assert json.loads(report[0].read_text())["result"] == result


@pytest.mark.full
def test_the_first_one_is_missing(pair: Pair, crash_copy: Path) -> None:
    outcome = crash_again(pair.scenario)
    check_second(pair, outcome, crash_copy, reason="did not appear in 15 s")


@pytest.mark.full
def test_the_first_one_is_full(pair: Pair, crash_copy: Path) -> None:
    pair.first.fill(leave_kib=(2048 << 10) * 6 // 100)
    outcome = crash_again(replace(pair.scenario, disks=(pair.first.path, pair.second.path)))
    check_second(pair, outcome, crash_copy, reason="dump: ")
    check_log(pair.first, outcome, crash_copy / "first", result="refused")


def test_the_first_one_dies_in_the_middle(pair: Pair, crash_copy: Path) -> None:
    devices = blkdebug.dying(pair.first, writes=_WRITES)
    outcome = crash_again(replace(pair.scenario, devices=devices))
    check_second(pair, outcome, crash_copy, reason="dump: ")
    check_log(pair.first, outcome, crash_copy / "first", result="incomplete")


def test_the_first_one_hangs_in_the_middle(pair: Pair, crash_copy: Path) -> None:
    # Slow enough for the saver to say how far it is.
    server = Server(pair.first.path, Faults(rate=_RATE))

    def hear(line: str) -> None:
        server.faults.stopped = server.faults.stopped or " %, " in line

    words = server.words(device="scsi-hd,bus=bus.0")
    devices = ("-device", "virtio-scsi-pci,id=bus", *words)
    with server:
        outcome = crash_again(replace(pair.scenario, devices=devices), on_line=hear)
    check_second(pair, outcome, crash_copy, reason="no progress for 20 s")
    check_log(pair.first, outcome, crash_copy / "first", result="incomplete")


@pytest.mark.full
def test_the_first_one_trickles(pair: Pair, crash_copy: Path) -> None:
    """It answers all the time, but a step of the dump takes longer than this short stall timer has.

    What the floor rate ends is in tests/unit/test_guard.py.
    """
    server = Server(pair.first.path, Faults(rate=_TRICKLE))
    words = server.words(device="scsi-hd,bus=bus.0")
    devices = ("-device", "virtio-scsi-pci,id=bus", *words)
    with server:
        outcome = crash_again(replace(pair.scenario, devices=devices))
    check_second(pair, outcome, crash_copy, reason="no progress for 20 s")
    check_log(pair.first, outcome, crash_copy / "first", result="incomplete")


@pytest.mark.full
def test_the_only_one_is_repaired(scenario: Scenario, folder: Path, crash_copy: Path) -> None:
    disk = disks.make(folder / "disk.raw")
    disk.edit("clri <8>")  # its journal
    scenario = built(scenario, _FIRST, "--fsck")
    outcome = crash_again(replace(scenario, disks=(disk.path,)))
    check(saved_on(disk, crash_copy), outcome.token, scenario.kernel)
    assert "is repaired by fsck.ext4" in outcome.run.console


@pytest.mark.full
def test_the_second_one_gets_the_log(pair: Pair, crash_copy: Path) -> None:
    outcome = crash_again(replace(pair.scenario, disks=(pair.first.path, pair.second.path)))
    check(saved_on(pair.first, crash_copy / "first"), outcome.token, pair.scenario.kernel)
    check_log(pair.second, outcome, crash_copy / "second", result="log")
    (report,) = (crash_copy / "second").rglob("report.json")
    assert json.loads(report.read_text())["attempts"] == [f"{_FIRST}: has the dump"]
