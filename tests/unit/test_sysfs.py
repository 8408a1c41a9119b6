# SPDX-License-Identifier: GPL-2.0-or-later
"""The hardware of a block device, on fake sysfs trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.probe import sysfs as sysfs_probe

NVME = "devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0"
SATA = "devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0"


def hardware_of(node: Path, *, sysfs: Path) -> sysfs_probe.Hardware:
    """Return the hardware of a device that is there."""
    found = sysfs_probe.hardware_of(node, sysfs=sysfs)
    assert found is not None
    return found


class FakeSysfs:
    """Builds what the walk reads: folders, attributes and links as the kernel lays them."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def write(self, path: str, text: str = "") -> None:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def link(self, path: str, target: str) -> None:
        (self.top / target).mkdir(parents=True, exist_ok=True)
        (self.top / path).parent.mkdir(parents=True, exist_ok=True)
        (self.top / path).symlink_to(self.top / target)

    def disk(self, path: str, *partitions: str) -> None:
        disk = Path(path).name
        self.link(f"class/block/{disk}", path)
        for name in partitions:
            self.write(f"{path}/{name}/partition", "1")
            self.link(f"class/block/{name}", f"{path}/{name}")

    def device(self, path: str, alias: str, driver: str) -> None:
        self.write(f"{path}/modalias", alias)
        self.link(f"{path}/driver", f"bus/x/drivers/{driver}")
        if not (self.top / f"bus/x/drivers/{driver}/module").exists():
            self.link(f"bus/x/drivers/{driver}/module", f"module/{driver.replace('-', '_')}")


@pytest.fixture
def fake(tmp_path: Path) -> FakeSysfs:
    fake = FakeSysfs(tmp_path)
    fake.device("devices/pci0000:00/0000:00:1d.0", "pci:bridge", "pcieport")
    fake.device("devices/pci0000:00/0000:00:1d.0/0000:02:00.0", "pci:nvme", "nvme")
    fake.disk(f"{NVME}/nvme0n1", "nvme0n1p1", "nvme0n1p2")
    fake.device("devices/pci0000:00/0000:00:17.0", "pci:ahci", "ahci")
    fake.device(SATA, "scsi:t-0x00", "sd")
    fake.disk(f"{SATA}/block/sda", "sda1")
    return fake


def test_partition_walks_to_the_bus(fake: FakeSysfs) -> None:
    found = hardware_of(Path("/dev/nvme0n1p2"), sysfs=fake.top)
    assert found.modaliases == ("pci:nvme", "pci:bridge")
    assert found.drivers == ("nvme", "pcieport")
    assert found.layers == ()


def test_whole_scsi_disk(fake: FakeSysfs) -> None:
    found = hardware_of(Path("/dev/sda"), sysfs=fake.top)
    assert found.modaliases == ("scsi:t-0x00", "pci:ahci")
    assert found.drivers == ("sd", "ahci")


def test_lvm_over_md_reaches_every_disk_once(fake: FakeSysfs) -> None:
    fake.disk("devices/virtual/block/md0")
    fake.write("devices/virtual/block/md0/md/level", "raid1")
    for part, disk in (("nvme0n1p1", f"{NVME}/nvme0n1"), ("sda1", f"{SATA}/block/sda")):
        fake.link(f"devices/virtual/block/md0/slaves/{part}", f"{disk}/{part}")
    fake.disk("devices/virtual/block/dm-0")
    fake.write("devices/virtual/block/dm-0/dm/uuid", "LVM-abcdef")
    fake.link("devices/virtual/block/dm-0/slaves/md0", "devices/virtual/block/md0")
    found = hardware_of(Path("/dev/dm-0"), sysfs=fake.top)
    assert found.layers == ("lvm", "md")
    assert set(found.modaliases) == {
        "md-raid1", "pci:nvme", "pci:bridge", "scsi:t-0x00", "pci:ahci"
    }  # fmt: skip
    assert {"dm_mod", "md_mod", "nvme", "ahci"} <= set(found.drivers)


@pytest.mark.parametrize(
    ("uuid", "layer"), [("CRYPT-LUKS2-x", "crypt"), ("mpath-36", "mpath"), ("", "dm")]
)
def test_other_mappings_are_named(fake: FakeSysfs, uuid: str, layer: str) -> None:
    fake.disk("devices/virtual/block/dm-1")
    fake.write("devices/virtual/block/dm-1/dm/uuid", uuid)
    assert hardware_of(Path("/dev/dm-1"), sysfs=fake.top).layers == (layer,)


def test_loop_of_slaves_ends(fake: FakeSysfs) -> None:
    for a, b in (("dm-2", "dm-3"), ("dm-3", "dm-2")):
        fake.disk(f"devices/virtual/block/{a}")
        fake.link(f"devices/virtual/block/{a}/slaves/{b}", f"devices/virtual/block/{b}")
    assert hardware_of(Path("/dev/dm-2"), sysfs=fake.top).modaliases == ()


def test_multipath_nvme_reaches_its_controllers(fake: FakeSysfs) -> None:
    subsystem = "devices/virtual/nvme-subsystem/nvme-subsys0"
    fake.disk(f"{subsystem}/nvme1n1", "nvme1n1p1")
    fake.link(f"{subsystem}/nvme0", NVME)
    found = hardware_of(Path("/dev/nvme1n1p1"), sysfs=fake.top)
    assert found.modaliases == ("pci:nvme", "pci:bridge")


def test_unknown_device_is_nothing(fake: FakeSysfs) -> None:
    assert sysfs_probe.hardware_of(Path("/dev/sdz"), sysfs=fake.top) is None


def test_only_ticking_watchdogs(fake: FakeSysfs) -> None:
    for name, state, driver in (
        ("watchdog0", "active", "iTCO_wdt"),
        ("watchdog1", "inactive", "ipmi_watchdog"),
        ("watchdog2", "active", "softdog"),
    ):
        fake.device(f"devices/platform/{name}", f"platform:{name}", driver)
        fake.write(f"devices/platform/{name}/watchdog/{name}/state", state)
        fake.link(f"devices/platform/{name}/watchdog/{name}/device", f"devices/platform/{name}")
        fake.link(f"class/watchdog/{name}", f"devices/platform/{name}/watchdog/{name}")
    assert sysfs_probe.running_watchdogs(sysfs=fake.top) == ("iTCO_wdt",)


@pytest.mark.parametrize(
    ("path", "layers"),
    [
        ("devices/platform/host2/session1/target2:0:0/2:0:0:1/block/sdb", ("iscsi",)),
        # An adapter that does it by itself is hardware.
        ("devices/pci0000:00/0000:00:1d.0/host2/session1/target2:0:0/2:0:0:1/block/sdb", ()),
        ("devices/virtual/block/nbd0", ("nbd",)),
        ("devices/virtual/nvme-fabrics/ctl/nvme1/nvme1n1", ("nvme-fabrics",)),
        ("devices/virtual/block/rbd12", ("rbd",)),
        ("devices/virtual/block/ram0", ()),
    ],
)
def test_networks_are_named(fake: FakeSysfs, path: str, layers: tuple[str, ...]) -> None:
    fake.disk(path)
    assert hardware_of(Path("/dev", Path(path).name), sysfs=fake.top).layers == layers


def test_array_with_a_firmwares_metadata(fake: FakeSysfs) -> None:
    fake.disk("devices/virtual/block/md126")
    fake.write("devices/virtual/block/md126/md/metadata_version", "external:/md127/0")
    found = hardware_of(Path("/dev/md126"), sysfs=fake.top)
    assert found.layers == ("md with external metadata",)
