# SPDX-License-Identifier: GPL-2.0-or-later
"""Drivers of a capture image: which are loaded at once, and which when their device is there."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.image.archive.segments import read_manifest
from kdump_initrd.probe.host import sysfs
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.probe.kernel import kmod
from kdump_initrd.probe.kernel.kmod import KernelModule
from kdump_initrd.recipes.parts import ondemand
from kdump_initrd.targets import block, blockdevice, refusals
from kdump_initrd.targets.blockdevice import BlockDevice

from .captureimage import build, unpack
from .loadinghooks import ETC, Loading
from .shells import REPO, SHELLS
from .wholeimages import RootBoot

VIRTIO = {"virtio", "virtio_ring", "virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod"}
LIB = "usr/lib/kdump-initrd"


def listed(tree: Path, name: str) -> list[str]:
    """Return the modules of a list, whose files are all there."""
    files = [line.split()[0] for line in (tree / ETC / name).read_text().splitlines()]
    for file in files:
        assert (tree / file.lstrip("/")).is_file(), file
    return [Path(file).stem for file in files]


def test_drivers_of_a_set_wait_for_their_device(tmp_path: Path) -> None:
    image = build(tmp_path / "x.img", "--add-module", "loop")
    tree = unpack(image, tmp_path / "tree")
    at_once = listed(tree, "modules")
    assert at_once[-2:] == ["ext4", "loop"]
    assert not VIRTIO & set(at_once)
    assert listed(tree, "on-demand/virtio_blk")[-1] == "virtio_blk"
    text = (tree / LIB / "drivers.sh").read_text()
    assert "\ndrivers='virtio_pci virtio_mmio virtio_blk virtio_scsi sd_mod'\n" in text
    manifest = read_manifest(image)
    assert manifest is not None
    assert set(manifest.modules) >= VIRTIO
    assert manifest.modules[-2:] == ("ext4", "loop")


def test_without_busybox_all_are_loaded_at_once(tmp_path: Path) -> None:
    tree = unpack(build(tmp_path / "x.img", "--tools", "root"), tmp_path / "tree")
    at_once = listed(tree, "modules")
    assert set(at_once) >= VIRTIO
    assert at_once[-1] == "ext4"
    assert "\ndrivers=''\n" in (tree / LIB / "drivers.sh").read_text()
    assert not (tree / ETC / "on-demand").exists()


def test_drivers_of_this_host_are_loaded_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = BlockDevice("UUID=1", "ext4", Path("/dev/vda"))
    monkeypatch.setattr(block, "identify", lambda spec, fs, host: found)
    monkeypatch.setattr(
        sysfs, "hardware_of", lambda node, *, sysfs: Hardware((), ("virtio_pci", "virtio_blk"), ())
    )
    tree = unpack(build(tmp_path / "x.img", "--hardware", "host"), tmp_path / "tree")
    assert {"virtio_pci", "virtio_blk", "ext4"} <= set(listed(tree, "modules"))
    assert "\ndrivers=''\n" in (tree / LIB / "drivers.sh").read_text()


def test_omitted_module_is_in_no_list(tmp_path: Path) -> None:
    tree = unpack(build(tmp_path / "x.img", "--omit-module", "virtio_scsi"), tmp_path / "tree")
    assert not (tree / ETC / "on-demand/virtio_scsi").exists()
    assert not list(tree.rglob("virtio_scsi.ko"))
    assert "virtio_scsi" not in (tree / LIB / "drivers.sh").read_text()


def test_generic_drivers_pass_shellcheck(tmp_path: Path) -> None:
    tree = unpack(build(tmp_path / "x.img", "--hardware", "generic"), tmp_path / "tree")
    script = tree / LIB / "drivers.sh"
    done = subprocess.run(
        ["shellcheck", "--shell=sh", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    found = {
        "acpi:VMBUS:": "hv_vmbus",
        "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01": "ahci",
        "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02": "nvme",
        "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00": "usb_storage uas",
    }
    for shell in SHELLS:
        for alias, module in found.items():
            lines = f". {REPO}/hooks/plug.sh; . {script}; load_module() {{ echo $1; }}"
            argv = [*shell, "-c", f"{lines}; load_drivers {alias}"]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert (" ".join(dict.fromkeys(done.stdout.split())), done.stderr) == (module, ""), (
                shell,
                alias,
            )


def test_a_start_is_the_head_of_all_its_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = {
        "a": ("pci:v00001AF4d*sv*sd*bc*sc*i*", "pci:v*d*sv*sd*bc01sc06i01*", "acpi*:VMBUS:*"),
        "b": ("scsi:t-0x00*", "of:N*T*Cvirtio,mmioC*", "usb:v0421p0019d0592dc*"),
    }
    monkeypatch.setattr(kmod, "aliases", lambda modules: patterns)
    modules: list[KernelModule] = []
    assert ondemand.by_start(modules) == {
        "pci:v00001AF4": {"a": patterns["a"][:1]}, "pci:": {"a": patterns["a"][1:2]},
        "acpi:": {"a": patterns["a"][2:]}, "scsi:": {"b": patterns["b"][:1]},
        "of:": {"b": patterns["b"][1:2]}, "usb:v0421": {"b": patterns["b"][2:]},
    }  # fmt: skip


def test_odd_patterns_are_held_against_what_they_match(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ("a.b/c:d*", "*:x", "[ab]c:d1", "a?b:", ":v1", "dmi*:svn*:")
    monkeypatch.setattr(kmod, "aliases", lambda _modules: {"m": odd})
    assert ondemand.by_start([]) == {
        "a.b/c:": {"m": odd[:1]}, "": {"m": odd[1:5]}, "dmi:": {"m": odd[5:]},
    }  # fmt: skip


@pytest.fixture(params=SHELLS, ids=" ".join)
def loading(request: pytest.FixtureRequest, tmp_path: Path) -> Loading:
    return Loading(RootBoot(tmp_path, request.param))


def test_only_drivers_of_devices_are_loaded(loading: Loading) -> None:
    loading.boot.write("sys/bus/pci/devices/0/modalias", "pci:v1d2\n")
    done = loading.hook("10-load-modules")
    files = [call.split()[1] for call in done.calls if call.startswith("insmod")]
    assert files == [f"/{name}.ko" for name in ("ring", "bus", "odd", "disk", "ext4")]
    assert "insmod /disk.ko a=1 b=2" in done.calls
    assert done.log == [
        "<5>kdump-initrd: odd.ko: unknown symbol in module",
        "<5>kdump-initrd: 4 kernel modules loaded",
    ]
    assert loading.left() == {"old", "last"}, "what was tried takes memory"


def test_parameters_of_the_kernel_s_command_line(loading: Loading) -> None:
    """Behind the module's own; what a module refuses must not cost the driver."""
    loading.boot.write("sys/bus/pci/devices/0/modalias", "pci:v1d2\n")
    loading.boot.write("proc/cmdline", 'ring.a=3 "disk.b=x  y" disk.c odd.d bus-.e=1 -- disk.f\n')
    refuse = 'case $* in *a=3) echo "x: bad"; return 1 ;; esac\n'
    tables = loading.TABLES.replace("case $1 in", f"{refuse}case $1 in", 1)
    loading.boot.write("lib/drivers.sh", tables)
    done = loading.hook("10-load-modules")
    calls = [call for call in done.calls if "ring" in call or "disk" in call]
    assert calls == [
        "insmod /ring.ko a=1 b=2 a=3",
        "insmod /ring.ko a=1 b=2",
        'insmod /disk.ko a=1 b=2 "b=x  y" c',
    ]
    assert (
        done.log[0] == "<5>kdump-initrd: ring.ko: refused these parameters of the command line: a=3"
    )


def test_driver_of_a_device_that_comes_late(loading: Loading) -> None:
    top = loading.boot.top
    node = loading.boot.device("vda")
    tables = loading.TABLES.replace(
        "sleep() { :; }",
        "sleep() { mkdir -p sys/bus/pci/devices/7; echo pci:v1 >sys/bus/pci/devices/7/modalias; }",
    )
    tables = tables.replace("*/last.ko) : >appeared", f"*/disk.ko) mv {node} {top}/dev/late")
    loading.boot.write("lib/drivers.sh", tables)
    done = loading.hook("50-wait-device", f"{top}/dev/late")
    assert (done.status, done.log[1:]) == (0, [])
    assert (top / "run/device").read_text() == f"{top}/dev/late\n"
    assert loading.left() == {"ext4"}, "drivers of what is not there take memory"


def test_drivers_that_no_device_asks_for_are_tried_in_the_end(loading: Loading) -> None:
    top = loading.boot.top
    node = loading.boot.device("vda")
    text = loading.TABLES.replace(": >appeared", f"mv {node} {top}/dev/late")
    loading.boot.write("lib/drivers.sh", text)
    done = loading.hook("50-wait-device", f"{top}/dev/late")
    assert done.status == 0
    assert (top / "run/device").exists()
    assert done.log == [
        "<5>kdump-initrd: dump device /dev/late has not appeared yet: all drivers of the image are "
        "loaded",
        "<5>kdump-initrd: odd.ko: unknown symbol in module",
        "<7>kdump-initrd: old.ko: No such device",
        "<5>kdump-initrd: 4 more kernel modules loaded",
    ]
    files = [call.split()[1] for call in done.calls if call.startswith("insmod")]
    assert files == [f"/{name}.ko" for name in ("ring", "bus", "odd", "disk", "old", "last")]


def test_missing_device_is_said_after_all_were_tried(loading: Loading) -> None:
    done = loading.hook("50-wait-device")
    assert done.status == 1
    assert "more kernel modules loaded" in done.log[-2]
    assert done.log[-1] == "<3>kdump-initrd: dump device /dev/none did not appear in 15 s"
    assert len([line for line in done.log if "has not appeared yet" in line]) == 1


def test_a_disk_that_cannot_be_written_now(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = Hardware((), ("sd",), (), "/dev/sda", read_only=True)
    monkeypatch.setattr(sysfs, "hardware_of", lambda node, *, sysfs: found)
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        blockdevice.look(
            refusals.DUMP, BlockDevice("UUID=1", "ext4", Path("/dev/sda")), host=HostFacts()
        )
    assert "/dev/sda: is read-only now: check that it can be written to" in caplog.text


def test_a_part_of_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of a multipath disk, the disk below DRBD: its writes would go by the whole."""
    found = Hardware((), ("sd",), (), "/dev/sda", holders=("mpath",))
    monkeypatch.setattr(sysfs, "hardware_of", lambda node, *, sysfs: found)
    for purpose in (refusals.DUMP, refusals.ROOT):
        with pytest.raises(KdumpInitrdError) as caught:
            blockdevice.look(
                purpose, BlockDevice("UUID=1", "ext4", Path("/dev/sda")), host=HostFacts()
            )
        assert caught.value.message == (
            "/dev/sda (UUID=1): is a part of multipath, which the image cannot assemble"
        )
        assert caught.value.hint == purpose.hint or refusals.PLAIN_DISK
