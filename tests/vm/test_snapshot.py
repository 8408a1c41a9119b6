# SPDX-License-Identifier: GPL-2.0-or-later
"""A state of a crashed machine: its stub takes an image, and it is the same each time."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.core.run import run

from . import disks, snapshot
from .archive import Archive
from .machine import LostMachine, MachineConfig
from .scenario import WITHOUT_DUMP, Scenario
from .snapshot import Snapshot, crash_again
from .tools import tool

#: The sum of what the crash left, from the description of its memory on.
_TELLS = """\
#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
say() { echo "<2>kdump-initrd: $*" >/dev/kmsg; }
say capturing
dd if=/proc/vmcore of=/part bs=1048576 count=16
say "$(wc -c </part) bytes $(md5sum </part)"
say "I am WORD"
reboot -f
"""


def image(target: Path, init: str) -> Path:
    """Write an image that is busybox and a text."""
    archive = Archive()
    applets = ("sh", "mount", "dd", "wc", "md5sum", "reboot", "cat", "ls")
    archive.busybox(tool("busybox"), applets)
    archive.content("/init", init.encode())
    for folder in ("/proc", "/dev"):
        archive.folder(folder)
    archive.write(target)
    return target


def appended(target: Path, files: dict[str, bytes]) -> None:
    """Append a compressed segment with these files."""
    more = target.with_suffix(".more")
    archive = Archive()
    for name, content in files.items():
        archive.content(name, content)
    archive.write(more)
    with target.open("ab") as out:
        out.write(bytes(-out.tell() % 4) + run(["zstd", "-qc", more], timeout=60).stdout)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """What stands for the machine's memory: nothing was brought to it yet."""
    memory = tmp_path / "memory"
    memory.touch()
    os.truncate(memory, 256 << 20)
    return memory


def test_the_stub_goes_on_as_the_image_that_is_brought(tmp_path: Path, memory: Path) -> None:
    snapshot.write_stub(tmp_path / "stub.cpio")
    top = tmp_path / "top"
    top.mkdir()
    run(["cpio", "-idu", "--quiet", "-D", top, "-F", tmp_path / "stub.cpio"], timeout=60)
    os.link(memory, top / "snapshot/mem")
    (top / "snapshot/kmsg").touch()
    made = image(tmp_path / "image", "#!/bin/sh\necho first\n")
    appended(made, {"/init": b"#!/bin/sh\necho $$ $(ls /); cat /large | md5sum\n",
                    "/large": b"12345678" * 65536})  # fmt: skip
    words = ["unshare", "-pf", "--kill-child", "chroot", str(top), "/init"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as stub:
        try:
            while "kdump-snapshot: capturing" not in (top / "snapshot/kmsg").read_text():
                time.sleep(0.02)
            snapshot.bring(memory, made)
            said, _ = stub.communicate(timeout=30)
        finally:
            stub.kill()
    # The first process still, in the place of the stub.
    assert said.splitlines()[0] == "1 bin dev init large proc"
    expected = run(["md5sum", top / "large"], timeout=30).stdout.decode().split()[0]
    assert said.splitlines()[1].split()[0] == expected
    assert (top / "large").stat().st_size == 8 * 65536


def test_an_image_without_room_is_refused(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = image(tmp_path / "image", "")
    room = -(-made.stat().st_size // 4096) + 1  # in pages, with the one that tells them
    monkeypatch.setattr(snapshot, "_ROOM", room * 4096)
    snapshot.bring(memory, made)
    appended(made, {"/one": b"more"})
    with pytest.raises(ValueError, match="too large"):
        snapshot.bring(memory, made)


def test_another_machine_is_another_snapshot(tmp_path: Path) -> None:
    kernel, initrd = tmp_path / "kernel", tmp_path / "initrd"
    kernel.write_text("kernel")
    initrd.write_text("initrd")
    config = MachineConfig(tmp_path / "run", kernel, initrd, "words", "token")
    first = snapshot.key(config)
    # Where a run keeps its files does not matter.
    assert snapshot.key(replace(config, folder=tmp_path / "other")) == first
    others = [replace(config, append="more words"), replace(config, memory_mib=512)]
    assert first not in map(snapshot.key, others)
    for path in (kernel, initrd):
        before = path.read_text()
        path.write_text("another")
        assert snapshot.key(config) != first
        path.write_text(before)


@pytest.mark.qemu
@pytest.mark.timeout(600)
def test_what_is_restored_twice_is_the_same_machine(scenario: Scenario, folder: Path) -> None:
    disk = disks.make(folder / "disk.raw")
    scenario = replace(scenario, disks=(disk.path,), phases=WITHOUT_DUMP)
    said = []
    for word in ("one", "two"):
        image(scenario.image, _TELLS.replace("WORD", word))
        outcome = crash_again(scenario)
        said.append(re.findall(r"kdump-initrd: (.+)", outcome.run.console))
        assert said[-1][-1] == f"I am {word}"
    (_, memory, _), (_, again, _) = said
    assert memory.startswith(f"{16 << 20} bytes ")
    assert memory == again


@pytest.mark.qemu
def test_a_state_that_is_none_is_a_lost_machine(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Snapshot(tmp_path, "token", 1.0)
    broken.initrd.touch()
    broken.state.write_text("no state")
    broken.memory.touch()
    os.truncate(broken.memory, scenario.memory_mib << 20)
    monkeypatch.setattr(snapshot, "_snapshot", lambda scenario: broken)
    image(scenario.image, _TELLS)
    with pytest.raises(LostMachine, match=r"cannot be loaded: .*QEMU ended: .*migration"):
        crash_again(scenario)
