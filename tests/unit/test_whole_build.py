# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole initrd of this host's own root: what is in it, what is refused, what its name is."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.config.settings import FirstKernelSettings
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.host import sysfs as sysfs_probe
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.recipes.firstkernel import recipe
from kdump_initrd.targets import blockdevice, refusals
from kdump_initrd.targets.blockdevice import BlockDevice

from .captureimage import unpack
from .commandline import UUID, complain
from .fakesysfs import NVME, FakeSysfs
from .initrdwriter import bzimage, pipe, write_capture
from .thiskernel import EXT4, RELEASE

USE_A_BASE = "use a base: leave --standalone out"
VIRTIO = ("virtio_pci", "virtio_blk", "virtio_scsi")
ROOT = ["--root-device", UUID, "-f", "ext4", "--hardware", "virtio"]
PARTS = (
    *("kernelline.sh", "cmdline.sh", "device.sh", "root.sh", "assemble.sh"),
    *("plug.sh", "drivers.sh", "functions.sh"),
)
NEW_NAMES = {
    "debian": f"initrd.img-kdump-{RELEASE}",
    "linux": f"initrd.img-kdump-{RELEASE}",
    "fedora": f"initramfs-kdump-{RELEASE}.img",
    "rhel": f"initramfs-kdump-{RELEASE}.img",
    "sles": f"initrd-kdump-{RELEASE}",
}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words for a small capture kernel and initrd."""
    top = tmp_path_factory.mktemp("capture")
    kernel = top / "kernel"
    kernel.write_bytes(bzimage())
    return ["-i", str(write_capture(top / "capture.img")), "-v", str(kernel)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole initrd with this host's kernel as the regular one and the capture kernel."""
    top = tmp_path_factory.mktemp("whole")
    capture = write_capture(top / "capture.img", kernel=RELEASE)
    out = top / "first.img"
    argv = ["-i", str(capture), "-v", RELEASE, "--standalone", *ROOT, "-o", str(out), RELEASE]
    assert main(argv) == 0
    return out


@pytest.fixture(scope="module")
def tree(image: Path) -> Path:
    return unpack(image, image.parent / "tree")


def test_one_archive_whose_first_file_says_what_it_is(image: Path, tree: Path) -> None:
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
    names = pipe(["cpio", "-it", "--quiet"], pipe(["zstd", "-dc"], image.read_bytes()))
    assert names.decode().splitlines()[:2] == ["kdump-initrd", "kdump-initrd/manifest.json"]
    assert len(set(names.splitlines())) == len(names.splitlines())
    record = json.loads((tree / "kdump-initrd/manifest.json").read_text())
    assert (record["kind"], record["kernel"]) == ("first-kernel", RELEASE)
    assert (record["target"], record["fstype"]) == (UUID, "ext4")
    assert record["cmdline"] == "panic=10 nr_cpus=1"
    assert {*EXT4, *VIRTIO} <= set(record["modules"])
    assert len(record["modules"]) == len(set(record["modules"]))
    there = {str(path.relative_to(tree)) for path in tree.rglob("*")}
    assert set(record["entries"]) | {"kdump-initrd/manifest.json"} == there


def test_the_payload(image: Path, tree: Path) -> None:
    home = tree / "kdump-initrd"
    assert (home / "initrd").read_bytes() == (image.parent / "capture.img").read_bytes()
    assert (home / "kernel").read_bytes() == Path(f"/boot/vmlinuz-{RELEASE}").read_bytes()
    for name, mode in {"arm": 0o755, "kernel": 0o600, "initrd": 0o600, "bin/kexec": 0o755}.items():
        assert stat.S_IMODE((home / name).stat().st_mode) == mode
    assert not (home / "segment.json").exists()


def test_the_first_process_and_its_parts(tree: Path) -> None:
    lib = tree / "usr/lib/kdump-initrd"
    assert os.access(tree / "init", os.X_OK)
    assert {path.name for path in lib.iterdir()} == set(PARTS)
    text = (tree / "init").read_text()
    assert re.findall(r'^\. "\$KDUMP_LIB"?/"?([\w.]+)', text, re.MULTILINE) == [
        "functions.sh", *PARTS[:-1]
    ]  # fmt: skip
    for name in ("dev", "proc", "sys", "run", "tmp", "sysroot"):
        assert list((tree / name).iterdir()) == ([tree / "dev/console"] if name == "dev" else [])
    assert stat.S_ISCHR((tree / "dev/console").stat().st_mode)


def test_every_module_that_is_listed_is_there(tree: Path) -> None:
    etc = tree / "etc/kdump-initrd"
    tables = [etc / "modules", *(etc / "on-demand").iterdir()]
    listed = {table.name: [line.split()[0] for line in table.read_text().splitlines()]
              for table in tables}  # fmt: skip
    for name, files in listed.items():
        for file in files:
            assert (tree / file.lstrip("/")).read_bytes().startswith(b"\x7fELF"), (name, file)
    names = {name: [Path(file).stem for file in files] for name, files in listed.items()}
    assert set(EXT4) <= set(names["modules"])
    assert names["modules"].index("jbd2") < names["modules"].index("ext4")
    assert names["virtio_blk"][-1] == "virtio_blk"
    # Drivers of sets wait for their device.
    assert not set(VIRTIO) & set(names["modules"])
    there = {f"/{file.relative_to(tree)}" for file in tree.rglob("usr/lib/modules/**/*.ko")}
    assert there == {file for files in listed.values() for file in files}
    assert len(listed["modules"]) == len(set(listed["modules"]))


def test_no_module_is_loaded_twice_on_demand(tree: Path) -> None:
    for table in (tree / "etc/kdump-initrd/on-demand").iterdir():
        lines = table.read_text().splitlines()
        assert len(lines) == len(set(lines)), table.name


PROGRAMS = {
    "/usr/bin/busybox true": 0,
    "/usr/bin/sh -c :": 0,
    "/usr/sbin/switch_root": 1,
    "/usr/sbin/findfs --version": 0,
    "/usr/sbin/blkid --version": 0,
    "/usr/sbin/fsck.ext4 -V": 0,
    "/usr/sbin/modprobe none": 1,
    "/bin/sh -c findfs": 2,
}


@pytest.mark.parametrize(("command", "status"), PROGRAMS.items())
def test_programs_find_their_libraries(tree: Path, command: str, status: int) -> None:
    argv = ["chroot", str(tree), *command.split(" ", 2)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == status, done.stderr
    assert "shared libraries" not in done.stderr
    assert "not found" not in done.stderr


def test_no_program_is_without_a_library(tree: Path) -> None:
    """The image's own loader finds each of them: glibc's says "not found" for one that is not."""
    (loader,) = tree.glob("usr/lib64/ld-linux*")
    programs = [path for folder in ("usr/sbin", "usr/bin") for path in (tree / folder).iterdir()]
    seen = 0
    for path in programs:
        if path.is_symlink() or not path.read_bytes().startswith(b"\x7fELF"):
            continue
        inside = [f"/{each.relative_to(tree)}" for each in (loader, path)]
        argv = ["chroot", str(tree), inside[0], "--list", inside[1]]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert "not found" not in done.stdout + done.stderr
        seen += done.returncode == 0
    assert seen >= 3


def test_what_it_says_of_itself(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["--print-cmdline", str(image)]) == 0
    assert capsys.readouterr().out == "panic=10 nr_cpus=1\n"
    assert main(["--list", str(image)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("# image: first-kernel, made by kdump-initrd ")
    assert f"# root: {UUID} ext4" in lines
    assert any(re.match(r"-rwxr-xr-x +\d+ init  # ", line) for line in lines)
    assert any(re.match(r"-rw------- +\d+ kdump-initrd/kernel  # capture kernel", line)
               for line in lines)  # fmt: skip
    assert len(lines) > 100


def test_two_builds_are_the_same(first: list[str], tmp_path: Path) -> None:
    outs = [tmp_path / "a", tmp_path / "b"]
    for out in outs:
        argv = [*first, "--standalone", *ROOT, "--compress", "lz4", "-o", str(out), RELEASE]
        assert main(argv) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()


@pytest.mark.parametrize("distro", NEW_NAMES)
def test_its_name_without_o(first: list[str], distro: str) -> None:
    settings = FirstKernelSettings(
        capture_initrd=first[1], capture_kernel=first[3], standalone=True, root_device=UUID,
        fstype="ext4", hardware=("virtio",), release=RELEASE, distro=distro,
    )  # fmt: skip
    plan = recipe.plan(settings)
    assert (plan.out, plan.instead, plan.base) == (Path("/boot", NEW_NAMES[distro]), None, b"")


def test_where_there_is_no_base_it_is_a_whole_one(
    first: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the names of another distribution this host has no initrd."""
    out = tmp_path / "out"
    compress = ["--compress", "lz4"]
    capsys.readouterr()
    assert main([*first, *ROOT, *compress, "--distro", "sles", "-o", str(out), RELEASE]) == 0
    said = capsys.readouterr().err
    warning = (
        f"kdump-initrd: warning: {RELEASE}: / has no initrd for it: a complete one is written\n"
    )
    assert warning in said
    assert main(["--list", str(out)]) == 0
    assert capsys.readouterr().out.startswith("# image: first-kernel, ")


WITHOUT_A_HOST = ["--root-device", UUID, "-f", "ext4"]
REFUSED = {
    "no file system": (["--root-device", UUID], 1,
                       f"{UUID}: the file system on it cannot be determined", "name it with -f FS"),
    "a file": (["--root-device", "/etc/fstab", "-f", "ext4"], 1,
               "/etc/fstab: not the name of a block device", USE_A_BASE),
    "no block device": (["--root-device", "/dev/null", "-f", "ext4"], 1,
                        "/dev/null: not a block device", "lsblk lists those present"),
    "nfs": (["--root-device", "host:/x", "-f", "ext4"], 1,
            "host:/x: a root on the network, which the image cannot reach", USE_A_BASE),
    "not here": ([*WITHOUT_A_HOST, "--hardware", "host"], 1,
                 f"{UUID}: not on this host, so its hardware is unknown",
                 "use --hardware generic, or name the sets that the machine has"),
    "no module of it": (
        ["--root-device", UUID, "-f", "bcachefs"], 1,
        f"root file system bcachefs: neither a module of kernel {RELEASE} nor built in",
        "modprobe does not know fs-bcachefs there: install it, or use another kernel",
    ),
    "--base": ([*ROOT, "--base", "/boot/x"], 2, "--standalone takes no base",
               "leave --base and --in-place out, or --standalone"),
    "--in-place": ([*ROOT, "--in-place"], 2, "--in-place and -o are mutually exclusive",
                   "-o FILE leaves the base unchanged"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "status", "error", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(
    first: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    options: list[str], status: int, error: str, hint: str,
) -> None:  # fmt: skip
    argv = [*first, "--standalone", *options, "-o", str(tmp_path / "out"), RELEASE]
    capsys.readouterr()
    assert complain(capsys, *argv) == (status, error, hint)
    assert list(tmp_path.iterdir()) == []


def test_another_root_wants_o(
    first: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    argv = [*first, "--standalone", *ROOT, "--root", str(tmp_path), RELEASE]
    assert complain(capsys, *argv) == (
        2, "--root requires -o: nothing is written into that root", "-o FILE"
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


SCSI = "host3/session1/target3:0:0/3:0:0:0/block/sdx"
DISKS = {
    f"devices/platform/{SCSI}": "iSCSI", f"devices/pci0000:00/0000:00:1e.0/{SCSI}": "",
    "devices/virtual/nvme-fabrics/ctl/nvme5/nvme5n1": "NVMe over a network (TCP, RDMA, FC)",
    f"{NVME}/nvme0n1": "",
    "devices/virtual/block/nbd0": "a network block device (nbd)",
    "devices/virtual/block/rbd12": "Ceph (rbd)",
}  # fmt: skip
MAPPINGS = {
    "LVM-1": "", "CRYPT-LUKS2-1": "an encrypted volume (LUKS or dm-crypt)", "mpath-36": "multipath",
    "part1-x": "device-mapper",
}  # fmt: skip


@pytest.mark.parametrize("above", MAPPINGS)
@pytest.mark.parametrize(("disk", "network"), DISKS.items())
def test_what_a_root_cannot_lie_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str, network: str, above: str
) -> None:
    fake = FakeSysfs(tmp_path)
    fake.disk(disk)
    # An adapter that logs in by itself.
    fake.device("devices/pci0000:00/0000:00:1e.0", "pci:iscsi", "qla4xxx")
    fake.device("devices/pci0000:00/0000:00:1d.0/0000:02:00.0", "pci:nvme", "nvme")
    fake.disk("devices/virtual/block/dm-0")
    fake.write("devices/virtual/block/dm-0/dm/uuid", above)
    fake.link(f"devices/virtual/block/dm-0/slaves/{Path(disk).name}", disk)
    monkeypatch.setattr(sysfs_probe, "mounted", lambda asked: Root(tmp_path, asked))
    device = BlockDevice("UUID=1", "ext4", Path("/dev/dm-0"))
    beyond = ", ".join(filter(None, (MAPPINGS[above], network)))
    verb = "assemble" if MAPPINGS[above] else "reach"
    verb = "unlock" if beyond.endswith("dm-crypt)") else verb
    if not beyond:
        found = blockdevice.look(refusals.ROOT, device, host=HostFacts())
        assert found is not None and found.layers == ("lvm",)
        return
    with pytest.raises(KdumpInitrdError) as caught:
        blockdevice.look(refusals.ROOT, device, host=HostFacts())
    assert caught.value.message == (
        f"/dev/dm-0 (UUID=1): lies on {beyond}, which the image cannot {verb}"
    )
    assert caught.value.hint == USE_A_BASE
