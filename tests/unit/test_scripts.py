# SPDX-License-Identifier: GPL-2.0-or-later
"""The hooks of a capture image, each run in the image's own tree."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .captureimage import build, unpack


class Guest:
    """The image's tree with a fake /dev/kmsg, /proc/vmcore and dump disk: hooks run in it."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        init = (tree / "init").read_text()
        self.env = dict(re.findall(r"^export (\w+)='?(.*?)'?$", init, re.MULTILINE))
        self.run_folder = tree / "usr/lib/kdump-initrd/run"
        self.disk = tree / "kdump"
        (tree / "dev/kmsg").touch()
        # This kernel's modules are none of its business.
        (tree / "usr/lib/kdump-initrd/drivers.sh").write_text("drivers=\n")
        self._sessions: list[int] = []

    def state(self, name: str, text: str = "") -> None:
        (self.run_folder / name).write_text(text)

    def hook(self, path: str, **env: str) -> int:
        argv = ["chroot", str(self.tree), f"/usr/lib/kdump-initrd/hooks/{path}"]
        with subprocess.Popen(argv, env={**self.env, **env}, start_new_session=True) as process:
            try:
                status = process.wait(60)
            finally:
                self._sessions.append(process.pid)
        return status

    def end(self) -> None:
        """End what hooks have left running."""
        for session in self._sessions:
            with suppress(ProcessLookupError):
                os.killpg(session, signal.SIGKILL)

    def said(self) -> str:
        # Each line of the real /dev/kmsg is a write of its own; here the last one is left.
        return (self.tree / "dev/kmsg").read_text()

    def crash_folder(self) -> Path:
        (folder,) = (self.disk / "var/crash").iterdir()
        return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("image") / "x.img")


@pytest.fixture
def guest(image: Path, tmp_path: Path) -> Iterator[Guest]:
    tree = unpack(image, tmp_path / "tree")
    guest = Guest(tree)
    size = "size=4m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", guest.disk], check=True)
    yield guest
    guest.end()
    subprocess.run(["umount", guest.disk], check=True)


def test_raw_copy_where_the_saver_could_not_run(guest: Guest) -> None:
    guest.state("mounted")
    guest.state("saver", "70\n")
    memory = b"\x7fELF" + bytes(range(256)) * 8000 + b"\nCRASHTIME=981216306\n\0"
    (guest.tree / "proc/vmcore").write_bytes(memory)
    assert guest.hook("save/50-copy") == 0
    folder = guest.crash_folder()
    # By the crash's own time, as the log in it has it.
    assert folder.name == "200102031605"
    assert (folder / f"dump.{folder.name}").read_bytes() == memory
    assert sorted(path.name for path in folder.iterdir()) == ["dump.200102031605", "report.json"]
    assert (folder.stat().st_mode & 0o777, folder.parent.stat().st_mode & 0o777) == (0o700, 0o755)
    report = json.loads((folder / "report.json").read_text())
    assert (report["result"], report["dump"]["bytes"]) == ("copied", len(memory))
    assert report["steps"][0]["detail"] == "exit status 70"
    assert "saved /var/crash/" in guest.said()


def test_raw_copy_of_what_fits(guest: Guest) -> None:
    guest.state("mounted")
    guest.state("saver", "137\n")
    (guest.tree / "proc/vmcore").write_bytes(b"x" * (6 << 20))
    guest.hook("save/50-copy")
    folder = guest.crash_folder()
    copy = folder / f"dump.{folder.name}-raw-incomplete"
    # What is to be kept free is kept free: 5 % of 4 MiB.
    assert copy.stat().st_size == 3 << 20
    assert json.loads((folder / "report.json").read_text())["result"] == "incomplete"
    assert not (folder / f"dump.{folder.name}").exists()
    assert "is incomplete" in guest.said()


def test_raw_copy_where_the_saver_failed_and_there_is_room(guest: Guest) -> None:
    guest.state("mounted")
    guest.state("saver", "67\n")
    folder = guest.disk / "var/crash/202601010000"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text('{"result": "failed"}')
    guest.state("folder", "/kdump/var/crash/202601010000\n")
    (guest.tree / "proc/vmcore").write_bytes(b"x" * 4096)
    assert guest.hook("save/50-copy") == 0
    assert json.loads((folder / "report.json").read_text())["result"] == "copied"
    assert json.loads((folder / "report-saver.json").read_text())["result"] == "failed"


def test_no_raw_copy_where_the_saver_had_no_room(guest: Guest) -> None:
    guest.state("mounted")
    guest.state("saver", "67\n")
    (guest.tree / "proc/vmcore").write_bytes(b"x" * (6 << 20))
    assert guest.hook("save/50-copy") == 1
    assert not list(guest.disk.rglob("dump.*")), "the disk would be full for nothing"


def test_raw_copy_leaves_alone_what_is_to_be_kept_free(guest: Guest) -> None:
    guest.state("mounted")
    guest.state("saver", "137\n")
    (guest.tree / "proc/vmcore").write_bytes(b"x" * 65536)
    assert guest.hook("save/50-copy", KDUMP_KEEP_FREE="99") == 1
    assert guest.hook("save/50-copy", KDUMP_KEEP_FREE=str(4 << 20)) == 1
    assert list(guest.disk.rglob("*")) == [], "a disk that is nearly full stays as it is"
    assert "65536 bytes of /proc/vmcore do not fit into" in guest.said()


def test_raw_copy_follows_no_planted_link(guest: Guest) -> None:
    """Another user's names in a folder that all may write to."""
    guest.state("mounted")
    guest.state("saver", "137\n")
    victim = guest.disk / "victim"
    victim.write_text("precious")
    crashes = guest.disk / "var/crash"
    crashes.mkdir(parents=True)
    (crashes / "200102031605").symlink_to("/victim")
    (crashes / "200102031605-2").symlink_to("/nowhere")
    (guest.tree / "proc/vmcore").write_bytes(b"\nCRASHTIME=981216306\n")
    assert guest.hook("save/50-copy") == 0
    assert (crashes / "200102031605-3/dump.200102031605").exists()
    assert victim.read_text() == "precious"
    assert "saved /var/crash/200102031605-3" in guest.said()


def test_raw_copy_goes_into_no_file_that_is_there(guest: Guest) -> None:
    guest.state("mounted")
    guest.state("saver", "137\n")
    folder = guest.disk / "var/crash/1"
    folder.mkdir(parents=True)
    (guest.disk / "victim").write_text("precious")
    (folder / "dump.200102031605-raw-incomplete").symlink_to("/kdump/victim")
    (folder / "report.json.new").symlink_to("/kdump/victim")
    guest.state("folder", "/kdump/var/crash/1\n")
    (guest.tree / "proc/vmcore").write_bytes(b"\nCRASHTIME=981216306\n")
    assert guest.hook("save/50-copy") == 0
    assert (guest.disk / "victim").read_text() == "precious"
    assert json.loads((folder / "report.json").read_text())["dump"]["name"] == "dump-981216306"


def test_raw_copy_stays_on_the_dump_disk(guest: Guest) -> None:
    """The disk's own system has /var/crash as a link: it leads to a folder of that disk."""
    guest.state("mounted")
    guest.state("saver", "137\n")
    (guest.disk / "var").mkdir()
    (guest.disk / "var/crash").symlink_to("/srv/../../tmp/crash")
    (guest.tree / "proc/vmcore").write_bytes(b"x")
    assert guest.hook("save/50-copy") == 0
    assert list(guest.disk.glob("tmp/crash/*/report.json"))
    assert list((guest.tree / "tmp").iterdir()) == []


@pytest.mark.parametrize("status", ["0", "65", "68"])
def test_no_raw_copy_after_the_saver(guest: Guest, status: str) -> None:
    guest.state("mounted")
    guest.state("saver", f"{status}\n")
    assert guest.hook("save/50-copy") == 0
    assert list(guest.disk.iterdir()) == []


def test_copy_goes_to_the_savers_folder(guest: Guest) -> None:
    guest.state("mounted")
    guest.state("saver", "139\n")
    folder = guest.disk / "var/crash/202601010000"
    folder.mkdir(parents=True)
    stamps = [time.strftime("dump.%Y%m%d%H%M-incomplete", time.gmtime(time.time() + 60 * n))
              for n in (0, 1)]  # fmt: skip
    for name in stamps:
        (folder / name).write_text("precious")
    guest.state("folder", "/kdump/var/crash/202601010000\n")
    (guest.tree / "proc/vmcore").write_bytes(b"x" * 4096)
    assert guest.hook("save/50-copy") == 0
    assert guest.crash_folder() == folder
    (copy,) = (path for path in folder.glob("dump.*") if path.name not in stamps)
    assert copy.read_bytes() == b"x" * 4096
    for name in stamps:
        assert (folder / name).read_text() == "precious"


def test_missing_device_ends_in_time(guest: Guest) -> None:
    (guest.tree / "proc/uptime").write_text("100.00 1.00\n")
    env = {"KDUMP_SETUP_TIMEOUT": "4", "KDUMP_STARTED": "97", "KDUMP_DEVICE": "/dev/x"}
    assert guest.hook("pre-mount/50-wait-device", **env) == 1
    assert "dump device /dev/x did not appear" in guest.said()
    assert not (guest.run_folder / "device").exists()


def test_device_that_does_not_mount_is_said(guest: Guest) -> None:
    guest.state("device", "/dev/null\n")
    guest.state("options", "\n")
    assert guest.hook("mount/50-mount") == 1
    assert "/dev/null" in guest.said()
    assert "cannot be mounted as ext4" in guest.said()
    assert not (guest.run_folder / "mounted").exists()


def test_read_only_file_system_is_said_and_not_used(guest: Guest) -> None:
    guest.state("device", "none\n")
    guest.state("options", "ro,size=1m\n")
    assert guest.hook("mount/50-mount", KDUMP_FSTYPE="tmpfs") == 1
    assert "none (UUID=" in guest.said()
    assert "cannot be written to: Read-only file system" in guest.said()
    assert not (guest.run_folder / "mounted").exists()


def test_full_file_system_is_used(guest: Guest) -> None:
    """The kernel log may still fit; that is for the saver to find out."""
    guest.state("device", "none\n")
    guest.state("options", "size=4k,nr_inodes=1\n")
    try:
        assert guest.hook("mount/50-mount", KDUMP_FSTYPE="tmpfs") == 0
        assert (guest.run_folder / "mounted").exists()
        assert list(guest.disk.iterdir()) == []
    finally:
        subprocess.run(["umount", guest.disk], check=True)


@pytest.mark.parametrize("status", [2, 3, 137])
def test_saver_is_started_once_more_unless_it_decided(guest: Guest, status: int) -> None:
    fake = '#!/bin/sh\necho "$*" >>/calls\ncase $* in *jobs*) exit 67 ;; *emerg*) exit 65 ;; esac\n'
    fake += f"exit {64 + status if status < 64 else status}\n"
    (guest.tree / "usr/lib/kdump-initrd/python").write_text(fake)
    guest.state("mounted")
    guest.state("folder", "/kdump/var/crash/1\n")
    guest.hook("save/10-saver")
    calls = (guest.tree / "calls").read_text().splitlines()
    first = "__main__ --params /etc/kdump-initrd/params.json --target 0"
    assert calls[0] == first
    if status == 2:  # no other parameters would help
        assert calls[1:] == []
        return
    number = 64 + status if status < 64 else status
    assert calls[1:] == [
        f"{first} --emergency the saver ended with status {number}",
        f"{first} --dump.jobs 1 --dump.compress none --dump.verify none --dump.collector "
        " --dump.format kdump",
    ]
    assert (guest.run_folder / "saver").read_text() == "67\n"


def test_saver_of_a_capture_that_was_given_up_saves_the_rest(guest: Guest) -> None:
    fake = '#!/bin/sh\necho "$*" >>/calls\n'
    (guest.tree / "usr/lib/kdump-initrd/python").write_text(fake)
    guest.state("mounted")
    guest.hook("save/10-saver", KDUMP_REASON="no progress for 9 s")
    call = "__main__ --params /etc/kdump-initrd/params.json --target 0 "
    call += "--emergency no progress for 9 s\n"
    assert (guest.tree / "calls").read_text() == call


def test_a_disk_that_failed_is_left_where_another_one_is_left(guest: Guest) -> None:
    fake = '#!/bin/sh\necho "$*" >>/calls\nexit 67\n'
    (guest.tree / "usr/lib/kdump-initrd/python").write_text(fake)
    (guest.tree / "proc/vmcore").write_bytes(b"x" * 4096)
    lines = {"KDUMP_NEXT": "yes", "KDUMP_ATTEMPTS": "LABEL=a: it is gone\nLABEL=b: so is it"}
    lines["KDUMP_HOOKS"] = "pre-save/x: status 3"
    assert guest.hook("save/10-saver", **lines) == 0, "it is not mounted: nothing to be done"
    guest.state("mounted")
    assert guest.hook("save/10-saver", **lines) == 67
    assert guest.hook("save/50-copy", **lines) == 0
    (call,) = (guest.tree / "calls").read_text().split("__main__ ")[1:]
    told = f"--attempts {lines['KDUMP_ATTEMPTS']} --hooks {lines['KDUMP_HOOKS']}\n"
    assert call.endswith(f"--target 0 {told}")
    assert list(guest.disk.iterdir()) == []


def test_a_target_behind_the_dump_gets_the_log_and_no_copy(guest: Guest) -> None:
    fake = '#!/bin/sh\necho "$*" >>/calls\nexit 137\n'
    (guest.tree / "usr/lib/kdump-initrd/python").write_text(fake)
    guest.state("mounted")
    behind = {"KDUMP_LOG_ONLY": "yes", "KDUMP_SAVED": "LABEL=a"}
    guest.hook("save/10-saver", **behind)
    assert guest.hook("save/50-copy", **behind) == 0
    first, again = (guest.tree / "calls").read_text().splitlines()
    assert first.endswith("--target 0 --dump.format none")
    assert again.endswith("--dump.format kdump --dump.format none")
    assert list(guest.disk.iterdir()) == []


def test_drivers_stay_while_another_target_is_left(guest: Guest) -> None:
    (guest.tree / "usr/lib/kdump-initrd/drivers.sh").write_text("drivers=\n")
    lists = guest.tree / "etc/kdump-initrd/on-demand"
    lists.mkdir(exist_ok=True)
    (lists / "x").write_text("/x.ko\n")
    driver = guest.tree / "x.ko"
    driver.write_text("a driver")
    (guest.tree / "dev/disk").unlink(missing_ok=True)
    os.mknod(guest.tree / "dev/disk", 0o60600, os.makedev(7, 200))
    assert guest.hook("pre-mount/50-wait-device", KDUMP_DEVICE="/dev/disk", KDUMP_NEXT="yes") == 0
    assert driver.stat().st_size
    assert guest.hook("pre-mount/50-wait-device", KDUMP_DEVICE="/dev/disk") == 0
    assert not driver.stat().st_size


def test_broken_second_stage_is_said(guest: Guest) -> None:
    (guest.tree / "usr/lib/kdump-initrd/second-stage.cpio.gz").write_bytes(b"\x1f\x8bnot gzip")
    assert guest.hook("pre-save/10-second-stage") == 1
    assert "the second stage cannot be unpacked" in guest.said()


@pytest.mark.parametrize(
    ("known", "petted"), [("i6300esb", True), ("iTCO_wdt", False), ("", False)]
)
def test_only_watchdogs_that_ticked_are_petted(guest: Guest, known: str, petted: bool) -> None:
    top = guest.tree / "sys/class/watchdog/watchdog0/device"
    (guest.tree / "sys/module/i6300esb").mkdir(parents=True)
    (top / "driver").mkdir(parents=True)
    (top / "driver/module").symlink_to("/sys/module/i6300esb")
    dog = guest.tree / "dev/watchdog0"
    dog.touch()
    pulse = guest.tree / "usr/lib/kdump-initrd/pulse"
    pulse.write_text("1\n")
    assert guest.hook("pre-mount/20-watchdog", KDUMP_WATCHDOGS=known) == 0
    deadline = time.monotonic() + 10
    while petted and not dog.stat().st_size and time.monotonic() < deadline:
        time.sleep(0.05)
    assert bool(dog.stat().st_size) is petted
    if petted:
        # Nothing goes on any more.
        time.sleep(7)
        assert dog.stat().st_size == 1


def test_long_lines_are_cut_for_the_kernel(guest: Guest) -> None:
    guest.state("device", f"/dev/{'x' * 2000}\n")
    guest.state("options", "\n")
    guest.hook("mount/50-mount")
    assert len(guest.said().splitlines()[0]) < 950


def test_python_that_cannot_start_has_its_own_status(guest: Guest) -> None:
    """An interpreter's failure must not be taken for the saver's word that it was handled."""
    (guest.tree / "usr/lib/kdump-initrd/python.zip").unlink()
    guest.state("mounted")
    assert guest.hook("save/10-saver") not in (0, 65)
    assert (guest.run_folder / "saver").read_text().strip() not in ("0", "65")


def test_python_may_have_no_console(guest: Guest) -> None:
    """What it has done counts, not whether somebody can read about it."""
    guest.state("none")
    argv = ["chroot", str(guest.tree), "/usr/lib/kdump-initrd/python"]
    argv += ["machine", "load", "/usr/lib/kdump-initrd/run/none"]
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run(argv, stdout=full, timeout=30, check=False).returncode == 0
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.returncode) == ("0 kernel modules loaded\n", 0)
