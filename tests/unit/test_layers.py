# SPDX-License-Identifier: GPL-2.0-or-later
"""Dump devices on layers: what their images carry, and how the hook assembles them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.config.settings import CaptureSettings
from kdump_initrd.config.targetsettings import LAYERS
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.probe.host import sysfs
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.recipes import capture
from kdump_initrd.recipes.parts import layers
from kdump_initrd.targets import block, blockdevice, refusals
from kdump_initrd.targets.blockdevice import BlockDevice
from tests.aimed import aimed
from tests.golden_images import fakeroot
from tests.golden_images.images import DUMP_UUID
from tests.golden_images.systems import SYSTEMS

from .shells import REPO, SHELLS
from .wholeimages import Outcome, RootBoot

NODE = Path("/dev/dm-7")
VOLUME = "/dev/mapper/vg-var"
#: What the image of a device on that layer must have of the root.
CARRIED = {
    "lvm": {"usr/sbin/lvm", "etc/lvm/lvm.conf"},
    "md": {"usr/sbin/mdadm", "etc/mdadm.conf"},
    "mpath": {"usr/sbin/dmsetup"},
    "luks": {"usr/sbin/dmsetup"},
}
SHARED = {"usr/lib/kdump-initrd/assemble.sh", "usr/sbin/modprobe", "etc/kdump-initrd/layers/0"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    system = next(each for each in SYSTEMS if each.profile == "debian")
    return fakeroot.build(tmp_path / "root", system)


def planned(
    root: Path, monkeypatch: pytest.MonkeyPatch, *layers: str, hardware: tuple[str, ...] = ()
) -> dict[str, bytes]:
    """Return the entries of an image for a device that lies on these layers, by their paths."""
    volumes = (VOLUME,) if "lvm" in layers else ()
    found = Hardware((), ("virtio_blk",), layers, VOLUME, volumes=volumes)
    monkeypatch.setattr(block, "identify", lambda spec, fs, host: BlockDevice(spec, fs, NODE))
    monkeypatch.setattr(sysfs, "hardware_of", lambda node, *, sysfs: found)
    monkeypatch.setattr(sysfs, "is_loaded", lambda name, *, sysfs: False)
    return _entries(root, hardware=hardware)


def said(root: Path, *layers: str, fstype: str = "ext4") -> dict[str, bytes]:
    """Return the same for a device that is not here, and is said to lie on these."""
    return _entries(root, layers=layers, fstype=fstype)


def _entries(
    root: Path,
    *,
    hardware: tuple[str, ...] = (),
    layers: tuple[str, ...] | None = None,
    fstype: str = "ext4",
) -> dict[str, bytes]:
    settings = CaptureSettings(
        targets=aimed(DUMP_UUID, fstype, mount_options="", layers=layers),
        release=next(each.release for each in SYSTEMS if each.profile == "debian"),
        root=str(root), dry_run=True, hardware=hardware,
    )  # fmt: skip
    plan = capture.plan(settings)
    return {str(each.dest): each.content for each in (*plan.tree, *plan.second)}


@pytest.mark.parametrize("layer", [each for each in refusals.DUMP.layers if each in CARRIED])
@pytest.mark.parametrize("hardware", [(), ("virtio",)], ids=["host", "virtio"])
def test_an_image_carries_what_its_layer_takes(
    root: Path, monkeypatch: pytest.MonkeyPatch, layer: str, hardware: tuple[str, ...]
) -> None:
    image = planned(root, monkeypatch, layer, hardware=hardware)
    assert (CARRIED[layer] | SHARED) <= set(image)
    others = {name for each, names in CARRIED.items() if each != layer for name in names}
    assert not (others - CARRIED[layer]) & set(image)
    assert "usr/sbin/thin_check" not in image, "it takes memory, and nothing runs it"
    volumes = VOLUME if layer == "lvm" else ""
    assert image["etc/kdump-initrd/layers/0"].decode() == f"{layer}\n{volumes}\n"
    on_demand = {name for name in image if name.startswith("etc/kdump-initrd/on-demand/")}
    assert bool(on_demand) is bool(hardware), "what this host has loaded is loaded at once"


def test_a_plain_disk_carries_none_of_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = planned(root, monkeypatch)
    assert not (SHARED | CARRIED["lvm"] | CARRIED["md"]) & set(image)


def test_what_a_mirror_of_lvm_takes_is_what_this_host_has_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel would ask for raid1 as md-level-1."""
    loaded = ("dm_mod", "dm-raid", "raid1", "raid456", "nvme")
    monkeypatch.setattr(sysfs, "is_loaded", lambda name, *, sysfs: name in loaded)
    (lvm,) = (each for each in layers.LAYERS if each.name == "lvm")
    wish = layers.in_use([lvm], HostFacts())
    assert set(wish.names) == {*loaded} - {"nvme"}


def test_a_tool_that_is_missing_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in root.rglob("lvm"):
        if path.is_file():
            path.unlink()
    with pytest.raises(KdumpInitrdError) as caught:
        planned(root, monkeypatch, "lvm")
    assert caught.value.message == f"{DUMP_UUID}: lies on LVM, but {root} has no lvm"
    assert caught.value.hint == "install it there (Debian: apt install lvm2)"


def test_what_a_device_elsewhere_lies_on_is_said(root: Path) -> None:
    image = said(root, "lvm", "multipath", "lvm")
    assert (CARRIED["lvm"] | CARRIED["mpath"] | SHARED) <= set(image)
    assert not CARRIED["md"] & set(image)
    assert image["etc/kdump-initrd/layers/0"].decode() == "lvm mpath\n\n"
    assert any(name.startswith("etc/kdump-initrd/on-demand/") for name in image)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ("btrfs-devices", "ext4 has no devices of that kind"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(root: Path, layer: str, why: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        said(root, layer)
    assert caught.value.message == f"{DUMP_UUID}: --layer {layer}: {why}"


def test_the_devices_of_a_btrfs_are_no_layer_to_assemble() -> None:
    found = blockdevice.on_layers(BlockDevice(DUMP_UUID, "btrfs", None), ["btrfs-devices"])
    assert blockdevice.needs_of(found, None).layers == ()


def test_what_is_said_of_a_device_that_is_here_does_not_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = BlockDevice("/dev/dm-7", "ext4", NODE)
    assert blockdevice.on_layers(device, ["lvm", "md"]) == device
    assert caplog.messages == [
        "/dev/dm-7: it is on this host, which tells what it lies on: --layer lvm, md does not count"
    ]


def test_what_can_be_said_is_what_the_image_knows() -> None:
    assert tuple(refusals.SAID_LAYERS) == LAYERS


class Waiting:
    """The hook that waits, in a folder, for a device on the layers ``layers``."""

    #: Time passes by being asked for.
    TABLES = """
        drivers=
        load_drivers() { :; }
        uptime() { seconds=$((${seconds:-0} + 1)); }
        sleep() { :; }
    """

    #: It brings the tools.
    STAGE = "#!/bin/sh\ncd ${0%/lib/*} && for each in later/*; do mv $each usr/sbin; done\n"

    def __init__(self, boot: RootBoot, layers: str, volumes: str = "") -> None:
        self.boot = boot
        for name in ("functions.sh", "kernelline.sh", "modules.sh", "plug.sh", "assemble.sh"):
            boot.write(f"lib/{name}", boot.moved((REPO / "hooks" / name).read_text()))
        boot.write("lib/drivers.sh", self.TABLES)
        boot.write("lib/hooks/pre-save/10-second-stage", self.STAGE).chmod(0o755)
        boot.write("etc/kdump-initrd/layers/0", f"{layers}\n{volumes}\n")

    def wait(self, device: str) -> Outcome:
        top = self.boot.top
        (top / "later").mkdir(exist_ok=True)
        for tool in (top / "usr/sbin").glob("*"):
            if tool.name in ("lvm", "mdadm", "dmsetup"):
                tool.rename(top / "later" / tool.name)
        text = self.boot.moved((REPO / "hooks/pre-mount/50-wait-device").read_text())
        env = f"KDUMP_LIB={top}/lib KDUMP_ETC={top}/etc/kdump-initrd KDUMP_RUN={top}/run"
        env += f" KDUMP_STARTED=0 KDUMP_SETUP_TIMEOUT=120 KDUMP_TARGET=0 KDUMP_DEVICE={device}"
        env += " KDUMP_FSTYPE=ext4 KDUMP_MOUNT_OPTIONS="
        return self.boot.run(f"{env}\n{text}")


@pytest.fixture(params=SHELLS, ids=" ".join)
def boot(request: pytest.FixtureRequest, tmp_path: Path) -> RootBoot:
    return RootBoot(tmp_path, request.param)


def group(boot: RootBoot, name: str = "vg") -> str:
    """Give the machine a group with two volumes; return the mapping that holds the dumps."""
    mapper = f"{boot.top}/dev/mapper/{name}"
    boot.program(
        "lvm",
        f"""
        case $* in
        lvs*)
            echo "  {name}/root|{boot.top}/dev/{name}/root|{mapper}-root"
            echo "  {name}/var|{boot.top}/dev/{name}/var|{mapper}-var" ;;
        *"activate y {name}/var"*) mknod {mapper}-var b 7 201 ;;
        esac
        """,
    )
    boot.program("findfs", f"[ -b {mapper}-var ] && echo {mapper}-var")
    return f"{mapper}-var"


def activated(done: Outcome) -> list[str]:
    """Return which volumes were activated (y) or not any more (n)."""
    lines = (line.partition(" --config")[0] for line in done.calls)
    words = "lvm lvchange --sysinit --activate "
    return [line.removeprefix(words) for line in lines if line.startswith(words)]


def test_the_volumes_that_are_known_are_activated(boot: RootBoot) -> None:
    mapping = group(boot)
    done = Waiting(boot, "lvm", mapping).wait("UUID=1")
    assert (done.status, done.printed) == (0, "")
    assert activated(done) == ["y vg/var"]
    assert (boot.top / "run/device").read_text() == f"{mapping}\n"


def test_a_group_that_was_renamed_is_found_when_it_is_late(boot: RootBoot) -> None:
    group(boot, "other")
    done = Waiting(boot, "lvm", f"{boot.top}/dev/mapper/vg-var").wait("UUID=1")
    assert done.status == 0
    assert activated(done) == ["y other/root", "n other/root", "y other/var"]


def test_what_a_tool_has_said_last_is_told(boot: RootBoot) -> None:
    boot.program("lvm", 'echo "  Volume group vg is missing PV x." >&2; exit 5')
    boot.program("findfs", "exit 1")
    done = Waiting(boot, "lvm").wait("UUID=1")
    assert done.status == 1
    assert done.log[-1] == (
        "<3>kdump-initrd: dump device UUID=1 did not appear in 90 s (Volume group vg is missing "
        "PV x)"
    )


def array(boot: RootBoot, *, complete: bool) -> str:
    """Give the machine an array of two disks; return its node."""
    node = f"{boot.top}/dev/md127"
    for name in ("start_ro", "start_dirty_degraded"):
        boot.write(f"sys/module/md_mod/parameters/{name}", "0\n")
    boot.write("sys/block/md127/md/sync_action", "resync\n")
    boot.write("sys/block/md127/md/degraded", f"{int(not complete)}\n")
    whole = f"[ -b {node} ] || mknod {node} b 7 202"
    state = boot.write(
        "sys/block/md127/md/array_state", "inactive\n" if not complete else "clear\n"
    )
    boot.program(
        "mdadm",
        f"""
        case "$*" in
        --run*) echo active >{state}; {whole} ;;
        --assemble*) {whole if complete else "exit 1"} ;;
        esac
        """,
    )
    boot.program("findfs", f"[ -b {node} ] && echo {node}")
    return node


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "degraded"])
def test_an_array_is_assembled(boot: RootBoot, complete: bool) -> None:
    node = array(boot, complete=complete)
    done = Waiting(boot, "md").wait("UUID=1")
    assert (done.status, done.printed) == (0, "")
    assert (boot.top / "run/device").read_text() == f"{node}\n"
    said = [line for line in done.calls if line.startswith("mdadm")]
    assert (
        said[0] == "mdadm --assemble --scan --no-degraded --config=partitions --homehost=<ignore>"
    )
    assert (said[-1] == "mdadm --run /dev/md127") is not complete
    # No array begins to be resynchronised by being there, or by being written to.
    assert (boot.top / "sys/module/md_mod/parameters/start_ro").read_text() == "1\n"
    assert (boot.top / "sys/block/md127/md/sync_action").read_text() == "frozen\n"
    dirty = (boot.top / "sys/module/md_mod/parameters/start_dirty_degraded").read_text()
    assert dirty == ("0\n" if complete else "1\n")
    lacks = "<3>kdump-initrd: MD RAID md127 runs without 1 of its disks"
    assert (lacks in done.log) is not complete


def test_volumes_on_an_array_on_volumes(boot: RootBoot) -> None:
    """Each round finds what the one before has brought."""
    mapper = f"{boot.top}/dev/mapper"
    boot.write("sys/module/md_mod/parameters/start_ro", "0\n")
    boot.program("mdadm", "[ -b dev/mapper/low-a ] && [ -b dev/mapper/low-b ] && : >assembled")
    boot.program(
        "lvm",
        f"""
        case $* in
        lvs*)
            for name in low-a low-b low-c; do
                echo "  low/${{name#*-}}|{boot.top}/dev/low/${{name#*-}}|{mapper}/$name"
            done
            [ ! -e assembled ] || echo "  top/var|{boot.top}/dev/top/var|{mapper}/top-var" ;;
        *"activate y low/a"*) mknod dev/mapper/low-a b 7 203 ;;
        *"activate y low/b"*) mknod dev/mapper/low-b b 7 204 ;;
        *"activate y top/var"*) mknod dev/mapper/top-var b 7 205 ;;
        esac
        """,
    )
    boot.program("findfs", f"[ -b {mapper}/top-var ] && echo {mapper}/top-var")
    volumes = " ".join(f"{mapper}/{name}" for name in ("top-var", "low-a", "low-b"))
    done = Waiting(boot, "lvm md", volumes).wait("UUID=1")
    assert (done.status, done.printed) == (0, "")
    assert (boot.top / "run/device").read_text() == f"{mapper}/top-var\n"
    assert not [line for line in activated(done) if "low/c" in line or line.startswith("n ")]


@pytest.mark.parametrize(
    ("device", "layer"),
    [("/dev/vg/var", "lvm"), ("/dev/mapper/vg-var", "lvm"), ("/dev/md/var", "md")],
)
def test_the_name_of_a_device_that_is_not_here_tells_its_layer(device: str, layer: str) -> None:
    needs = blockdevice.needs_of(BlockDevice(device, "ext4", None), None)
    assert needs.layers == (layer,)
    # busybox's findfs takes half a mirror for the whole.
    assert ("findfs" in needs.programs) is (layer == "md")


NAA = "naa.6001405"


def paths(boot: RootBoot, *names: str) -> str:
    """Give the machine these paths to a disk with a partition; return the mapping of that."""
    mapping = f"{boot.top}/dev/mapper/mpatha-part1"
    for number, name in enumerate(names):
        boot.write(f"sys/block/{name}/device/wwid", f"{NAA}\n")
        boot.write(f"sys/block/{name}/dev", f"8:{16 * number}\n")
        boot.write(f"sys/block/{name}/size", "204800\n")
        boot.write(f"sys/block/{name}/{name}1/partition", "1\n")
        boot.write(f"sys/block/{name}/{name}1/start", "2048\n")
        boot.write(f"sys/block/{name}/{name}1/size", "200704\n")
    boot.write("sys/block/sdz/device/wwid", "naa.other\n")
    boot.write("sys/block/sdz/dev", "8:160\n")
    boot.write("sys/block/sdz/size", "8\n")
    boot.program("dmsetup", "mknod dev/mapper/$2 b 7 20${#2}")
    node = boot.device(f"{names[0]}1")
    # As util-linux's, which has a memory if it is not told otherwise.
    known = f'[ "${{BLKID_FILE:-}}" != /dev/null ] && [ -e {boot.top}/known ]'
    there = f"[ -b {mapping} ] && echo {mapping} || echo {node}"
    boot.program("findfs", f": >>{boot.top}/known; if {known}; then echo {node}; else {there}; fi")
    return mapping


@pytest.mark.parametrize("cut", [False, True], ids=["both", "one cut"])
def test_paths_are_joined(boot: RootBoot, cut: bool) -> None:
    mapping = paths(boot, *(("sda",) if cut else ("sda", "sdb")))
    waiting = Waiting(boot, "mpath")
    file = boot.top / "etc/kdump-initrd/layers/0"
    file.write_text(f"mpath\n\nmpatha mpath-36001405 2 {NAA}\n")
    done = waiting.wait("UUID=1")
    assert (done.status, done.printed) == (0, "")
    assert (boot.top / "run/device").read_text() == f"{mapping}\n"
    calls = [line for line in done.calls if line.startswith("dmsetup")]
    groups = "".join(f" round-robin 0 1 1 8:{16 * n} 1" for n in range(1 if cut else 2))
    assert calls == [
        "dmsetup create mpatha --noudevsync --uuid mpath-36001405 --table 0 204800 multipath 0 0 "
        f"{1 if cut else 2} 1{groups}",
        "dmsetup create mpatha-part1 --noudevsync --uuid part1-mpath-36001405 --table 0 200704 "
        "linear /dev/mapper/mpatha 2048",
    ]


@pytest.mark.parametrize("cut", [False, True], ids=["both", "one cut"])
def test_paths_of_disks_that_are_not_known_are_joined(boot: RootBoot, cut: bool) -> None:
    """Without a list, two paths make a disk; one that is alone is used as it is when it is late."""
    paths(boot, *(("sda",) if cut else ("sda", "sdb")))
    mapping = f"{boot.top}/dev/mapper/36001405-part1"
    boot.program("findfs", f"[ -b {mapping} ] && echo {mapping} || echo {boot.top}/dev/sda1")
    done = Waiting(boot, "mpath").wait("UUID=1")
    assert (done.status, done.printed) == (0, "")
    found = f"{boot.top}/dev/sda1" if cut else mapping
    assert (boot.top / "run/device").read_text() == f"{found}\n"
    calls = [line for line in done.calls if line.startswith("dmsetup")]
    assert [line.split()[2] for line in calls] == ([] if cut else ["36001405", "36001405-part1"])


#: A key that is 64 bytes long, as hexadecimal digits.
KEY = "0123456789abcdef" * 8
LUKS = "4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"
#: As ``kdump-initrd load`` makes it.
TABLE = f"sda5_crypt\n0 49152 crypt aes-xts-plain64 {KEY} 0\n32768 1 sector_size:4096\n"


@pytest.mark.parametrize("layers", ["luks", "lvm luks", "luks lvm"])
def test_an_encrypted_volume_is_opened_by_its_key(boot: RootBoot, layers: str) -> None:
    """Below LVM, as Debian's installer makes it, or on it; the key is in no program's words."""
    mapping, volume = f"{boot.top}/dev/mapper/sda5_crypt", f"{boot.top}/dev/sda5"
    boot.program("findfs", f"""case $1 in
        UUID={LUKS}) [ -b {volume} ] || mknod {volume} b 7 204; echo {volume} ;;
        *) [ -b {mapping} ] && echo {mapping} ;;
        esac""")  # fmt: skip
    boot.program("dmsetup", f"cat >>{boot.top}/table; mknod {mapping} b 7 203")
    boot.program("lvm", "exit 5")
    boot.write(f"etc/kdump-initrd/luks/{LUKS}", TABLE)
    done = Waiting(boot, layers).wait("UUID=1")
    assert (done.status, done.printed) == (0, "")
    assert (boot.top / "run/device").read_text() == f"{mapping}\n"
    assert (boot.top / "table").read_text() == (
        f"0 49152 crypt aes-xts-plain64 {KEY} 0 {volume} 32768 1 sector_size:4096\n"
    )
    assert [line for line in done.calls if line.startswith("dmsetup")] == [
        "dmsetup create sda5_crypt --noudevsync"
    ]
    assert KEY not in "".join(done.calls)


def test_a_volume_without_a_key_is_given_up_at_once(boot: RootBoot) -> None:
    """The first kernel's initrd has loaded this image, and the machine has crashed soon after."""
    done = Waiting(boot, "lvm luks").wait("UUID=1")
    assert (done.status, done.printed) == (1, "")
    assert done.log == [
        "<3>kdump-initrd: dump device UUID=1 is encrypted, and was loaded without a key: "
        "kdump-initrd load"
    ]
    assert not (boot.top / "run/device").exists()


def test_what_is_left_in_a_thin_pool_is_said_and_noted(boot: RootBoot) -> None:
    mapping = group(boot)
    boot.write("sys/block/dm-0/dm/uuid", "LVM-abc\n")
    boot.write("sys/block/dm-3/dm/uuid", "LVM-def-tpool\n")
    boot.program(
        "lvm",
        f"""
        case $* in
        *lv_full_name*) echo "  vg/var|{boot.top}/dev/vg/var|{mapping}" ;;
        *pool_lv*)
            echo "  pool||1000000000|75.08"
            echo "  root||5000000|"
            echo "  var|pool|2000000000|10.00" ;;
        *"activate y vg/var"*) mknod {mapping} b 7 201 ;;
        esac
        """,
    )
    done = Waiting(boot, "lvm", mapping).wait("UUID=1")
    assert (done.status, done.printed) == (0, "")
    assert (boot.top / "run/pool").read_text() == "249200000 200000000 2000000000\n"
    assert done.log[-1].endswith("thin pool pool: 249 MB are left, 200 MB are the volume's")


def test_without_a_thin_pool_nothing_is_noted_of_one(boot: RootBoot) -> None:
    mapping = group(boot)
    boot.write("sys/block/dm-0/dm/uuid", "LVM-abc\n")
    assert Waiting(boot, "lvm", mapping).wait("UUID=1").status == 0
    assert (boot.top / "run/pool").read_text() == ""
