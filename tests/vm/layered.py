# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks with layers: made once by a guest, with what its /sys said, and kept in the cache."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdump_initrd.core.run import run

from . import rootfs, sysfsrecord, workshop
from .cached import cache, making
from .disks import CrashFolder, sparse
from .sidemachine import folders_in
from .tools import tool

UUID = "c1f7a7f3-5a0e-4f0c-9b3a-6a7c0d5e8f21"
#: How much of the device blkid is shown: superblocks lie there.
_HEAD_MIB = 4
_RECORDER = Path(sysfsrecord.__file__)
_MAKE_XFS = f"mkfs.xfs -q -K -m uuid={UUID}"
_MAKE_EXT4 = f"mkfs.ext4 -q -m 0 -E nodiscard -U {UUID}"
_RECORD = f"""
    dd if="$device" of=head bs=1M count={_HEAD_MIB}
    lsblk --bytes --nodeps --noheadings --output KNAME,SIZE "$device" >facts
    mkdir sys; python3 {_RECORDER.name} sys
"""
#: No metadata of LVM's own outside the disks: the root is read-only.
_LVM = """
    vg() { name=$1; shift; pvcreate -qy "$@"; vgcreate -qAn "$name" "$@"; }
    lv() { lvcreate -qyAn -Wn "$@"; }
"""


@dataclass(frozen=True)
class Recipe:
    """How disks are made: shell lines that set ``device`` and make a file system on it.

    ``reading`` are those that assemble them again. ``partitioned`` disks have one partition.
    With ``paths`` the only disk is on SCSI, as often as that.
    """

    making: str
    reading: str
    fstype: str = "ext4"
    disks: int = 1
    size_mib: int = 1024
    partitioned: bool = False
    paths: int = 0

    @property
    def files(self) -> int:
        """How many disks there are."""
        return self.disks or 1

    def devices(self, disks: Sequence[Path]) -> tuple[str, ...]:
        """Return QEMU's words for what is not a plain disk."""
        return paths(disks[0], self.paths) if self.paths else ()


def paths(disk: Path, count: int) -> tuple[str, ...]:
    """Return QEMU's words for so many paths to a disk."""
    words = []
    for number in range(count):
        drive = f"if=none,id=path{number},format=raw,cache=unsafe,file.locking=off,file={disk}"
        words += ["-device", f"virtio-scsi-pci,id=scsi{number}", "-drive", drive, "-device"]
        words.append(
            f"scsi-hd,drive=path{number},bus=scsi{number}.0,share-rw=on,serial=1,wwn=0x{_WWN}"
        )
    return tuple(words)


def _mapped(name: str) -> str:
    return f"vgchange -qay --sysinit; device=/dev/mapper/{name}"


def _thin(taken_mib: int) -> Recipe:
    """Return a volume that is larger than its pool, of which another one has taken a part."""
    return Recipe(
        f"""
        vg crash /dev/vda; thin="lvcreate -qyAn --monitor n"
        $thin --type thin-pool -Zn -L 800M -n pool crash
        $thin -V 2G --thinpool pool -n var crash; $thin -V 1G --thinpool pool -n other crash
        device=/dev/mapper/crash-var; {_MAKE_EXT4} $device
        dd if=/dev/zero of=/dev/mapper/crash-other bs=1M count={taken_mib} oflag=direct
        """,
        _mapped("crash-var"),
    )


_ASSEMBLE = "mdadm --assemble --run /dev/md0 /dev/vd?; device=/dev/md0"

#: What opens the encrypted volumes.
PASSPHRASE = "correct horse battery staple"


def _encrypted(version: int) -> Recipe:
    """Return LVM on a LUKS volume as Debian's installer makes it, with its derivation of keys."""
    written = f"modprobe dm-crypt; printf '%s' '{PASSPHRASE}' >/run/passphrase"
    opened = "cryptsetup open --key-file /run/passphrase /dev/vda1 vda1_crypt"
    return Recipe(
        f"""
        {written}
        cryptsetup luksFormat -q --type luks{version} /dev/vda1 /run/passphrase
        {opened}
        vg debian-vg /dev/mapper/vda1_crypt; lv -l 100%FREE -n root debian-vg
        device=/dev/mapper/debian--vg-root; {_MAKE_EXT4} $device
        """,
        f"{written}; {opened}; {_mapped('debian--vg-root')}",
        partitioned=True,
    )


#: The disk's name, by which its paths are known.
_WWN = "5000c50015ea71aa"
_PATHS = f"""
    modprobe virtio_scsi; modprobe sd_mod; sleep 2; modprobe dm-multipath
    paths=; count=0
    for disk in /sys/block/sd?; do
        paths="$paths round-robin 0 1 1 $(cat $disk/dev) 1000"; count=$((count + 1))
    done
    dmsetup create mpatha --noudevsync --uuid mpath-3{_WWN} \\
        --table "0 $(cat $disk/size) multipath 0 0 $count 1$paths"
    dmsetup create mpatha-part1 --noudevsync --uuid part1-mpath-3{_WWN} \\
        --table "0 $(cat $disk/*1/size) linear /dev/mapper/mpatha $(cat $disk/*1/start)"
"""

RECIPES = {
    # As RHEL's installer makes it, with a name that device-mapper has to escape.
    "lvm": Recipe(
        f"""
        vg rhel-box /dev/vda1; lv -L 200M -n root rhel-box; lv -l 100%FREE -n var rhel-box
        device=/dev/mapper/rhel--box-var; {_MAKE_XFS} $device
        """,
        _mapped("rhel--box-var"),
        "xfs",
        partitioned=True,
    ),
    "striped": Recipe(
        f"""
        vg crash /dev/vda /dev/vdb; lv -i 2 -l 100%FREE -n var crash
        device=/dev/mapper/crash-var; {_MAKE_EXT4} $device
        """,
        _mapped("crash-var"),
        disks=2,
        size_mib=512,
    ),
    "mirrored": Recipe(
        f"""
        vg crash /dev/vda /dev/vdb; lv --type raid1 -m 1 --nosync -l 100%FREE -n var crash
        device=/dev/mapper/crash-var; {_MAKE_EXT4} $device
        """,
        _mapped("crash-var"),
        disks=2,
    ),
    "thin": _thin(400),
    # A dump does not fit into what is left.
    "full": _thin(712),
    "raid1": Recipe(
        f"""
        mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --assume-clean /dev/vda /dev/vdb
        device=/dev/md0; {_MAKE_EXT4} $device
        """,
        _ASSEMBLE,
        disks=2,
    ),
    "raid5": Recipe(
        f"""
        mdadm --create /dev/md0 --run --level=5 --raid-devices=3 --assume-clean /dev/vd[abc]
        device=/dev/md0; {_MAKE_EXT4} $device
        """,
        _ASSEMBLE,
        disks=3,
        size_mib=512,
    ),
    # As a crash leaves it when it is written to: not clean.
    "dirty": Recipe(
        f"""
        mdadm --create /dev/md0 --run --level=5 --raid-devices=3 --assume-clean /dev/vd[abc]
        {_MAKE_EXT4} /dev/md0; mdadm --stop /dev/md0
        echo 1 >/sys/module/md_mod/parameters/start_ro
        mdadm --assemble --update=resync /dev/md0 /dev/vd[abc]
        device=/dev/md0
        """,
        f"modprobe md_mod start_dirty_degraded=1; {_ASSEMBLE}",
        disks=3,
        size_mib=512,
    ),
    "luks1": _encrypted(1),
    "luks2": _encrypted(2),
    # A partition of a disk that two paths lead to, as multipathd and kpartx map it.
    "multipath": Recipe(
        f"""
        {_PATHS}
        device=/dev/mapper/mpatha-part1; {_MAKE_EXT4} $device
        """,
        f"{_PATHS} device=/dev/mapper/mpatha-part1",
        disks=0,
        paths=2,
        partitioned=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Layered:
    """Disks of the cache, with a file system of UUID on the layers of a recipe; not to be written.

    ``name`` is the kernel's for the device.
    """

    recipe: Recipe
    folder: Path
    name: str

    @property
    def sysfs(self) -> Path:
        """What /sys said when it was assembled."""
        return self.folder / "sys"

    @property
    def head(self) -> Path:
        """The beginning of the device."""
        return self.folder / "head"

    def copy(self, folder: Path) -> tuple[Path, ...]:
        """Copy the disks."""
        names = [f"disk{number}.raw" for number in range(self.recipe.files)]
        return tuple(workshop.copied(self.folder / name, folder / name) for name in names)

    def command(self) -> tuple[str, ...]:
        """Return the words before a command that sees the machine on which this was assembled."""
        words = ("--mount", "sh", "-eu", "-c", _SEEN, "sh", self.sysfs, self.head, self.name)
        return (str(tool("unshare")), *map(str, words))


#: The device, for such a command.
DEVICE = "/sys/dev/here"
#: A loop device is what the layers' device was, by its number.
_SEEN = """
node=$(losetup --find --show "$2")
trap 'losetup --detach "$node"' EXIT
number=$(cat "/sys/class/block/${node#/dev/}/dev")
mount --bind "$1" /sys
mount -t tmpfs links /sys/dev
mkdir /sys/dev/block
ln -s "../../class/block/$3" "/sys/dev/block/$number"
ln -s "$node" /sys/dev/here
shift 3
"$@"
"""


def layered(name: str) -> Layered:
    """Return the disks of a recipe, made if they are not in the cache; raises ErrandError."""
    recipe = RECIPES[name]
    folder = (
        cache() / f"layers-{name}-{rootfs.digest(recipe, _LVM, _RECORD, _RECORDER.read_text())}"
    )
    with making(folder) as missing:
        if missing:
            _make(recipe, folder)
    facts = json.loads((folder / "facts.json").read_text())
    return Layered(recipe, folder, facts["name"])


def _make(recipe: Recipe, folder: Path) -> None:
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    disks = [
        sparse(fresh / f"disk{number}.raw", recipe.size_mib << 20) for number in range(recipe.files)
    ]
    for disk in disks if recipe.partitioned else ():
        run(["sfdisk", "-q", disk], timeout=30, stdin=b"label: gpt\nstart=2048\n")
    shutil.copy(_RECORDER, fresh)
    script = f"{_LVM}\n{recipe.making}\n{_RECORD}"
    workshop.work(fresh, script, disks[: recipe.disks], devices=recipe.devices(disks))
    node, size = (fresh / "facts").read_text().split()
    with (fresh / "head").open("r+b") as out:
        out.truncate(int(size))
    (fresh / "facts.json").write_text(json.dumps({"name": node}))
    fresh.rename(folder)


def crash_folders(recipe: Recipe, disks: Sequence[Path], folder: Path) -> list[CrashFolder]:
    """Assemble disks, check the file system by its own program, and copy the crashes' folders.

    ``folder`` is one to work in; the copies are in it.
    """
    script = f"""
        {recipe.reading}
        busybox mount -t {recipe.fstype} -o ro "$device" /run/mnt
        cp -a --sparse=always /run/mnt/var/crash .
        busybox umount /run/mnt
        {"xfs_repair -n" if recipe.fstype == "xfs" else "e2fsck -fn"} "$device"
    """
    shutil.rmtree(folder, ignore_errors=True)
    attached, devices = disks[: recipe.disks], recipe.devices(disks)
    workshop.work(folder, script, attached, devices=devices)
    return folders_in(folder / "crash", below="/var/crash")
