# SPDX-License-Identifier: GPL-2.0-or-later
"""What a whole initrd is made of: layers of the root's device, hardware, tools; each refusal."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.probe.host import sysfs
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.recipes.firstkernel import rootdevice, standalone

from .captureimage import unpack
from .commandline import complain
from .firstimages import Parts, make_parts
from .wholeimages import USE_A_BASE, UUID, build, make_root, words

VIRTIO = ["-f", "ext4", "--hardware", "virtio"]
ON_DEMAND = "etc/kdump-initrd/on-demand"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the tools of LVM and MD RAID."""
    return make_root(tmp_path_factory.mktemp("root"))


def on_host(monkeypatch: pytest.MonkeyPatch, *layers: str, drivers: tuple[str, ...] = ()) -> None:
    """Let every root device be on this host, on these layers, with nothing to be read."""
    monkeypatch.setattr(rootdevice, "locate", lambda spec: Path("/dev/no-such"))
    found = Hardware((), ("virtio_blk", *drivers), layers)
    monkeypatch.setattr(sysfs, "hardware_of", lambda node, *, sysfs: found)


def test_layers_come_along_for_another_machine(parts: Parts, root: Path, tmp_path: Path) -> None:
    """Nothing tells what the root lies on: it gets what its own root can assemble."""
    image = build(parts, tmp_path / "x.img", *VIRTIO, "--root", str(root), device=None)
    tree = unpack(image, tmp_path / "tree")
    for name in ("lvm", "thin_check", "mdadm", "findfs", "blkid", "fsck.ext4"):
        assert (tree / "usr/sbin" / name).is_file(), name
        assert not (tree / "usr/sbin" / name).is_symlink(), name
    for name in ("etc/lvm/lvm.conf", "etc/mdadm.conf"):
        assert (tree / name).is_file(), name
    assert not (tree / "etc/lvm/lvmlocal.conf").exists()
    # The names by which the kernel and the tools ask.
    asked = {path.name for path in (tree / ON_DEMAND).iterdir()}
    assert {"dm_mod", "dm-raid", "dm-thin-pool", "md_mod", "md-level-1", "md-level-5"} <= asked
    last = (tree / ON_DEMAND / "md-level-5").read_text().splitlines()[-1]
    assert last.endswith("/raid456.ko")
    listed = (tree / "etc/kdump-initrd/modules").read_text()
    assert "raid" not in listed, "loaded without being asked for"
    assert "expected=''\n" in (tree / "init").read_text()
    assert f"built_root={UUID}\n" in (tree / "init").read_text(), "fstab's"


@pytest.mark.parametrize(
    ("device", "layers"),
    [("/dev/vg/root", "lvm"), ("/dev/mapper/vg-root", "lvm"), ("/dev/md0", "md")],
)
def test_name_that_tells_its_layer(
    parts: Parts, root: Path, tmp_path: Path, device: str, layers: str
) -> None:
    image = build(parts, tmp_path / "x.img", *VIRTIO, "--root", str(root), device=device)
    tree = unpack(image, tmp_path / "tree")
    assert f"expected={layers}\n" in (tree / "init").read_text()


@pytest.mark.parametrize(
    ("device", "message", "package"),
    [
        ("/dev/vg/root", "/dev/vg/root: lies on LVM, but / has no lvm", "lvm2"),
        ("/dev/md0", "/dev/md0: lies on MD RAID, but / has no mdadm", "mdadm"),
    ],
)
def test_layer_whose_tool_is_missing(
    parts: Parts,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    device: str,
    message: str,
    package: str,
) -> None:
    argv = words(parts, *VIRTIO, "-o", str(tmp_path / "x.img"), device=device)
    hint = f"install it there (Debian: apt install {package})"
    assert complain(capsys, *argv) == (1, message, hint)
    assert list(tmp_path.iterdir()) == []


def test_this_hosts_layers_and_drivers(
    parts: Parts, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_host(monkeypatch, "md", drivers=("md_mod", "raid1"))
    options = ["--root", str(root), "-f", "ext4"]
    image = build(parts, tmp_path / "x.img", *options, device="/dev/vda2")
    tree = unpack(image, tmp_path / "tree")
    assert "expected=md\n" in (tree / "init").read_text()
    assert (tree / "usr/sbin/mdadm").is_file()
    assert not (tree / "usr/sbin/lvm").exists(), "it does not lie on that"
    listed = [Path(line).name for line in
              (tree / "etc/kdump-initrd/modules").read_text().splitlines()]  # fmt: skip
    assert {"virtio_blk.ko", "raid1.ko", "ext4.ko"} <= set(listed)
    assert 'load_if "$1"' not in (tree / "usr/lib/kdump-initrd/drivers.sh").read_text()


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("crypt", "an encrypted volume (LUKS or dm-crypt), which the image cannot unlock"),
        ("mpath", "multipath, which the image cannot assemble"),
        ("dm", "device-mapper, which the image cannot assemble"),
        ("iscsi", "iSCSI, which the image cannot reach"),
        ("md with external metadata", "firmware RAID, which the image cannot assemble"),
        ("bcache", "bcache, which the image cannot assemble"),
        ("drbd", "DRBD, which the image cannot assemble"),
        ("loop", "a loop device, which the image cannot assemble"),
        ("what-comes-next", "a virtual device (what-comes-next), which the image cannot assemble"),
    ],
)
@pytest.mark.parametrize("hardware", [[], ["--hardware", "generic"]], ids=["host", "generic"])
def test_layers_that_cannot_be_assembled(
    parts: Parts,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    layer: str,
    why: str,
    hardware: list[str],
) -> None:
    on_host(monkeypatch, "lvm", layer)
    out = str(tmp_path / "x.img")
    argv = words(parts, "-f", "ext4", *hardware, "-o", out, device="/dev/vg/root")
    message = f"/dev/vg/root: lies on {why}"
    assert complain(capsys, *argv) == (1, message, USE_A_BASE)


@pytest.mark.parametrize(
    ("cmdline", "message", "hint"),
    [
        ("quiet", "/: neither a command line nor /etc/fstab tells its root device",
         "name it with --root-device DEV"),
        ("root=/dev/nfs", "/dev/nfs: a root on the network, which the image cannot reach",
         USE_A_BASE),
        ("root=/dev/mapper/root cryptdevice=UUID=1:root",
         "/dev/mapper/root: encrypted as cryptdevice=UUID=1:root says, which the image cannot "
         "unlock", USE_A_BASE),
        ("root=ZFS=tank/root", "ZFS=tank/root: ZFS, which the image cannot import", USE_A_BASE),
        ("root=LABEL=elsewhere", "LABEL=elsewhere: the file system on it cannot be determined",
         "name it with -f FS"),
    ],
)  # fmt: skip
def test_running_kernels_root_that_cannot_be_booted(
    parts: Parts,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    cmdline: str,
    message: str,
    hint: str,
) -> None:
    monkeypatch.setattr(standalone, "_CMDLINE", tmp_path / "cmdline")
    (tmp_path / "cmdline").write_text(f"{cmdline}\n")
    argv = words(parts, "-o", str(tmp_path / "x.img"), device=None)
    assert complain(capsys, *argv) == (1, message, hint)
    assert not (tmp_path / "x.img").exists()


def test_unknown_file_system_and_release(
    parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "x.img")]
    argv = words(parts, "-f", "foofs", "--hardware", "virtio", *out)
    assert complain(capsys, *argv) == (
        1, f"{UUID}: foofs: not a file system that the image can mount", USE_A_BASE
    )  # fmt: skip
    status, error, _ = complain(capsys, *words(parts, *VIRTIO, *out)[:-1], "1.2.3")
    assert (status, error) == (1, "1.2.3: no such kernel in /")


def test_without_busybox(parts: Parts, tmp_path: Path) -> None:
    image = build(parts, tmp_path / "x.img", *VIRTIO, "--tools", "root")
    tree = unpack(image, tmp_path / "tree")
    assert not (tree / "usr/bin/busybox").exists()
    for name in ("mount", "insmod", "switch_root", "findfs", "blkid", "timeout", "cat"):
        assert (tree / "usr/sbin" / name).is_file(), name
    command = "timeout 5 mount --version && insmod --version && switch_root --version"
    done = subprocess.run(
        ["chroot", tree, "/bin/sh", "-c", command],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_modules_of_the_user(parts: Parts, tmp_path: Path) -> None:
    options = ["--add-module", "dm-mod", "--omit-module", "virtio_scsi", "--compress", "gzip"]
    image = build(parts, tmp_path / "x.img", *VIRTIO, *options)
    assert image.read_bytes().startswith(b"\x1f\x8b")
    tree = unpack(image, tmp_path / "tree")
    assert "/dm-mod.ko" in (tree / "etc/kdump-initrd/modules").read_text()
    assert not list(tree.rglob("virtio_scsi.ko"))
    assert not (tree / ON_DEMAND / "virtio_scsi").exists()
    assert (tree / ON_DEMAND / "virtio_blk").is_file()


def test_no_first_process_inherits_a_library_path(parts: Parts, tmp_path: Path) -> None:
    tree = unpack(build(parts, tmp_path / "x.img", *VIRTIO), tmp_path / "tree")
    exported = re.findall(r"^export (\w+)", (tree / "init").read_text(), re.MULTILINE)
    assert exported == ["PATH"]
