# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of the administrator in a real image: they have what they need, by what they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError

from .captureimage import build, unpack

_CHROOT = shutil.which("chroot") or "chroot"
HOOKS = Path("usr/lib/kdump-initrd/hooks")


def test_a_hook_has_what_it_needs(tmp_path: Path) -> None:
    script = tmp_path / "mine.sh"
    data = tmp_path / "data"
    data.write_text("some data")
    script.write_text(f"#!/bin/bash\n# needs: /usr/bin/lsblk {data}\n# timeout: 9\ntrue\n")
    script.chmod(0o755)
    program = shutil.which("findmnt") or ""
    hooks = ("--hook", f"success:{script}", "--hook", f"failure:{program}")
    tree = unpack(build(tmp_path / "x.img", *hooks, "--add-program", "lscpu"), tmp_path / "tree")
    assert (tree / HOOKS / "success/60-mine.sh").read_text() == script.read_text()
    init = (tree / "init").read_text()
    assert "\trun_hook success/60-mine.sh 9\n" in init
    assert init.index("\nfi\n") < init.index("\nrun_hook failure/60-findmnt 60\n")
    assert (tree / str(data)[1:]).read_text() == "some data"
    for argv in (
        ["/usr/lib/kdump-initrd/hooks/failure/60-findmnt", "--version"],
        ["/usr/lib/kdump-initrd/hooks/success/60-mine.sh"],
        ["/usr/bin/lsblk", "--version"],
        ["/usr/sbin/lscpu", "--version"],
    ):
        subprocess.run(
            [_CHROOT, str(tree), *argv], check=True, timeout=30, stdout=subprocess.DEVNULL
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hook", "later:/bin/true"), "later:/bin/true: no such stage"),
        (("--hook", "final:/no/such"), "/no/such: a hook for final, and it is not there"),
        (("--add-program", "nosuch"), "nosuch: not in the root (an added program)"),
    ],
)
def test_what_is_not_there_is_an_error(
    tmp_path: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((AssertionError, KdumpInitrdError)):
        build(tmp_path / "x.img", *words)
    assert message in capsys.readouterr().err


def test_what_repairs_the_target_is_there(tmp_path: Path) -> None:
    tree = unpack(build(tmp_path / "x.img", "--fsck"), tmp_path / "tree")
    argv = [_CHROOT, str(tree), "/usr/sbin/fsck.ext4", "-V"]
    done = subprocess.run(argv, check=True, timeout=30, capture_output=True, text=True)
    assert "e2fsck" in done.stderr
    lines = (tree / "init").read_text().splitlines()
    at = lines.index("\trun_hook mount/60-repair 0")
    assert lines[at - 1].startswith("\trun_hook mount/50-mount ")


@pytest.mark.parametrize(("status", "mounted"), [(0, True), (1, True), (4, False)])
def test_a_repair(tmp_path: Path, status: int, mounted: bool) -> None:
    tree = unpack(build(tmp_path / "x.img", "--fsck"), tmp_path / "tree")
    run = tree / "usr/lib/kdump-initrd/run"
    (tree / "dev/kmsg").touch()
    (run / "device").write_text("/dev/x\n")
    (run / "why").write_text("it cannot be mounted\n")
    for name, text in (
        ("usr/sbin/fsck.ext4", f'echo "$*" >/asked; echo done; exit {status}'),
        (str(HOOKS / "mount/50-mount"), ": >$KDUMP_RUN/mounted"),
    ):
        (tree / name).write_text(f"#!/bin/sh\n{text}\n")
    env = {"KDUMP_LIB": "/usr/lib/kdump-initrd", "KDUMP_RUN": "/usr/lib/kdump-initrd/run"}
    env |= {"KDUMP_FSTYPE": "ext4", "KDUMP_DEVICE": "LABEL=x"}
    argv = [_CHROOT, str(tree), "/usr/lib/kdump-initrd/hooks/mount/60-repair"]
    assert subprocess.run(argv, env=env, timeout=30, check=False).returncode == (not mounted)
    assert (tree / "asked").read_text() == "-y /dev/x\n"
    assert (run / "mounted").exists() is mounted
    assert ((run / "why").read_text() == "") is mounted
    # What is mounted already is not touched.
    (run / "mounted").touch()
    (tree / "asked").unlink()
    assert subprocess.run(argv, env=env, timeout=30, check=False).returncode == 0
    assert not (tree / "asked").exists()
