# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults while a crash is saved: what can be saved is saved, and the machine restarts in time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.image.archive.segments import read_segments
from kdump_initrd.image.hooks import STAGES

from . import disks
from .capture import built, check, said, saved_on
from .nbd import Server
from .phases import Phase
from .product import NO_BUSYBOX
from .sabotage import HOOKS_PATH, sabotage
from .scenario import WITHOUT_DUMP, Outcome, Scenario, crash
from .snapshot import crash_again

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(1200)]

_DEVICE = f"UUID={disks.UUID}"
#: What a hook says when the disk is to fail, and a moment for that.
_NOW = "the time has come"
_SAY_NOW = f"echo '<5>kdump-initrd: {_NOW}' >/dev/kmsg; sleep 3"
_HANG = "trap '' TERM; while :; do sleep 1000; done"
_FILL = "for folder in /run /tmp; do dd if=/dev/zero of=$folder/fill bs=65536 2>&1; done"
_KILL_SLEEPERS = """\
for stat in /proc/[0-9]*/stat; do
	read -r line <$stat
	case $line in *'(sleep)'*) kill -9 ${line%% *} ;; esac
done"""
#: Each of them starts two, and waits; they are not children of the hook any more.
_BOMB = "bomb() { bomb & bomb & wait; }; (bomb 2>/dev/null &)"
#: Ends the saver the first time that it is seen.
_KILL_SAVER = """\
(while :; do
	for stat in /proc/[0-9]*/stat; do
		read -r line <$stat
		case $line in *'(python3'*) kill -9 ${line%% *} && exit ;; esac
	done 2>/dev/null
done) &"""


def administer(image: Path, hooks: Mapping[str, tuple[str, int]]) -> None:
    """Add an administrator's hooks to an image: each has its text and its limit in seconds."""
    (init,) = [
        member.content.decode()
        for segment in read_segments(image)
        for member in segment.entries(contents=True)
        if str(PurePosixPath(member.path)) == "init"
    ]
    files = {}
    for name, (text, limit) in hooks.items():
        files[f"{HOOKS_PATH}/{name}"] = f"#!/bin/sh\n{text}\n".encode()
        if f"run_hook {name} " in init:
            continue
        if limit:
            init = init.replace("\nprepare_guard", f"\nprepare_guard {name}", 1)
        place = next(
            found.start()
            for found in re.finditer(r"^\t*run_hook '?([^' ]+)", init, re.MULTILINE)
            if _order(found[1]) > _order(name)
        )
        init = f"{init[:place]}\trun_hook {name} {limit}\n{init[place:]}"
    sabotage(image, **{"/init": init.encode(), **files})


def _order(name: str) -> tuple[int, str]:
    stage, _, rest = name.partition("/")
    return STAGES.index(stage), rest


def check_dump(scenario: Scenario, outcome: Outcome, disk: disks.Disk, into: Path) -> None:
    """Check that the dump of this crash is there, for readers that are not ours."""
    check(saved_on(disk, into), outcome.token, scenario.kernel)


def lines_of(outcome: Outcome) -> str:
    """Return what the image said."""
    return "\n".join(said(outcome.run))


def stopped(scenario: Scenario, folder: Path, *options: str) -> tuple[Scenario, Server]:
    """Return a scenario whose disk stops answering when the saver would begin."""
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, _DEVICE, "--stall-timeout", "20", *options)
    administer(scenario.image, {"pre-save/90-now": (_SAY_NOW, 60)})
    server = Server(disk.path)
    deadlines = {Phase.REBOOTED: 240}
    words = server.words(device="scsi-hd,bus=bus.0")
    words = ("-device", "virtio-scsi-pci,id=bus", *words)
    scenario = replace(scenario, devices=words, phases=WITHOUT_DUMP, deadlines=deadlines)
    return scenario, server


def crash_and_stop(scenario: Scenario, server: Server) -> Outcome:
    """Crash it, and stop its disk when the image says that it is time."""

    def hear(line: str) -> None:
        server.faults.stopped = server.faults.stopped or _NOW in line

    with server:
        return crash_again(scenario, on_line=hear)


def test_a_disk_that_stops_answering_holds_nothing(scenario: Scenario, folder: Path) -> None:
    scenario, server = stopped(scenario, folder)
    outcome = crash_and_stop(scenario, server)
    assert server.counts.reads
    said_ = lines_of(outcome)
    assert "giving up" in said_ or "not answered" in said_
    assert "sysrq triggered crash" in said_, "the crashed kernel's last words are missing"


@pytest.mark.full
def test_a_disk_that_stops_answering_without_busybox(scenario: Scenario, folder: Path) -> None:
    crash_and_stop(*stopped(scenario, folder, *NO_BUSYBOX))


@pytest.mark.full
def test_a_machine_that_cannot_be_switched_off_is_restarted(
    scenario: Scenario, folder: Path
) -> None:
    scenario, server = stopped(scenario, folder, "--final-action", "poweroff")
    outcome = crash_and_stop(scenario, server)
    assert "cannot be switched off: it is restarted" in lines_of(outcome)


def test_hostile_hooks_cost_no_dump(scenario: Scenario, folder: Path, crash_copy: Path) -> None:
    """All at once: full folders, no sleep that lasts, too many processes, and no end."""
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, _DEVICE)
    hooks = {
        "pre-mount/05-fill": (_FILL, 60),
        "pre-save/05-bomb": (_BOMB, 60),
        "pre-save/06-hang": (f"{_KILL_SLEEPERS}\n{_HANG}", 5),
    }
    administer(scenario.image, hooks)
    outcome = crash_again(replace(scenario, disks=(disk.path,)))
    assert "hook pre-save/06-hang: not done after 5 s: it is ended" in lines_of(outcome)
    check_dump(scenario, outcome, disk, crash_copy)


_COVER = "for folder in /run /proc /dev /kdump; do mount -t tmpfs none $folder; done"
_STOP_ALL = "kill -STOP -1; kill -STOP $$"
#: Hook, limit, and what is said of it.
HOOKS = {
    "hangs": ("pre-save/05-x", "sleep 1000", 5, "not done after 5 s"),
    "ignores TERM": ("post-save/05-x", _HANG, 5, "not done after 5 s"),
    "has no limit": ("pre-save/05-x", _HANG, 0, "no progress for 20 s"),
    "hangs before the disk": ("pre-mount/05-x", _HANG, 0, "no dump file system after 40 s"),
    "fills /run": ("pre-mount/05-x", _FILL, 60, ""),
    "kills sleep": ("pre-save/05-x", f"{_KILL_SLEEPERS}\nexec sleep 1000", 5, "not done after 5 s"),
    "bomb": ("pre-save/05-x", _BOMB, 60, ""),
    "bomb and no end": ("pre-save/05-x", f"{_BOMB}\n{_HANG}", 5, "not done after 5 s"),
    "kills all": ("pre-save/05-x", "kill -9 -1", 60, ""),
    "fills /": ("pre-mount/05-x", "exec dd if=/dev/zero of=/fill bs=65536", 60, "status 153"),
    "stops all": ("pre-save/05-x", _STOP_ALL, 5, "not done after 5 s"),
    "covers /run": ("pre-mount/05-x", "mount -t tmpfs none /run", 60, ""),
    "covers all": ("pre-save/05-x", _COVER, 60, ""),
    "exits 3": ("pre-save/05-x", "exit 3", 60, "status 3"),
}


@pytest.mark.full
@pytest.mark.parametrize("row", HOOKS)
def test_a_hook_costs_no_dump(scenario: Scenario, folder: Path, crash_copy: Path, row: str) -> None:
    name, text, limit, message = HOOKS[row]
    disk = disks.make(folder / "disk.raw")
    options = ("--stall-timeout", "20", "--setup-timeout", "40")
    scenario = built(scenario, _DEVICE, *options)
    administer(scenario.image, {name: (text, limit)})
    outcome = crash_again(replace(scenario, disks=(disk.path,)))
    assert message in lines_of(outcome)
    check_dump(scenario, outcome, disk, crash_copy)


@pytest.mark.full
def test_without_a_sleep_that_lasts_a_hang_is_ended(scenario: Scenario, folder: Path) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, _DEVICE, "--stall-timeout", "20")
    killer = f"({_KILL_SLEEPERS.replace('for', 'while :; do for', 1)}; done) &"
    hooks = {"pre-mount/05-kill": (killer, 60), "save/10-saver": (_HANG, 0)}
    administer(scenario.image, hooks)
    outcome = crash_again(replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP))
    assert "no progress for 20 s: giving up" in lines_of(outcome)


@pytest.mark.full
def test_without_busybox_processes_that_are_stopped_hold_nothing(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, _DEVICE, "--stall-timeout", "20", *NO_BUSYBOX)
    administer(scenario.image, {"pre-save/05-x": (_STOP_ALL, 5)})
    outcome = crash_again(replace(scenario, disks=(disk.path,)))
    assert "hook pre-save/05-x: not done after 5 s: it is ended" in lines_of(outcome)
    check_dump(scenario, outcome, disk, crash_copy)


@pytest.mark.full
def test_a_saver_that_is_stopped_leaves_the_log_and_the_reason(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, _DEVICE, "--stall-timeout", "20")
    stop = _KILL_SAVER.replace("kill -9", "kill -STOP")
    administer(scenario.image, {"pre-save/90-stop": (stop, 60)})
    outcome = crash_again(replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP))
    (found,) = disk.crash_folders(crash_copy)
    assert outcome.token in found.file("dmesg.").copy.read_text(errors="replace")
    report = json.loads(found.file("report.json").copy.read_text())
    assert report["reason"] == "no progress for 20 s"
    assert report["result"] in ("failed", "incomplete")


def test_a_saver_that_is_killed_is_started_once_more(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, _DEVICE)
    administer(scenario.image, {"pre-save/90-kill": (_KILL_SAVER, 60)})
    outcome = crash_again(replace(scenario, disks=(disk.path,)))
    assert "the saver ended with status 137: trying again with plain settings" in lines_of(outcome)
    # One before it may be empty: of the saver that was killed.
    found = disk.crash_folders(crash_copy)[-1]
    report = json.loads(found.file("report.json").copy.read_text())
    assert (report["result"], report["dump"]["codec"]) == ("saved", "none")


@pytest.mark.full
def test_without_python_what_is_to_be_kept_free_is_kept_free(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, _DEVICE, "--keep-free", "95")
    sabotage(scenario.image, **{f"{HOOKS_PATH}/pre-save/10-second-stage": b"#!/bin/sh\nexit 1\n"})
    outcome = crash_again(replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP))
    assert "the copy will be incomplete" in lines_of(outcome)
    (found,) = disk.crash_folders(crash_copy)
    assert 0 < found.file("dump.").size <= 0.05 * (2 << 30)


@pytest.mark.full
def test_a_refusal_for_want_of_room_stands(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    disk = disks.make(folder / "disk.raw")
    disk.fill(leave_kib=(2048 << 10) * 4 // 100)
    scenario = built(scenario, _DEVICE, "--keep-free", "5")
    outcome = crash_again(replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP))
    (found,) = disk.crash_folders(crash_copy)
    names = sorted(file.name.partition(".")[0] for file in found.files)
    assert names == ["dmesg", "kexec-dmesg", "report"], "no copy of memory"
    assert outcome.token in found.file("dmesg.").copy.read_text(errors="replace")


@pytest.mark.full
def test_a_read_only_disk_is_said_at_once(scenario: Scenario, folder: Path) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = built(scenario, _DEVICE)
    drive = f"file={disk.path},format=raw,if=none,id=dump,readonly=on"
    devices = ("-drive", drive, "-device", "virtio-blk-pci,drive=dump")
    outcome = crash(replace(scenario, devices=devices, phases=WITHOUT_DUMP))
    lines = lines_of(outcome)
    assert "cannot be written to: it is read-only" in lines
    assert "sysrq triggered crash" in lines
    assert outcome.run.paced < 60


@pytest.mark.full
@pytest.mark.parametrize("saver", [True, False], ids=["saver", "copy"])
def test_a_link_for_var_crash_stays_on_the_disk(
    scenario: Scenario, folder: Path, crash_copy: Path, saver: bool
) -> None:
    disk = disks.make(folder / "disk.raw")
    disk.edit("mkdir srv", "mkdir var", "symlink var/crash /srv/crash")
    scenario = built(scenario, _DEVICE)
    if not saver:
        sabotage(
            scenario.image, **{f"{HOOKS_PATH}/pre-save/10-second-stage": b"#!/bin/sh\nexit 1\n"}
        )
    outcome = crash(replace(scenario, disks=(disk.path,), memory_mib=512))
    (found,) = disk.crash_folders(crash_copy, below="/srv/crash")
    assert f"saved {found.path}" in lines_of(outcome)
