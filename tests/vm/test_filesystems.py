# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump on each type of file system, read back by programs that are not ours."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kdump_initrd.core.run import run

from . import disks, product, readers, sidemachine
from .cached import cache, making
from .capture import Saved, built, check, said, with_report
from .disks import CrashFolder
from .kernels import Kernel
from .scenario import WITHOUT_DUMP, Scenario, crash
from .sidemachine import Errand
from .tools import tool

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

BTRFS = ("btrfs",)
#: As installers of SUSE and Fedora make them, with a default that is not what is mounted.
SUBVOLUMES = (
    "mount -t btrfs /dev/vda /mnt",
    "btrfs subvolume create /mnt/@",
    "btrfs subvolume create /mnt/@/var",
    "mkdir -p /mnt/@/var/lib/dumps /mnt/@/home",
    "btrfs subvolume create /mnt/@/home/default",
    "btrfs subvolume set-default /mnt/@/home/default",
    "umount /mnt",
)
#: The number of @/var: the first subvolume of a file system is 256 (btrfs_tree.h,
#: BTRFS_FIRST_FREE_OBJECTID).
VAR = 257


def formatted(*words: str | Path) -> None:
    """Make a file system."""
    run([tool(str(words[0])), *words[1:]], timeout=120)


def restored(disk: Path, into: Path, root: int, below: str) -> list[CrashFolder]:
    """Return the crash folders of a subvolume, as btrfs-progs finds them without a mount."""
    copy = into / "restored"
    copy.mkdir()
    run([tool("btrfs"), "restore", "-m", "-r", str(root), disk, copy], timeout=300)
    return sidemachine.folders_in(copy / below, below=f"/{below}")


@pytest.fixture
def subvolumes(kernel: Kernel, folder: Path) -> Path:
    """A disk with the subvolumes; it is made once."""
    made_from = hashlib.sha256("\n".join(SUBVOLUMES).encode()).hexdigest()
    kept = cache() / f"filesystems/subvolumes-{made_from[:12]}.raw"
    with making(kept) as fresh:
        if fresh:
            disk = disks.sparse(kept.with_suffix(".new"), 2048 << 20)
            formatted("mkfs.btrfs", "-q", "-U", disks.UUID, disk)
            errand = Errand(kernel, (disk,), BTRFS, SUBVOLUMES, ("btrfs",))
            sidemachine.go(errand, folder / "making")
            disk.rename(kept)
    disk = folder / "disk.raw"
    run(["cp", "--sparse=always", kept, disk], timeout=60)
    return disk


def built_by_fstab(scenario: Scenario, folder: Path, text: str, *options: str) -> Scenario:
    """Build the scenario's image for whatever holds /var/crash, by an fstab of the host.

    It is written elsewhere first: a checkout below /var would be hidden by what that fstab mounts.
    """
    table = folder / "fstab"
    table.write_text(text)
    alone = "-m" if os.geteuid() == 0 else "-rm"
    script = 'mount --bind "$1" /etc/fstab && shift && exec "$@"'
    command = [str(tool("unshare")), alone, "sh", "-c", script, "sh", str(table), *product.ME]
    options = (*product.VIRTIO, *options)
    with TemporaryDirectory(dir="/tmp") as elsewhere:
        made = Path(elsewhere, "capture.img")
        image = product.build(made, scenario.kernel, "", *options, command=command)
        shutil.move(made, scenario.image)
    return replace(scenario, command_line=image.command_line)


@pytest.mark.parametrize(
    "var", ["subvol=@/var", pytest.param(f"subvolid={VAR}", marks=pytest.mark.full)]
)
def test_subvolumes_and_a_bind_mount(
    scenario: Scenario, folder: Path, crash_copy: Path, subvolumes: Path, var: str
) -> None:
    scenario = built_by_fstab(
        scenario,
        folder,
        f"UUID={disks.UUID} / btrfs subvol=@ 0 0\n"
        f"UUID={disks.UUID} /var btrfs {var},nofail,x-systemd.automount 0 0\n"
        "/var/lib/dumps /var/crash none bind,nofail 0 0\n",
    )
    outcome = crash(replace(scenario, disks=(subvolumes,)))
    (found,) = restored(subvolumes, crash_copy, VAR, "lib/dumps")
    check(with_report(found), outcome.token, scenario.kernel)


@pytest.mark.full
@pytest.mark.parametrize("lost", [None, 0, 1], ids=["both", "first-lost", "second-lost"])
def test_a_btrfs_on_two_disks(
    scenario: Scenario, folder: Path, crash_copy: Path, lost: int | None
) -> None:
    both = [disks.sparse(folder / f"disk{number}.raw", 2048 << 20) for number in range(2)]
    formatted("mkfs.btrfs", "-q", "-U", disks.UUID, "-d", "raid1", "-m", "raid1", *both)
    scenario = built(scenario, f"UUID={disks.UUID}", fstype="btrfs")
    there = tuple(disk for number, disk in enumerate(both) if number != lost)
    outcome = crash(replace(scenario, disks=there))
    # Read from one of them alone: what was written to both can be.
    (found,) = restored(there[-1], crash_copy, 5, "var/crash")
    check(with_report(found), outcome.token, scenario.kernel)
    remarks = [
        step["detail"] for step in with_report(found).report["steps"] if step["name"] == "target"
    ]
    words = f"a device of UUID={disks.UUID} (1 of 2 are there) did not appear"
    assert [line.startswith(words) for line in remarks] == ([] if lost is None else [True])
    assert (words in "\n".join(said(outcome.run))) == (lost is not None)


@dataclass(frozen=True)
class Type:
    """How a type of file system is made, and what a machine needs to read it."""

    words: tuple[str, ...]
    device: str = f"UUID={disks.UUID}"
    modules: tuple[str, ...] = ()
    options: str = "ro"
    #: Whether it keeps owners and modes.
    has_modes: bool = True
    #: What is on it, files and links with their targets, and where the dump is then.
    there: Mapping[str, str] = field(default_factory=dict)
    below: str = "/mnt/var/crash"


SERIAL = "4B1D-C0DE"
TYPES = {
    # With a link that begins at the top of that file system, and with a file in the folder's place.
    "ext2": Type(
        ("mkfs.ext2", "-q", "-U", disks.UUID),
        there={"var": "/data"},
        below="/mnt/data/crash",
    ),
    "ext3": Type(
        ("mkfs.ext3", "-q", "-U", disks.UUID),
        there={"var/crash": ""},
        below="/mnt",
    ),
    "xfs": Type(("mkfs.xfs", "-q", "-m", f"uuid={disks.UUID}")),
    "f2fs": Type(("mkfs.f2fs", "-q", "-U", disks.UUID), modules=("crc32_generic",)),
    "vfat": Type(
        ("mkfs.vfat", "-F", "32", "-i", SERIAL.replace("-", "")),
        f"UUID={SERIAL}",
        ("nls_cp437", "nls_ascii"),
        "ro,iocharset=ascii",
        has_modes=False,
    ),
    "exfat": Type(
        ("mkfs.exfat", "-L", disks.LABEL), f"LABEL={disks.LABEL}", ("nls_utf8",), has_modes=False
    ),
}


def planted(tree: Path, made: Type) -> Path:
    """Make a folder with what is to be on a file system."""
    for name, target in made.there.items():
        path = tree / name
        path.parent.mkdir(parents=True)
        if target:
            path.symlink_to(target)
        else:
            path.touch()
    return tree


def read_by_linux(
    kernel: Kernel, folder: Path, into: Path, *lines: str, modules: tuple[str, ...],
    there: tuple[Path, ...], below: str = "/mnt/var/crash", programs: tuple[str, ...] = (),
) -> Saved:  # fmt: skip
    """Return the one crash that another kernel finds on disks, which the lines mount."""
    errand = Errand(kernel, there, modules, lines, programs)
    folders = sidemachine.crash_folders(errand, folder / "reading", into, below=below)
    (found,) = (each for each in folders if (into / each.path.name / "report.json").exists())
    return with_report(found)


def check_names(found: Saved, token: str, kernel: Kernel, *, colons: bool) -> None:
    """Check a crash that has Fedora's names, or what a file system without colons makes of them."""
    clock = "%H:%M:%S" if colons else "%H-%M-%S"
    time.strptime(found.folder.path.name, f"127.0.0.1-%Y-%m-%d-{clock}")
    assert found.report["result"] == "saved"
    steps = found.report["steps"]
    assert [step["result"] for step in steps] == ["done"] * len(steps)
    copies = {file.name: file.copy for file in found.folder.files}
    readers.prove(
        dump=copies["vmcore"],
        dmesg=copies["vmcore-dmesg.txt"],
        token=token,
        release=kernel.release,
    )


@pytest.mark.full
@pytest.mark.parametrize("fstype", TYPES)
def test_a_dump_with_fedora_s_names(
    scenario: Scenario, folder: Path, crash_copy: Path, fstype: str
) -> None:
    made = TYPES[fstype]
    disk = disks.sparse(folder / "disk.raw", 2048 << 20)
    formatted(*made.words, *(("-d", planted(folder / "tree", made)) if made.there else ()), disk)
    options = ("--distro", "fedora", "--dump-compress", "lzo")
    scenario = built(scenario, made.device, *options, fstype=fstype)
    outcome = crash(replace(scenario, disks=(disk,)))
    found = read_by_linux(
        scenario.kernel, folder, crash_copy, f"mount -t {fstype} -o {made.options} /dev/vda /mnt",
        modules=(fstype, *made.modules), there=(disk,), below=made.below,
    )  # fmt: skip
    steps = {step["name"]: step["detail"] for step in found.report["steps"]}
    assert ("the top of the file system is used" in steps["folder"]) is (made.below == "/mnt")
    check_names(found, outcome.token, scenario.kernel, colons=made.has_modes)
    if made.has_modes:
        assert found.folder.mode & 0o077 == 0
        assert [file.mode & 0o077 for file in found.folder.files] == [0] * len(found.folder.files)


#: The log is on a partition, found by its PARTUUID; the realtime part is on a disk by its name.
LOG_PARTUUID = "7a1d8f60-3c5b-4a5e-9a51-0b8f0c6f4d21"


def partitioned(path: Path, content: Path) -> Path:
    """Make a disk with a GPT, whose only partition has the content of a file."""
    size = content.stat().st_size
    disks.sparse(path, ((size >> 20) + 2) << 20)
    table = f"label: gpt\nstart=2048, size={size // 512}, type=linux, uuid={LOG_PARTUUID}\n"
    run([tool("sfdisk"), "-q", path], timeout=30, stdin=table.encode())
    with path.open("r+b") as out:
        out.seek(1 << 20)
        out.write(content.read_bytes())
    return path


@pytest.mark.full
@pytest.mark.parametrize("log", ["there", "missing"])
def test_an_xfs_with_parts_on_other_devices(
    scenario: Scenario, folder: Path, crash_copy: Path, log: str
) -> None:
    sizes = {"disk": 2048, "log": 64, "realtime": 128}
    disk, plain, realtime = (
        disks.sparse(folder / f"{name}.raw", size << 20) for name, size in sizes.items()
    )
    formatted(
        "mkfs.xfs", "-q", "-m", f"uuid={disks.UUID}", "-l", f"logdev={plain},size={sizes['log']}m",
        "-r", f"rtdev={realtime}", disk,
    )  # fmt: skip
    journal = partitioned(folder / "partitioned.raw", plain)
    table = (
        f"UUID={disks.UUID} /var xfs nofail,"
        f"logdev=/dev/disk/by-partuuid/{LOG_PARTUUID},rtdev=/dev/vdc 0 0\n"
    )
    scenario = built_by_fstab(scenario, folder, table, "--setup-timeout", "40")
    there = (disk, journal, realtime)
    if log == "missing":
        garbage = disks.sparse(folder / "other.raw", 8 << 20)
        scenario = replace(scenario, disks=(disk, garbage, realtime), phases=WITHOUT_DUMP)
        outcome = crash(scenario)
        words = f"UUID={disks.UUID}'s logdev=PARTUUID={LOG_PARTUUID} did not appear in "
        assert words in "\n".join(said(outcome.run))
        return
    outcome = crash(replace(scenario, disks=there))
    found = read_by_linux(
        scenario.kernel, folder, crash_copy,
        # As the generator asks for it.
        f"blkid --probe --output export /dev/vdb1 | grep -qx PART_ENTRY_UUID={LOG_PARTUUID}",
        "mount -t xfs -o logdev=/dev/vdb1,rtdev=/dev/vdc /dev/vda /mnt",
        modules=("xfs",), there=there, below="/mnt/crash", programs=("blkid",),
    )  # fmt: skip
    check(found, outcome.token, scenario.kernel)
