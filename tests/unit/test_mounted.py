# SPDX-License-Identifier: GPL-2.0-or-later
"""File systems that are mounted for the test: what was found is what the kernel then mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.core.run import find
from kdump_initrd.probe.distro import profiles as distro
from kdump_initrd.probe.host import mounts
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.targets import blockdevice, filenames, filesystems, refusals
from kdump_initrd.targets.blockdevice import BlockDevice
from kdump_initrd.targets.filesystem import Placed


def run(*argv: str | Path) -> str:
    """Run a program and return what it prints."""
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@contextmanager
def loop_device(disk: Path) -> Iterator[Path]:
    """Give a file as a block device; skip where that is refused."""
    try:
        node = run("losetup", "--find", "--show", disk)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("loop devices are refused here")
    try:
        yield Path(node)
    finally:
        run("losetup", "--detach", node)


@contextmanager
def mounted(node: Path, place: Path, options: str, fstype: str = "btrfs") -> Iterator[Path]:
    """Mount a device on a new folder; skip where that is refused."""
    place.mkdir()
    argv: list[str | Path] = ["mount", "-t", fstype, "-o", options, node, place]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{fstype} cannot be mounted here: {done.stderr}")
    try:
        yield place
    finally:
        run("umount", place)


def formatted(path: Path, program: str, *words: str) -> Path:
    """Return a disk with a file system on it; skip where nobody can make that."""
    if find(program) is None or os.geteuid():
        pytest.skip(f"{program} and root's rights are needed")
    with path.open("wb") as file:
        file.truncate(160 << 20)
    run(str(find(program)), *words, path)
    return path


@pytest.mark.parametrize(
    "scene",
    [
        # (folder that is mounted or bound, how, the path below it)
        ("subvol=/", "", "plain/crash"),
        ("subvol=/@", "", "deploy/var/crash"),
        ("subvol=/@", "", "nested/crash"),
        ("subvol=/@", "deploy/var", "crash"),
        ("subvol=/@", "nested", "crash"),
        ("subvolid=258", "", "crash"),
        ("rw", "", "deploy/var/crash"),
    ],
)
def test_folder_of_btrfs(tmp_path: Path, scene: tuple[str, str, str]) -> None:
    """Subvolumes, one in another, bind mounts (ostree's /var), a comma, the default subvolume."""
    disk = formatted(tmp_path / "disk", "mkfs.btrfs", "-q")
    options, bound, path = scene
    with loop_device(disk) as node:
        with mounted(node, tmp_path / "top", "rw") as top:
            for name in ("@", "@/nested", "a,b"):
                run("btrfs", "subvolume", "create", top / name)
            for name in ("plain", "@/deploy/var", "@/nested", "a,b"):
                (top / name / "crash").mkdir(parents=True)
            run("btrfs", "subvolume", "set-default", "256", top)
        with mounted(node, tmp_path / "here", options) as here:
            if bound:
                run("mount", "--bind", here / bound, here)
            try:
                (here / path / "mark").touch()
                folder, found = mounts.folder_on(node, "btrfs", str(here / path))
            finally:
                if bound:
                    run("umount", here)
            with mounted(node, tmp_path / "later", f"rw,{found}") as later:
                assert (later / folder.lstrip("/") / "mark").exists()


def sized(path: Path, mib: int) -> Path:
    """Return an empty disk."""
    with path.open("wb") as file:
        file.truncate(mib << 20)
    return path


def placed(node: Path, fstype: str, path: Path) -> Placed:
    """Return where a folder of this host is on the file system of a device."""
    _, uuid = HostFacts().superblock(node)
    device = BlockDevice(f"UUID={uuid}", fstype, node)
    return filesystems.of(fstype).place(device, str(path), None, host=HostFacts())


def test_a_btrfs_on_two_devices(tmp_path: Path) -> None:
    other = sized(tmp_path / "other", 160)
    disk = formatted(tmp_path / "disk", "mkfs.btrfs", "-q", "-m", "raid1", str(other))
    with loop_device(other) as first, loop_device(disk) as second:
        run("btrfs", "device", "scan", first, second)
        with mounted(second, tmp_path / "here", "rw") as here:
            (here / "crash").mkdir()
            for node, rest in ((first, second), (second, first)):
                found = placed(node, "btrfs", here / "crash")
                assert (found.folder, found.options) == ("/crash", "subvolid=5")
                assert found.others == (rest,)
        run("btrfs", "device", "scan", "--forget")


def test_an_xfs_with_a_log_on_another_device(tmp_path: Path) -> None:
    with loop_device(sized(tmp_path / "log", 80)) as log:
        words = ("-q", "-l", f"logdev={log},size=64m")
        with loop_device(sized(tmp_path / "disk", 400)) as node:
            if find("mkfs.xfs") is None:
                pytest.skip("mkfs.xfs is needed")
            run(str(find("mkfs.xfs")), *words, node)
            with mounted(node, tmp_path / "here", f"logdev={log}", "xfs") as here:
                found = placed(node, "xfs", here / "crash")
            assert found == Placed("/crash", f"logdev={log}", (log,), ("xfs.sh",))
            with pytest.raises(KdumpInitrdError, match="its log device is not known"):
                placed(node, "xfs", here / "crash")


def test_a_folder_that_another_mount_hides(tmp_path: Path) -> None:
    disk = formatted(tmp_path / "disk", "mkfs.ext4", "-q")
    with loop_device(disk) as node, mounted(node, tmp_path / "var", "rw", "ext4") as var:
        (var / "crash").mkdir()
        path = str(var / "crash/deep")
        assert mounts.hiding(node, path) is None
        run("mount", "-t", "tmpfs", "over", var / "crash")
        try:
            over = mounts.hiding(node, path)
            assert over is not None
            assert (over.source, str(over.target)) == ("over", str(var / "crash"))
            assert mounts.hiding(node, str(var / "other")) is None
            assert mounts.hiding(node, "/srv") is None
        finally:
            run("umount", var / "crash")
        run("mount", "--bind", var, var)
        try:
            assert mounts.hiding(node, path) is None
        finally:
            run("umount", var)


def test_names_on_vfat(tmp_path: Path) -> None:
    """Every name of every profile, and the ones that are made of them."""
    disk = formatted(tmp_path / "disk", "mkfs.vfat")
    profiles = search_path("distros", root=Root(Path("/nonexistent")))
    with loop_device(disk) as node, mounted(node, tmp_path / "here", "rw", "vfat") as here:
        for number, name in enumerate(distro.known(profiles, root=Root())):
            profile = distro.load(name, search_path=profiles, root=Root())
            odd = replace(profile, dump=replace(profile.dump, dmesg='Ä"*:?<>|\\ log. '))
            for each in (profile, odd):
                dump = filenames.fit(each, "vfat").dump
                folder = here / str(number) / time.strftime(dump.directory, time.gmtime(0))
                folder.mkdir(parents=True, exist_ok=True)
                wanted = {time.strftime(pattern, time.gmtime(0)) for pattern in
                          (dump.dump, dump.dmesg, dump.readme) if pattern}  # fmt: skip
                for file in wanted:
                    (folder / file).touch()
                assert {path.name for path in folder.iterdir()} == wanted
                shutil.rmtree(folder)


def test_folder_beyond_ascii_on_vfat(tmp_path: Path) -> None:
    disk = formatted(tmp_path / "disk", "mkfs.vfat")
    with loop_device(disk) as node, mounted(node, tmp_path / "here", "utf8=1", "vfat") as here:
        (here / "Abstürze").mkdir()
        assert [path.name for path in here.iterdir()] == ["Abstürze"]


def test_a_loop_device_is_refused(tmp_path: Path) -> None:
    disk = formatted(tmp_path / "disk", "mkfs.ext4", "-q")
    with loop_device(disk) as node:
        found = blockdevice.identify(str(node), "ext4", host=HostFacts())
        with pytest.raises(KdumpInitrdError) as caught:
            blockdevice.look(refusals.DUMP, found, host=HostFacts())
    assert caught.value.message == (
        f"{node} ({found.spec}): lies on a loop device, which the image cannot assemble"
    )
