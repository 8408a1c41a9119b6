# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian whose initrd is left alone: its service arms it, and a new image needs no restart."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import pytest

from kdump_initrd.image.archive.segments import read_manifest
from tests.packaging.building import make

from . import grubsystem, readers
from .capture import saved_on
from .disks import Disk
from .grubsystem import Errand
from .phases import CAPTURE, Phase

pytestmark = [pytest.mark.qemu, pytest.mark.full, pytest.mark.timeout(1500)]

_INSTALL = """\
mkdir -p /etc/kdump-initrd.toml.d
printf '[refresh]\\nimages = "capture"\\n' >/etc/kdump-initrd.toml.d/alone.toml
step install apt-get install -y "$here/kdump-initrd.deb"
step enable systemctl enable kdump-initrd.service
step reserve kdump-initrd reserve --set
mkdir -p /etc/kdump-initrd/hooks/pre-save
cp "$here/10-harmless" /etc/kdump-initrd/hooks/pre-save/
chmod 755 /etc/kdump-initrd/hooks/pre-save/10-harmless
systemctl reboot --force
"""
#: What udev has to do is waited for: the file tells when it was loaded.
_RELOAD = """\
step service systemctl is-active kdump-initrd.service
step before cat /run/kdump-initrd/loaded
printf '[capture]\\ndump-level = 1\\n' >/etc/kdump-initrd.toml.d/level.toml
step refresh mkinitrd-kdump --refresh
step stale kdump-initrd status
step reload systemctl reload kdump-initrd.service
step ready kdump-initrd status
step after cat /run/kdump-initrd/loaded
step again kdump-initrd load
echo add >/sys/devices/system/cpu/cpu0/uevent
seconds=0
# Until it is loaded, the file has no image.
while [ "$seconds" -lt 90 ] && { cmp -s /run/kdump-initrd/loaded /var/errand/after ||
    ! grep -q '^image=.' /run/kdump-initrd/loaded; }; do
    sleep 1
    seconds=$((seconds + 1))
done
step hotplug cat /run/kdump-initrd/loaded
step segment python3 -I "$here/segment.py"
step memory cat /run/kdump-initrd/loaded
echo 1 >/proc/sys/kernel/sysrq
sync
say loaded
echo c >/proc/sysrq-trigger
"""

#: Loads the image once more, with a file that is nowhere on a disk of the machine.
_SEGMENT = """\
import sys
from pathlib import Path
sys.path.insert(0, "/usr/lib/kdump-initrd")
from kdump_initrd.upkeep.loading import loadwork
def harmless(tree, root):
    tree.add_content("usr/lib/kdump-initrd/harmless", b"{token}\\n", why="a test")
wish = loadwork.Wish(again=True, contributors=[harmless])
print(loadwork.load(wish, top=Path("/"), distro=None).text)
"""
#: A hook of the administrator's, which says what it finds in that file.
_HOOK = """\
#!/bin/sh
read -r harmless </usr/lib/kdump-initrd/harmless
echo "<5>found in memory: $harmless" >/dev/kmsg
"""


def step(disk: Disk, name: str, into: Path, *, status: int = 0) -> str:
    """Return what a step said; it must have ended with ``status``."""
    found, said = grubsystem.result(disk, name, into)
    assert found == status, said
    return said


def loaded(disk: Disk, name: str, into: Path) -> dict[str, str]:
    """Return what a step has read of the file that tells what is loaded."""
    lines = step(disk, name, into).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_new_image_is_in_force_without_a_restart(
    name: str, folder: Path, crash_copy: Path
) -> None:
    make("deb", f"DIST={folder / 'dist'}")
    (made,) = (folder / "dist").glob("*.deb")
    package = made.rename(folder / "kdump-initrd.deb")
    root = grubsystem.system()
    disk = grubsystem.disk(root, folder / "system.raw")
    release = root.kernel.release

    word = secrets.token_hex(8)
    hook, segment = folder / "10-harmless", folder / "segment.py"
    hook.write_text(_HOOK)
    segment.write_text(_SEGMENT.format(token=word))

    phases = (Phase.BOOTED, Phase.REBOOTED)
    grubsystem.go(Errand(name, _INSTALL, phases, (package, hook), seconds=600), disk)
    for each in ("install", "enable", "reserve"):
        step(disk, each, folder)
    outcome = grubsystem.go(Errand(name, _RELOAD, CAPTURE, (segment,), seconds=120), disk)

    assert step(disk, "service", folder) == "active\n"
    before, after, hotplug = (loaded(disk, each, folder) for each in ("before", "after", "hotplug"))
    assert step(disk, "stale", folder, status=3).startswith(
        "not ready: loaded: no longer the present one"
    )
    assert step(disk, "ready", folder).startswith("ready: ")
    assert step(disk, "again", folder).startswith("already loaded: ")
    assert before["by"] == after["by"] == "load"
    assert before["image"] != after["image"] == hotplug["image"]
    assert int(before["uptime_ms"]) < int(after["uptime_ms"]) < int(hotplug["uptime_ms"])

    assert step(disk, "segment", folder).startswith("loaded: ")
    memory = loaded(disk, "memory", folder)
    assert (memory["image"], hotplug["segment"]) == (after["image"], "")
    assert memory["segment"]

    image = folder / "image"
    disk.copy_out(f"/boot/initrd.img-{release}-kdump", image)
    assert hashlib.sha256(image.read_bytes()).hexdigest() == after["image"]
    manifest = read_manifest(image)
    saved = saved_on(disk, crash_copy)
    assert manifest is not None
    assert saved.report["image"] == manifest.image != ""
    assert (saved.report["result"], saved.report["dump"]["level"]) == ("saved", 1)
    log = saved.folder.file("kexec-dmesg.log").copy.read_text(errors="replace")
    assert f"found in memory: {word}" in log
    dump = saved.folder.file("dump.").copy
    assert f"{outcome.token} loaded" in readers.read_log(dump)
    assert readers.read_with_drgn(dump).release == release

    initrd = f"boot/initrd.img-{release}"
    disk.copy_out(f"/{initrd}", image)
    assert image.read_bytes() == (root.path / initrd).read_bytes(), "it is left alone"
