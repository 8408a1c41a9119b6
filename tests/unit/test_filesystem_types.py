# SPDX-License-Identifier: GPL-2.0-or-later
"""What types of file systems need beside their device: options with stable names, other devices."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.targets import filesystems
from kdump_initrd.targets.block import Block
from kdump_initrd.targets.blockdevice import BlockDevice
from kdump_initrd.targets.filesystem import Placed


@dataclass
class Host(HostFacts):
    """A host on which a device is mounted, listed with one of its names."""

    listed: Path = Path("/dev/none")
    options: tuple[str, ...] = ()
    folder: tuple[str, str] = ("/crash", "")
    parts: tuple[str, ...] = ()
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    partuuids: dict[Path, str] = field(default_factory=dict)
    below: dict[Path, Hardware] = field(default_factory=dict)
    known: dict[str, tuple[Path, ...]] = field(default_factory=dict)

    def folder_on(self, node: Path, fstype: str, path: str) -> tuple[str, str]:
        return self.folder if node == self.listed else (path, "")

    def options_on(self, node: Path) -> tuple[str, ...]:
        return self.options

    def elsewhere(self, node: Path, fstype: str) -> tuple[str, ...]:
        return self.parts

    def superblock(self, node: Path) -> tuple[str, str]:
        return "btrfs", "4e1b"

    def namesakes(self, spec: str) -> tuple[str, ...]:
        return self.tags.get(spec, ())

    def node_of(self, spec: str) -> Path | None:
        found = self.tags.get(spec)
        return Path(found[0]) if found else None

    def btrfs_devices(self, uuid: str) -> tuple[Path, ...]:
        return self.known.get(uuid, ())

    def partuuid(self, node: Path) -> str:
        return self.partuuids.get(node, "")

    def hardware(self, node: Path) -> Hardware | None:
        return self.below.get(node)


def place(
    spec: str, fstype: str, host: Host, options: str | None = None, node: str = "/dev/sda"
) -> Placed:
    """Return where /var/crash is on a device."""
    device = BlockDevice(spec, fstype, Path(node) if node else None)
    return filesystems.of(fstype).place(device, "/var/crash", options, host=host)


@pytest.mark.parametrize("spec", ["UUID=4e1b", "PARTUUID=1-01"])
@pytest.mark.parametrize("listed", ["/dev/sda", "/dev/sdb"])
def test_a_btrfs_is_mounted_by_the_name_of_any_of_its_devices(spec: str, listed: str) -> None:
    tags: dict[str, tuple[str, ...]] = {"UUID=4e1b": ("/dev/sda", "/dev/sdb")}
    host = Host(listed=Path(listed), folder=("/crash", "subvol=/@var"), tags=tags)
    assert place(spec, "btrfs", host) == Placed(
        "/crash", "subvol=/@var", (Path("/dev/sdb"),), ("btrfs.sh",)
    )
    assert place(spec, "btrfs", host, "subvolid=5").options == "subvolid=5"
    host.known["4e1b"] = (Path("/dev/sda"), Path("/dev/sdc"))
    assert place(spec, "btrfs", host).others == (Path("/dev/sdc"),), "the kernel knows"


def test_a_btrfs_that_is_not_here() -> None:
    found = place("UUID=4e1b", "btrfs", Host(), node="")
    assert found == Placed("/var/crash", scripts=("btrfs.sh",))


@pytest.mark.parametrize("fstype", ["ext4", "xfs"])
def test_a_plain_file_system_needs_nothing(fstype: str) -> None:
    host = Host(listed=Path("/dev/sda"), options=("rw", "noatime"))
    assert place("UUID=1", fstype, host) == Placed("/crash")


def test_the_parts_of_an_xfs_have_stable_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, realtime = (tmp_path / name for name in ("log", "realtime"))
    log.touch()
    realtime.touch()
    host = Host(
        listed=Path("/dev/sda"),
        options=("rw", f"logdev={log}", "logbufs=8", f"rtdev={realtime}"),
        parts=("log", "realtime"),
        partuuids={log: "1-01"},
    )
    with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
        found = place("UUID=1", "xfs", host)
    assert found == Placed(
        "/crash", f"logdev=PARTUUID=1-01,rtdev={realtime}", (log, realtime), ("xfs.sh",)
    )
    assert f"rtdev={realtime} is not a partition, and its name may change" in caplog.text


def test_the_parts_of_an_xfs_by_its_fstab() -> None:
    option = "logdev=/dev/disk/by-partuuid/1-01,rtdev=/dev/no-such-disk"
    found = place("UUID=1", "xfs", Host(parts=("log", "realtime")), option, node="")
    wanted = "logdev=PARTUUID=1-01,rtdev=/dev/no-such-disk"
    assert found == Placed("/var/crash", wanted, (), ("xfs.sh",))


@pytest.mark.parametrize("options", [None, "", "rtdev=/dev/sdc"])
def test_an_xfs_whose_log_is_not_known(options: str | None) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        place("UUID=1", "xfs", Host(parts=("log",)), options)
    assert caught.value.message == "UUID=1: its log device is not known: it is not mounted"
    assert "/etc/fstab" in (caught.value.hint or "")


def test_the_drivers_of_all_devices_are_needed() -> None:
    nodes = [Path("/dev/sda"), Path("/dev/nvme0n1"), Path("/dev/gone")]
    below = {
        nodes[0]: Hardware(("pci:a",), ("ahci", "sd_mod"), (), "/dev/sda"),
        nodes[1]: Hardware(("pci:b", "pci:a"), ("nvme",), (), "/dev/nvme0n1", read_only=True),
    }
    placed = Placed("/", "logdev=PARTUUID=1-01", tuple(nodes[1:]), ("xfs.sh",))
    target = Block(BlockDevice("UUID=1", "xfs", nodes[0]), placed)
    needs = target.needs(Root(), Host(below=below))
    found = needs.hardware
    assert found == Hardware(
        ("pci:a", "pci:b"), ("ahci", "sd_mod", "nvme"), (), "/dev/sda", read_only=True
    )
    assert (needs.scripts, needs.programs) == (("xfs.sh",), ("findfs",))


def test_a_layer_below_any_device_counts() -> None:
    below = {
        Path("/dev/sda"): Hardware((), (), (), "/dev/sda"),
        Path("/dev/loop0"): Hardware((), (), ("loop",), "/dev/loop0"),
    }
    placed = Placed("/", "", (Path("/dev/loop0"),), ("btrfs.sh",))
    target = Block(BlockDevice("UUID=1", "btrfs", Path("/dev/sda")), placed)
    with pytest.raises(KdumpInitrdError, match=r"/dev/loop0 \(UUID=1\): lies on a loop device"):
        target.needs(Root(), Host(below=below))
