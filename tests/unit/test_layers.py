# SPDX-License-Identifier: GPL-2.0-or-later
"""Dump devices on layers: what their images carry, and how the hook assembles them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.config.settings import CaptureSettings
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.probe.host import sysfs
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.recipes import capture
from kdump_initrd.targets import block, refusals
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
CARRIED = {"lvm": {"usr/sbin/lvm", "etc/lvm/lvm.conf"}, "md": {"usr/sbin/mdadm", "etc/mdadm.conf"}}
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
    settings = CaptureSettings(
        targets=aimed(DUMP_UUID, "ext4", mount_options=""),
        release=next(each.release for each in SYSTEMS if each.profile == "debian"),
        root=str(root), dry_run=True, hardware=hardware,
    )  # fmt: skip
    plan = capture.plan(settings)
    return {str(each.dest): each.content for each in plan.tree}


@pytest.mark.parametrize("layer", [each for each in refusals.DUMP.layers if each in CARRIED])
@pytest.mark.parametrize("hardware", [(), ("virtio",)], ids=["host", "virtio"])
def test_an_image_carries_what_its_layer_takes(
    root: Path, monkeypatch: pytest.MonkeyPatch, layer: str, hardware: tuple[str, ...]
) -> None:
    image = planned(root, monkeypatch, layer, hardware=hardware)
    assert (CARRIED[layer] | SHARED) <= set(image)
    others = {name for each, names in CARRIED.items() if each != layer for name in names}
    assert not others & set(image)
    assert "usr/sbin/thin_check" not in image, "it takes memory, and nothing runs it"
    volumes = VOLUME if layer == "lvm" else ""
    assert image["etc/kdump-initrd/layers/0"].decode() == f"{layer}\n{volumes}\n"
    on_demand = {name for name in image if name.startswith("etc/kdump-initrd/on-demand/")}
    assert bool(on_demand) is bool(hardware), "what this host has loaded is loaded at once"


def test_a_plain_disk_carries_none_of_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = planned(root, monkeypatch)
    assert not (SHARED | CARRIED["lvm"] | CARRIED["md"]) & set(image)


def test_a_tool_that_is_missing_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in root.rglob("lvm"):
        if path.is_file():
            path.unlink()
    with pytest.raises(KdumpInitrdError) as caught:
        planned(root, monkeypatch, "lvm")
    assert caught.value.message == f"{DUMP_UUID}: lies on LVM, but {root} has no lvm"


class Waiting:
    """The hook that waits, in a folder, for a device on the layers ``layers``."""

    #: Time passes by being asked for.
    TABLES = """
        drivers=
        load_drivers() { :; }
        uptime() { seconds=$((${seconds:-0} + 1)); }
        sleep() { :; }
    """

    def __init__(self, boot: RootBoot, layers: str, volumes: str = "") -> None:
        self.boot = boot
        for name in ("functions.sh", "kernelline.sh", "modules.sh", "plug.sh", "assemble.sh"):
            boot.write(f"lib/{name}", boot.moved((REPO / "hooks" / name).read_text()))
        boot.write("lib/drivers.sh", self.TABLES)
        boot.write("etc/kdump-initrd/layers/0", f"{layers}\n{volumes}\n")

    def wait(self, device: str) -> Outcome:
        top = self.boot.top
        text = self.boot.moved((REPO / "hooks/pre-mount/50-wait-device").read_text())
        env = f"KDUMP_LIB={top}/lib KDUMP_ETC={top}/etc/kdump-initrd KDUMP_RUN={top}/run"
        env += f" KDUMP_STARTED=0 KDUMP_SETUP_TIMEOUT=120 KDUMP_TARGET=0 KDUMP_DEVICE={device}"
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
