# SPDX-License-Identifier: GPL-2.0-or-later
"""The hardware of a block device, on fake sysfs trees."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kdump_initrd.core.root import Asked, Root
from kdump_initrd.probe.host import sysfs as sysfs_probe
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.probe.host.mappings import Encrypted, Multipath
from kdump_initrd.upkeep import inputs

from .fakesysfs import NVME, SATA, FakeSysfs


def hardware_of(node: Path, *, sysfs: Path) -> sysfs_probe.Hardware:
    """Return the hardware of a device that is there."""
    found = sysfs_probe.hardware_of(node, sysfs=Root(sysfs))
    assert found is not None
    return found


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
    ("uuid", "layer"),
    [
        ("CRYPT-LUKS2-x", "luks"),
        ("CRYPT-LUKS1-x", "luks"),
        ("CRYPT-PLAIN-x", "crypt"),
        ("CRYPT-VERITY-x", "dm"),
        ("CRYPT-SUBDEV-x", "dm"),
        ("mpath-36", "mpath"),
        ("", "dm"),
    ],
)
def test_other_mappings_are_named(fake: FakeSysfs, uuid: str, layer: str) -> None:
    fake.disk("devices/virtual/block/dm-1")
    fake.write("devices/virtual/block/dm-1/dm/uuid", uuid)
    assert hardware_of(Path("/dev/dm-1"), sysfs=fake.top).layers == (layer,)


def test_lvm_on_luks(fake: FakeSysfs) -> None:
    """As Debian's installer makes it; another volume of the group is on a disk that is not."""
    uuid = "4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"
    for name, kind, slaves in (
        ("dm-0", f"CRYPT-LUKS2-{uuid.replace('-', '')}-sda1_crypt", (f"{SATA}/block/sda/sda1",)),
        ("dm-1", "LVM-1", ("devices/virtual/block/dm-0",)),
        ("dm-2", "LVM-2", ("devices/virtual/block/dm-0", f"{NVME}/nvme0n1/nvme0n1p1")),
    ):
        fake.disk(f"devices/virtual/block/{name}")
        fake.write(f"devices/virtual/block/{name}/dm/uuid", kind)
        fake.write(f"devices/virtual/block/{name}/dm/name", kind.rpartition("-")[2])
        for slave in slaves:
            fake.link(f"devices/virtual/block/{name}/slaves/{Path(slave).name}", slave)
    found = hardware_of(Path("/dev/dm-1"), sysfs=fake.top)
    assert found.layers == ("lvm", "luks")
    assert found.encrypted == (Encrypted("sda1_crypt", uuid, Path("/dev/sda1")),)
    assert {"dm_mod", "dm_crypt"} <= {*found.drivers}
    assert found.is_secret
    assert hardware_of(Path("/dev/dm-0"), sysfs=fake.top).is_secret
    for name in ("dm-2", "sda1", "nvme0n1p1"):
        assert not hardware_of(Path(f"/dev/{name}"), sysfs=fake.top).is_secret


@pytest.mark.parametrize("place", ["device/wwid", "wwid"])
def test_partition_of_a_disk_with_two_paths(fake: FakeSysfs, place: str) -> None:
    """By the WWID in sysfs the image knows the paths; a partition is a mapping of its own."""
    for name, uuid, slaves in (
        ("dm-0", "mpath-36001", ("sdb", "sdc")), ("dm-1", "part2-mpath-36001", ("dm-0",))
    ):  # fmt: skip
        fake.disk(f"devices/virtual/block/{name}")
        fake.write(f"devices/virtual/block/{name}/dm/uuid", uuid)
        fake.write(f"devices/virtual/block/{name}/dm/name", f"mpatha{name[4:].strip('0')}")
        for slave in slaves:
            above = "devices/virtual" if slave == "dm-0" else f"{SATA}/../{slave}"
            fake.link(f"devices/virtual/block/{name}/slaves/{slave}", f"{above}/block/{slave}")
            if slave != "dm-0":
                fake.write(f"{above}/block/{slave}/{place}", "naa.6001")
    found = hardware_of(Path("/dev/dm-1"), sysfs=fake.top)
    assert found.layers[0] == "mpath"
    assert found.multipaths == (Multipath("mpatha", "mpath-36001", 2, "naa.6001"),)


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
    assert sysfs_probe.hardware_of(Path("/dev/sdz"), sysfs=Root(fake.top)) is None


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
    assert sysfs_probe.running_watchdogs(sysfs=Root(fake.top)) == ("iTCO_wdt",)


PCI = "devices/pci0000:00/0000:00:1e.0"
SESSION = "host2/session1/target2:0:0/2:0:0:1"
VMBUS = "devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00/f8b3781a"


@pytest.mark.parametrize(
    ("path", "served", "layers"),
    [
        # (folder of the disk, {device above it: (modalias, driver, class)}, what is beyond drivers)
        (f"devices/platform/{SESSION}/block/sdb", {}, ("iscsi",)),
        (f"{PCI}/{SESSION}/block/sdb", {PCI: ("pci:nic", "mlx5_core", "0x020000")}, ("iscsi",)),
        (f"{PCI}/{SESSION}/block/sdb", {PCI: ("pci:hba", "bnx2i", "0x010000")}, ("iscsi",)),
        # An adapter that does it by itself is hardware.
        (f"{PCI}/{SESSION}/block/sdb", {PCI: ("pci:hba", "qla4xxx", "0x028000")}, ()),
        # SRP's host hangs on the card, FCoE's on the network interface.
        (f"{PCI}/host3/target/3:0:0:0/block/sdb", {PCI: ("pci:ib", "mlx5_core", "0x020700")},
         ("network",)),
        (f"{PCI}/net/eth0/ctlr_0/host3/rport/3:0:0:0/block/sdb",
         {PCI: ("pci:x", "ixgbe", "0x010000")}, ("network",)),
        (f"{PCI}/host3/rport-3:0-1/3:0:0:0/block/sdb", {PCI: ("pci:fc", "lpfc", "0x0c0400")}, ()),
        (f"{PCI}/virtio1/block/vda",
         {PCI: ("pci:v", "virtio-pci", "0x010000"),
          f"{PCI}/virtio1": ("virtio:d2", "virtio_blk", "")}, ()),
        (f"{PCI}/usb1/1-1/1-1:1.0/host6/6:0:0:0/block/sdb",
         {PCI: ("pci:xhci", "xhci_hcd", "0x0c0330"),
          f"{PCI}/usb1/1-1/1-1:1.0": ("usb:ic08", "usb-storage", "")}, ()),
        ("devices/platform/vhci_hcd.0/usb3/3-1/3-1:1.0/host6/6:0:0:0/block/sdb",
         {"devices/platform/vhci_hcd.0": ("platform:vhci_hcd", "vhci_hcd", ""),
          "devices/platform/vhci_hcd.0/usb3/3-1/3-1:1.0": ("usb:ic08", "usb-storage", "")},
         ("network",)),
        ("devices/vbd-51712/block/xvda", {"devices/vbd-51712": ("xen:vbd", "vbd", "")}, ()),
        (f"{VMBUS}/host0/0:0:0:0/block/sdb", {VMBUS: ("vmbus:1", "hv_storvsc", "")}, ()),
        ("devices/css0/0.0.0001/0.0.0200/block/dasda",
         {"devices/css0/0.0.0001/0.0.0200": ("ccw:t3990", "dasd-eckd", "")}, ()),
        # Disks of no hardware: those of a bus that only SCSI knows, and what hangs on nothing.
        ("devices/pseudo_0/adapter0/host7/7:0:0:0/block/sdb",
         {"devices/pseudo_0/adapter0": ("", "scsi_debug", ""),
          "devices/pseudo_0/adapter0/host7/7:0:0:0": ("scsi:t-0x00", "sd", "")}, ("sdb",)),
        ("devices/virtual/nvme-fabrics/ctl/nvme1/nvme1n1", {}, ("nvme-fabrics",)),
        ("devices/virtual/block/nbd0", {}, ("nbd",)),
        ("devices/virtual/block/rbd12", {}, ("rbd",)),
        ("devices/virtual/block/ram0", {}, ("ram",)),
        ("devices/virtual/block/loop7", {}, ("loop",)),
        ("devices/virtual/block/bcache0", {}, ("bcache",)),
        ("devices/virtual/block/drbd1000", {}, ("drbd",)),
        ("devices/virtual/block/zram0", {}, ("zram",)),
        ("devices/virtual/block/zd16", {}, ("zd",)),
        ("devices/virtual/block/etherd!e1.1", {}, ("etherd",)),
        ("devices/virtual/block/what-comes-next0", {}, ("what-comes-next",)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("partition", [False, True])
def test_only_hardware_has_no_layers(
    fake: FakeSysfs,
    path: str,
    served: dict[str, tuple[str, str, str]],
    layers: tuple[str, ...],
    partition: bool,
) -> None:
    name = Path(path).name
    fake.disk(path, f"{name}p1")
    for place, (alias, driver, kind) in served.items():
        fake.device(place, alias, driver)
        if kind:
            fake.write(f"{place}/class", kind)
    node = Path("/dev", f"{name}p1" if partition else name)
    assert hardware_of(node, sysfs=fake.top).layers == layers


def test_card_of_mmc(fake: FakeSysfs) -> None:
    """Its modalias is in uevent only."""
    card = f"{PCI}/mmc_host/mmc0/mmc0:0001"
    fake.link(f"{card}/driver", "bus/mmc/drivers/mmcblk")
    fake.write(f"{card}/uevent", "DRIVER=mmcblk\nMODALIAS=mmc:block")
    fake.disk(f"{card}/block/mmcblk0", "mmcblk0p1")
    assert hardware_of(Path("/dev/mmcblk0p1"), sysfs=fake.top).layers == ()


@pytest.mark.parametrize("network", ["nvme-fabrics", "pci"])
def test_multipath_nvme_by_a_network(fake: FakeSysfs, network: str) -> None:
    subsystem = "devices/virtual/nvme-subsystem/nvme-subsys0"
    fake.disk(f"{subsystem}/nvme1n1", "nvme1n1p1")
    fabric = network == "nvme-fabrics"
    fake.link(f"{subsystem}/nvme0", "devices/virtual/nvme-fabrics/ctl/nvme0" if fabric else NVME)
    found = hardware_of(Path("/dev/nvme1n1p1"), sysfs=fake.top)
    assert found.layers == (("nvme-fabrics",) if fabric else ())


@pytest.mark.parametrize(
    ("holder", "uuid", "layer"),
    [("dm-0", "mpath-36", "mpath"), ("dm-0", "LVM-x", "lvm"), ("bcache0", "", "bcache"),
     ("drbd0", "", "drbd"), ("md0", "", "md")],
)  # fmt: skip
@pytest.mark.parametrize("part", ["sda", "sda1"])
def test_part_of_something_else(
    fake: FakeSysfs, holder: str, uuid: str, layer: str, part: str
) -> None:
    above = f"devices/virtual/block/{holder}"
    fake.disk(above)
    if uuid:
        fake.write(f"{above}/dm/uuid", uuid)
    if layer == "md":
        fake.write(f"{above}/md/level", "raid1")
    folder = f"{SATA}/block/sda"
    fake.link(f"{folder}/holders/{holder}" if part == "sda" else f"{folder}/sda1/holders/{holder}",
              above)  # fmt: skip
    assert hardware_of(Path("/dev/sda1"), sysfs=fake.top).holders == (layer,)
    assert hardware_of(Path("/dev/sda"), sysfs=fake.top).holders == (
        (layer,) if part == "sda" else ()
    )


def test_device_that_cannot_be_written(fake: FakeSysfs) -> None:
    assert not hardware_of(Path("/dev/sda1"), sysfs=fake.top).read_only
    fake.write(f"{SATA}/block/sda/sda1/ro", "1")
    fake.write(f"{SATA}/block/sda/ro", "0")
    assert hardware_of(Path("/dev/sda1"), sysfs=fake.top).read_only
    assert not hardware_of(Path("/dev/sda"), sysfs=fake.top).read_only


def test_name_for_people(fake: FakeSysfs) -> None:
    fake.disk("devices/virtual/block/dm-7")
    fake.write("devices/virtual/block/dm-7/dm/uuid", "LVM-x")
    fake.write("devices/virtual/block/dm-7/dm/name", "vg-var")
    assert hardware_of(Path("/dev/dm-7"), sysfs=fake.top).name == "/dev/mapper/vg-var"
    assert hardware_of(Path("/dev/sda1"), sysfs=fake.top).name == "/dev/sda1"


def test_a_node_of_any_name_is_found_by_its_number(
    fake: FakeSysfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "root"
    node.touch()
    status = os.stat_result((stat.S_IFBLK | 0o660, *[0] * 9), {"st_rdev": os.makedev(8, 1)})
    fake.link("dev/block/8:1", f"{SATA}/block/sda/sda1")
    monkeypatch.setattr(Path, "stat", lambda self, **_: status)
    entry = sysfs_probe._entry_of(node, Root(fake.top))
    assert entry == fake.top / f"{SATA}/block/sda/sda1"


def test_array_with_a_firmwares_metadata(fake: FakeSysfs) -> None:
    fake.disk("devices/virtual/block/md126")
    fake.write("devices/virtual/block/md126/md/metadata_version", "external:/md127/0")
    found = hardware_of(Path("/dev/md126"), sysfs=fake.top)
    assert found.layers == ("md with external metadata",)


@pytest.mark.parametrize(
    ("where", "alias"), [("modalias", "virtio:d2v1af5"), ("driver", ""), ("uevent", "MODALIAS=x")]
)
def test_what_told_the_hardware_is_remembered(
    fake: FakeSysfs, monkeypatch: pytest.MonkeyPatch, where: str, alias: str
) -> None:
    """A disk that hangs on another controller makes the images for this host anew."""
    above = "devices/pci0000:00/0000:00:05.0/virtio2"
    fake.disk(f"{above}/block/vda")
    fake.device(above, "virtio:d2v1af4", "virtio_blk")
    monkeypatch.setattr(sysfs_probe, "mounted", lambda asked: Root(fake.top, asked))
    asked = Asked()
    assert HostFacts(asked).hardware(Path("/dev/vda")) is not None
    found = inputs.collect(asked, root=Root(fake.top))
    assert inputs.changed(found, root=Root(fake.top)) is None
    (fake.top / above / where).unlink(missing_ok=True)
    if alias:
        fake.write(f"{above}/{where}", alias)
    else:
        fake.link(f"{above}/{where}", "bus/x/drivers/other")
    changed = inputs.changed(found, root=Root(fake.top))
    # What nobody has asked for is nothing that they were made from.
    assert changed == (None if where == "uevent" else f"{fake.top}/{above}/{where}")
