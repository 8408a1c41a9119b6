# SPDX-License-Identifier: GPL-2.0-or-later
"""Each distribution's profile in a machine: a dump by its names, an initrd of its kind that arms.

The kernel, the programs and dracut are Debian's: of the other distributions it is the names, the
layout and the way of hooking in that are tested.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.core.run import find, run

from . import bases, disks, loop, product, readers, rootfs
from .bases import Base
from .disks import CrashFolder, SavedFile
from .loop import Loop
from .scenario import Scenario, crash
from .tools import tool

pytestmark = [pytest.mark.qemu, pytest.mark.full, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Layout:
    """What abrt, apport, sosreport and a distribution's own scripts look for.

    ``folder`` is a pattern; {stamp} in a name is the folder's.
    """

    folder: str
    dump: str
    dmesg: str
    others: tuple[str, ...] = ()


_DEBIAN = Layout(r"\d{12}", "dump.{stamp}", "dmesg.{stamp}", ("kexec-dmesg.log",))
_REDHAT = Layout(
    r"127\.0\.0\.1-\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d",
    *("vmcore", "vmcore-dmesg.txt", ("kexec-dmesg.log",)),
)
_SUSE = Layout(r"\d{4}-\d\d-\d\d-\d\d-\d\d", "vmcore", "dmesg", ("README.txt", "kexec-dmesg.log"))
LAYOUTS = {
    **dict.fromkeys(("debian", "ubuntu", "arch"), _DEBIAN),
    **dict.fromkeys(("fedora", "rhel", "centos", "rocky", "almalinux", "amazon"), _REDHAT),
    **dict.fromkeys(("sles", "opensuse-leap", "opensuse-tumbleweed"), _SUSE),
}
#: The distribution whose initrd stands for each family's, and a base of its kind.
FAMILIES = {"debian": Base.MOST, "fedora": Base.DRACUT, "rhel": Base.DRACUT, "sles": Base.DRACUT}
#: The saver compresses by what every reader here has.
_CODEC = ("--dump-compress", "lzo")


def check(folder: CrashFolder, layout: Layout, token: str, release: str) -> None:
    """Check that exactly the distribution's files are there, and are of this crash."""
    stamp = folder.path.name
    assert re.fullmatch(layout.folder, stamp), stamp
    wanted = [name.format(stamp=stamp) for name in (layout.dump, layout.dmesg, *layout.others)]
    assert sorted(file.name for file in folder.files) == sorted([*wanted, "report.json"])
    copies = {file.name: file.copy for file in folder.files}
    readers.prove(dump=copies[wanted[0]], dmesg=copies[wanted[1]], token=token, release=release)
    assert json.loads(copies["report.json"].read_text())["result"] == "saved"


@pytest.mark.parametrize("distro", LAYOUTS)
def test_a_dump_has_the_distribution_s_names(
    scenario: Scenario, folder: Path, crash_copy: Path, distro: str
) -> None:
    disk = disks.make(folder / "disk.raw")
    options = (*product.VIRTIO, *_CODEC, "--distro", distro)
    image = product.build(scenario.image, scenario.kernel, f"UUID={disks.UUID}", *options)
    scenario = replace(scenario, command_line=image.command_line, disks=(disk.path,))
    outcome = crash(scenario)
    assert disk.fsck() == ""
    (found,) = disk.crash_folders(crash_copy)
    check(found, LAYOUTS[distro], outcome.token, scenario.kernel.release)


@pytest.mark.skipif(
    not (find("mkfs.vfat") and find("mcopy")), reason="dosfstools and mtools are not here"
)
def test_names_that_a_dos_file_system_holds(
    scenario: Scenario, folder: Path, crash_copy: Path
) -> None:
    """Red Hat's folder has colons, which vfat refuses."""
    disk = disks.sparse(folder / "disk.raw", 1 << 30)
    run([tool("mkfs.vfat"), "-F", "32", "-i", "0B5E6F4E", disk], timeout=60)
    options = (*product.VIRTIO, *_CODEC, "--distro", "fedora", "-f", "vfat")
    image = product.build(scenario.image, scenario.kernel, "UUID=0B5E-6F4E", *options)
    outcome = crash(replace(scenario, command_line=image.command_line, disks=(disk,)))
    run([tool("mcopy"), "-s", "-i", disk, "::var/crash", crash_copy], timeout=120)
    (top,) = (crash_copy / "crash").iterdir()
    files = tuple(SavedFile(each.name, 0, each.stat().st_size, each) for each in top.iterdir())
    layout = replace(_REDHAT, folder=_REDHAT.folder.replace(":", "-"))
    check(CrashFolder(PurePosixPath(top.name), 0, files), layout, outcome.token,
          scenario.kernel.release)  # fmt: skip


@pytest.mark.parametrize("distro", FAMILIES)
def test_an_initrd_of_the_distribution_s_kind_arms(
    name: str, folder: Path, crash_copy: Path, distro: str
) -> None:
    root = rootfs.debian()
    disk = rootfs.disk(root, folder / "root.raw")
    capture, first = folder / "capture.img", folder / "first.img"
    options = (*product.VIRTIO, *_CODEC, "--distro", distro)
    product.build(capture, root.kernel, f"UUID={rootfs.UUID}", *options)
    base = bases.base(root, FAMILIES[distro])
    product.build_first(first, capture, root.kernel, "--base", str(base), "--distro", distro)
    # The test's service in the root knows Debian's names only: the disk is looked at from here.
    outcome = loop.go(Loop(name, root.kernel, first, (disk.path,), phases=loop.ONCE))
    assert re.search(r"kdump-initrd: armed in \d+ ms$", outcome.run.console, re.MULTILINE)
    assert disk.fsck() == ""
    (found,) = disk.crash_folders(crash_copy)
    check(found, LAYOUTS[distro], outcome.token, root.kernel.release)
