# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole life of the package on a Debian that GRUB starts, by a person's own commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.packaging.building import make

from . import grubsystem, readers
from .capture import saved_on
from .disks import Disk
from .grubsystem import Errand
from .loop import LOGIN
from .phases import Phase
from .rootfs import Root

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

_INSTALL = """\
step install apt-get install -y "$here/kdump-initrd.deb"
step unready kdump-initrd status
step reserve kdump-initrd reserve --set
systemctl reboot --force
"""
_CRASH = """\
step ready kdump-initrd status
echo 1 > /proc/sys/kernel/sysrq
sync
say loaded
echo c > /proc/sysrq-trigger
"""
_PURGE = """\
step after kdump-initrd status --json
step purge apt-get purge -y kdump-initrd
step left find / -xdev -path /var/errand -prune -o -path '/var/lib/dpkg*' -prune \
    -o -path '/var/log*' -prune -o -iname '*kdump-initrd*' -print
systemctl poweroff --force
"""
_GRUB = "/boot/grub/grub.cfg"


@pytest.fixture
def deb(folder: Path) -> Path:
    """The package, as anybody makes it."""
    make("deb", f"DIST={folder / 'dist'}")
    (made,) = (folder / "dist").glob("*.deb")
    return made.rename(folder / "kdump-initrd.deb")


def read(disk: Disk, path: str, into: Path) -> bytes:
    """Return a file of a disk."""
    disk.copy_out(path, into / "read")
    return (into / "read").read_bytes()


def step(disk: Disk, name: str, into: Path, *, status: int = 0) -> str:
    """Return what a step said; it must have ended with ``status``."""
    found, said = grubsystem.result(disk, name, into)
    assert found == status, said
    return said


def test_installed_reserved_crashed_and_purged(
    name: str, folder: Path, crash_copy: Path, deb: Path
) -> None:
    root = grubsystem.system()
    disk = grubsystem.disk(root, folder / "system.raw")
    kept = read(disk, _GRUB, folder)

    errand = Errand(name, _INSTALL, (Phase.BOOTED, Phase.REBOOTED), (deb,), seconds=400)
    grubsystem.go(errand, disk)
    said = step(disk, "install", folder)
    assert "not armed: no memory is reserved" in said
    assert "\n  kdump-initrd reserve --set\n" in said
    said = step(disk, "unready", folder, status=3)
    assert said.startswith("not ready: reservation: ")
    step(disk, "reserve", folder)
    assert b" crashkernel=" in read(disk, _GRUB, folder)

    phases = (Phase.BOOTED, Phase.LOADED, Phase.CRASHED, Phase.CAPTURING, Phase.SAVED)
    outcome = grubsystem.go(Errand(name, _CRASH, (Phase.ARMED, *phases, Phase.REBOOTED)), disk)
    said = step(disk, "ready", folder)
    assert said.startswith("ready: ")
    assert " /boot/initrd.img-" in said, "the service can write /boot"
    check_dump(disk, crash_copy, outcome.token, root)

    grubsystem.go(Errand(name, _PURGE, LOGIN, seconds=300), disk)
    links = {link["name"]: link for link in json.loads(step(disk, "after", folder))["links"]}
    assert links["last test"]["facts"]["result"] == "saved"
    step(disk, "purge", folder)
    assert step(disk, "left", folder) == ""
    assert read(disk, _GRUB, folder) == kept
    initrd = f"boot/initrd.img-{root.kernel.release}"
    assert read(disk, f"/{initrd}", folder) == (root.path / initrd).read_bytes()


def check_dump(disk: Disk, into: Path, token: str, root: Root) -> None:
    """Check with drgn and makedumpfile that the only dump is of this crash."""
    saved = saved_on(disk, into)
    assert saved.report["result"] == "saved"
    dump = saved.folder.file("dump.").copy
    assert f"{token} loaded" in readers.read_log(dump)
    facts = readers.read_with_drgn(dump)
    assert facts.release == root.kernel.release
    # GRUB's own word, and ours.
    words = facts.command_line.split()
    assert any(word.startswith("BOOT_IMAGE=") for word in words)
    assert any(word.startswith("crashkernel=") for word in words)
