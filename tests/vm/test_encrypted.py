# SPDX-License-Identifier: GPL-2.0-or-later
"""LVM on LUKS as Debian's installer makes it: armed by the running system, which has the key."""

from __future__ import annotations

import json
import mmap
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kdump_initrd.core.run import run
from kdump_initrd.image.archive.segments import read_segments

from . import layered, product, workshop
from .capture import Saved, check
from .disks import sparse
from .kernels import Kernel, fetched
from .layered import Layered
from .machine import Machine
from .phases import CAPTURE, Phase
from .sidemachine import folders_in
from .sources import SERVICE_6_1

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]

REPO = Path(__file__).parents[2]
#: What must do for LVM on LUKS2, in MiB, in a guest of 1 GiB.
RESERVED = 108
#: As many bytes of a key are looked for at once: a longer piece may lie over two pages of swap.
_PIECE = 16
_ADMIN = """\
import sys
sys.path.insert(0, "/run/repo")
from kdump_initrd.commands.admin import main
sys.exit(main())
"""
#: The system: its root, of which /etc/kdump-initrd is enough, is on the encrypted volume. /boot
#: and /var are on a disk without encryption, and so is the swap, into which memory is pressed.
_SYSTEM = """
    {opening}
    busybox mount -t ext4 "$device" /run/mnt
    mkdir -p /run/mnt/kdump-initrd /run/mnt/var/crash /run/plain /run/repo
    busybox mount -t 9p -o trans=virtio,ro,cache=loose,version=9p2000.L repo /run/repo
    mkfs.ext4 -q /dev/vdb
    busybox mount -t ext4 /dev/vdb /run/plain
    mkdir /run/plain/boot /run/plain/var
    cp /boot/vmlinuz-{release} /run/plain/boot/
    cp capture.img /run/plain/boot/initrd.img-{release}-kdump
    busybox mount --bind /run/plain/boot /boot
    busybox mount --bind /run/plain/var /var
    cp -a /etc /run/etc
    mkdir /run/etc/kdump-initrd
    busybox mount --bind /run/etc /etc
    busybox mount --bind /run/mnt/kdump-initrd /etc/kdump-initrd
    busybox mkswap /dev/vdc
    busybox swapon /dev/vdc
    echo 100 >/proc/sys/vm/swappiness
"""
#: As a person does it once, and the service at each start.
_ARM = """
    printf '%s\\n' '{passphrase}' | python3 -B admin.py luks-enroll /dev/vda1 >enrolled
    busybox mount -t tmpfs -o size=900m fill /tmp
    dd if=/dev/zero of=/tmp/fill bs=1M count=800
    python3 -B admin.py load >loaded
    cat enrolled loaded /run/kdump-initrd/loaded
    cat /proc/swaps >swaps
    sync
    echo '<2>{token} loaded' >/dev/kmsg
    echo 1 >/proc/sys/kernel/sysrq
    echo c >/proc/sysrq-trigger
"""
_READ = """
    {opening}
    busybox mount -t ext4 -o ro "$device" /run/mnt
    cp -a --sparse=always /run/mnt/var/crash .
    cp /run/mnt/kdump-initrd/luks/* slot-key
    busybox umount /run/mnt
    e2fsck -fn "$device"
    cryptsetup luksDump -q --dump-volume-key --key-file /run/passphrase /dev/vda1 >volume-key
"""


@dataclass(frozen=True)
class Armed:
    """A machine that has crashed: its disks, where its files were handed over, and its token.

    ``seconds`` are those from the panic to the restart.
    """

    disks: tuple[Path, ...]
    folder: Path
    token: str
    seconds: float


def arm_and_crash(made: Layered, kernel: Kernel, image: Path, folder: Path) -> Armed:
    """Start the system, let it load the capture kernel, and crash it."""
    shared = folder / "shared"
    shutil.rmtree(shared, ignore_errors=True)  # of a run that has failed
    shared.mkdir()
    image.rename(shared / "capture.img")
    (shared / "admin.py").write_text(_ADMIN)
    beside = [sparse(folder / f"{name}.raw", 512 << 20) for name in ("plain", "swap")]
    disks = (*made.copy(folder), *beside)
    words = ("-virtfs", f"local,path={REPO},readonly=on,mount_tag=repo,security_model=none")
    script = _SYSTEM.format(opening=made.recipe.reading, release=kernel.release)
    config = workshop.machine_config(kernel, shared, script, disks, devices=words)
    arming = _ARM.format(passphrase=layered.PASSPHRASE, token=config.token)
    (shared / "script").write_text(script + arming)
    config = replace(
        config,
        append=f"{config.append} crashkernel={RESERVED}M kdump_token={config.token}",
        phases=CAPTURE,
        final="guest-reset",
        deadlines={Phase.LOADED: 400},
    )
    with Machine(config) as machine:
        seconds = machine.run().restart_seconds
    return Armed(disks, shared, config.token, seconds)


def pieces(key: bytes) -> Iterator[bytes]:
    """Yield what is looked for of a key: its bytes, and its hexadecimal digits."""
    for start in range(0, len(key), _PIECE):
        piece = key[start : start + _PIECE]
        yield from (piece, piece.hex().encode(), piece.hex().upper().encode())


def is_in(path: Path, wanted: Sequence[bytes]) -> bool:
    """Tell whether one of these is anywhere in a file; holes are passed over."""
    with path.open("rb") as file:
        size, end = path.stat().st_size, 0
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            first = start - start % mmap.ALLOCATIONGRANULARITY
            with mmap.mmap(file.fileno(), end - first, offset=first, prot=mmap.PROT_READ) as data:
                if any(data.find(each) >= 0 for each in wanted):
                    return True
    return False


def unpacked(image: Path, into: Path) -> Path:
    """Write what is in an image to one file, the second stage unpacked, too."""
    into.mkdir()
    for number, segment in enumerate(read_segments(image)):
        for member in segment.again():
            (into / f"{number}-{member.path.replace('/', '-')}").write_bytes(member.content)
    for stage in into.glob("*second-stage.cpio.gz"):
        stage.with_suffix("").write_bytes(run(["gunzip", "-c", stage], timeout=60).stdout)
    return into


def check_secrets(armed: Armed, reading: Path, dump: Path) -> None:
    """Look for the keys in everything that is not the volume."""
    slot = (reading / "slot-key").read_bytes()
    text = (reading / "volume-key").read_text().partition("MK dump:")[2]
    volume = bytes.fromhex("".join(text.split()))
    assert len(slot) == len(volume) == 64
    secrets = [*pieces(slot), *pieces(volume)]
    assert is_in(reading / "slot-key", secrets), "they would be found"
    image = unpacked(armed.folder / "capture.img", reading / "image")
    places = [*armed.disks, *armed.folder.iterdir(), *image.iterdir(), *dump.parent.iterdir()]
    # The dump has the keys of what was open, as the kernel has them; ours is not among these.
    places.remove(dump)
    assert [path for path in places if path.is_file() and is_in(path, secrets)] == []
    assert not is_in(dump, [*pieces(slot)])


def crash_on(version: int, folder: Path) -> None:
    """Crash a machine whose root is on such a volume; prove the dump, and that no key is around."""
    made, kernel = layered.layered(f"luks{version}"), fetched(SERVICE_6_1)
    image = folder / "capture.img"
    product.build(
        image, kernel, layered.DEVICE, fstype="ext4", command=[*made.command(), *product.ME]
    )
    armed = arm_and_crash(made, kernel, image, folder)
    said = {name: (armed.folder / name).read_text() for name in ("enrolled", "loaded", "swaps")}
    assert said["enrolled"].startswith("enrolled: /dev/vda1 has key slot 1 ")
    assert said["loaded"].startswith("loaded: ")
    _, swap = said["swaps"].splitlines()
    assert int(swap.split()[3]) > 0, "memory was pressed into it"
    reading = folder / "reading"
    shutil.rmtree(reading, ignore_errors=True)
    workshop.work(reading, _READ.format(opening=made.recipe.reading), armed.disks[:1])
    (found,) = folders_in(reading / "crash", below="/var/crash")
    report = json.loads(found.file("report.json").copy.read_text())
    check(Saved(found, report), armed.token, kernel)
    check_secrets(armed, reading, found.file("dump.").copy)


def test_lvm_on_luks2(folder: Path) -> None:
    crash_on(2, folder)


@pytest.mark.full
def test_lvm_on_luks1(folder: Path) -> None:
    crash_on(1, folder)
