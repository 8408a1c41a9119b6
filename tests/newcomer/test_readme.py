# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's commands, on a Debian 12 with nothing prepared: no machine's extras hide a gap."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bare import REPO, Machine

pytestmark = [pytest.mark.full, pytest.mark.timeout(7200)]

LOGS = REPO / "build/newcomer"
_CONFIGURATION = """\
[capture]
device = "UUID=4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"
fstype = "ext4"

[image]
hardware = ["generic"]
"""
#: Under its name since Linux 6.19, and under the one before.
_CRASH_SIZE = ("/sys/kernel/kexec/crash_size", "/sys/kernel/kexec_crash_size")
_FIRST = "apt-get update && apt-get install -y make"


def commands() -> list[str]:
    """Return the lines that the README tells a person to type, without their comments."""
    lines = re.findall(r"^ {4}([a-z].*)$", (REPO / "README.md").read_text(), re.MULTILINE)
    return [line.partition("  #")[0].rstrip() for line in lines]


def written(start: str) -> str:
    """Return the README's own command that begins so."""
    found = [line for line in commands() if line == start or line.startswith(f"{start} ")]
    assert len(found) == 1, f"the README has {len(found)} commands {start}"
    return found[0]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A bare Debian of its own, after the README's first command."""
    (tmp_path / "out").mkdir()
    made = Machine(tmp_path / "state", tmp_path / "out")
    made.prepare()
    assert made.type(written(_FIRST), timeout=300).status == 0
    yield made
    shutil.rmtree(tmp_path / "state", ignore_errors=True)


def succeed(machine: Machine, line: str, *, timeout: float) -> str:
    """Type a line that has to end well; return what it printed. All of it is kept in LOGS."""
    done = machine.type(line, timeout=timeout)
    said = done.stdout.decode(errors="replace")
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{re.sub('[^a-z]+', '-', line)[:40]}.log"
    log.write_text(f"{said}\n--- stderr\n{done.stderr}")
    if done.status:
        tail = "\n".join((said + done.stderr).splitlines()[-40:])
        pytest.fail(f"{line}: exit status {done.status}\n{tail}\nwhole output: {log}", False)
    return said


def test_make_deb_and_apt_install(machine: Machine) -> None:
    # A kernel, and a disk for dumps: / is an overlay here, which no device is known for.
    succeed(machine, "apt-get install -y linux-image-amd64", timeout=600)
    (machine.state / "upper/etc/kdump-initrd.toml").write_text(_CONFIGURATION)
    line = written("make deb")
    assert "&& apt install ./dist/" in line
    said = succeed(machine, line, timeout=1200)
    assert "qemu" not in said, "packaging needs no machine"
    # The kernel that runs this machine may be one that cannot load another.
    missing = "crashkernel=" if any(map(os.path.exists, _CRASH_SIZE)) else "CONFIG_KEXEC"
    assert missing in said, "what is still missing is not said"
    assert "mkinitrd-kdump" in succeed(machine, "mkinitrd-kdump --help", timeout=60)


def test_make_rpm(machine: Machine) -> None:
    succeed(machine, "make rpm", timeout=1200)
    found = [path.name for path in (machine.out / "kdump-initrd/dist").glob("*.rpm")]
    assert len(found) == 2


def test_make_demo(machine: Machine) -> None:
    said = succeed(machine, written("make demo"), timeout=2400)
    assert "It is the dump of this very crash" in said


def test_make_test(machine: Machine) -> None:
    said = succeed(machine, written("make test"), timeout=6600)
    assert re.search(r"^=+ \d+ passed", said, re.MULTILINE)
    assert not re.search(r"\d+ (failed|errors?)\b", said)
