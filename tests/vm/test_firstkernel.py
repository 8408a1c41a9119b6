# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian system arms itself by its own initrd and one segment more, crashes, and finds the dump.

dracut-core of Debian stands in for the dracut of Fedora, RHEL and SLES.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from kdump_initrd.core.run import run

from . import bases, disks, loop, product, rootfs, volumes
from .bases import Base, Packing
from .loop import EARLY, LOGIN, ONCE, Loop
from .machine import Hang
from .phases import Phase
from .rootfs import Root
from .scenario import Outcome

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]
FULL = pytest.mark.full
_ARMED = re.compile(r"kdump-initrd: armed in \d+ ms$")


@pytest.fixture(scope="session")
def root() -> Root:
    """A Debian root; the first time it takes a minute and a half to make."""
    return rootfs.debian()


@pytest.fixture
def system(root: Root, name: str, folder: Path) -> System:
    """A machine with that system on its disk, whose initrd the test makes."""
    disk = rootfs.disk(root, folder / "root.raw")
    run_ = Loop(name, root.kernel, folder / "first.img", (disk.path,))
    return System(root, folder, disk, run_)


@dataclass(frozen=True)
class System:
    """A Debian system on a disk, and the run that it is to go through."""

    root: Root
    folder: Path
    disk: disks.Disk
    loop: Loop

    def build(
        self, base: Path | None, *options: str, uuid: str = rootfs.UUID, path: str = "/var/crash"
    ) -> None:
        """Make its initrd, whose capture image saves to ``path`` on the file system ``uuid``."""
        kernel = self.root.kernel
        capture = self.folder / "capture.img"
        product.build(capture, kernel, f"UUID={uuid}", *product.VIRTIO, "--path", path)
        options = options if base is None else ("--base", str(base), *options)
        product.build_first(self.loop.initrd, capture, kernel, *options)


def warnings(outcome: Outcome) -> list[str]:
    """Return what the hook warned of, up to the crash."""
    before = outcome.run.console.partition("Kernel panic")[0]
    return [line for line in before.splitlines() if "kdump-initrd: not armed" in line]


def check_loop(system: System, outcome: Outcome, into: Path) -> None:
    """Check that the system found its crash, and that it is that one, by other programs."""
    saved = loop.read_back(system.disk, into, outcome, system.root.kernel.release)
    report = json.loads(saved.folder.file("report.json").copy.read_text())
    assert report["result"] == "saved"
    (found,) = loop.said(outcome, "found ")
    assert found == str(saved.folder.path / saved.folder.file("dump.").name)
    armed = [line for line in outcome.run.console.splitlines() if _ARMED.search(line)]
    assert len(armed) == 2, "each of the two boots arms itself once"
    image = sha256((system.folder / "capture.img").read_bytes()).hexdigest()
    assert loop.said(outcome, "recorded ") == [f"first-kernel {image}"]
    assert warnings(outcome) == []


BASES = [
    pytest.param(Base.MOST, None, id="most"),
    pytest.param(Base.DRACUT, None, id="dracut"),
    pytest.param(Base.DEP, None, id="dep"),
    pytest.param(Base.KLIBC, None, id="klibc"),
    pytest.param(Base.DRACUT_NO_SYSTEMD, None, id="dracut-no-systemd"),
    pytest.param(Base.KLIBC, Packing.MICROCODE, id="microcode"),
    pytest.param(Base.KLIBC, Packing.GZIP, id="gzip"),
    pytest.param(Base.KLIBC, Packing.XZ, id="xz"),
]


def made(root: Root, base: Base, packing: Packing | None) -> Path:
    """Return the base, stored in another way if one is named."""
    return bases.packed(root, packing, base) if packing else bases.base(root, base)


@FULL
@pytest.mark.parametrize(("base", "packing"), BASES)
def test_the_complete_loop(
    system: System, crash_copy: Path, base: Base, packing: Packing | None
) -> None:
    system.build(made(system.root, base, packing))
    outcome = loop.go(system.loop)
    check_loop(system, outcome, crash_copy)


@pytest.mark.parametrize(
    ("name_of_root", "partitioned"),
    [
        pytest.param(f"UUID={rootfs.UUID}", False, id="uuid"),
        pytest.param("/dev/vda", False, id="path", marks=FULL),
        pytest.param(f"LABEL={rootfs.LABEL}", False, id="label", marks=FULL),
        pytest.param(f"PARTUUID={rootfs.PARTUUID}", True, id="partuuid", marks=FULL),
        pytest.param(f"PARTLABEL={rootfs.PARTLABEL}", True, id="partlabel", marks=FULL),
    ],
)
def test_the_complete_loop_of_a_whole_initrd(
    system: System, crash_copy: Path, name_of_root: str, partitioned: bool
) -> None:
    if partitioned:
        system = replace(system, disk=rootfs.disk(system.root, system.disk.path, partitioned=True))
    system.build(None, "--standalone", "--root-device", f"UUID={rootfs.UUID}")
    outcome = loop.go(replace(system.loop, root=name_of_root))
    check_loop(system, outcome, crash_copy)


@FULL
@pytest.mark.parametrize(
    "name_of_root",
    [f"/dev/mapper/{volumes.GROUP}-{volumes.VOLUME}", f"/dev/{volumes.GROUP}/{volumes.VOLUME}",
     f"UUID={rootfs.UUID}", "mirror"],
    ids=["mapper", "lvm", "lvm-uuid", "mirror"],
)  # fmt: skip
def test_the_complete_loop_of_a_root_on_volumes(
    system: System, crash_copy: Path, folder: Path, name_of_root: str
) -> None:
    dump = disks.make(folder / "dump.raw")
    more: tuple[Path, ...] = ()
    if "mirror" in name_of_root:
        disk = volumes.mirrored(system.root, folder / "root.raw", folder / "other.raw")
        more = (folder / "other.raw",)
        name_of_root = f"UUID={rootfs.UUID}"
    else:
        disk = volumes.logical(system.root, folder / "root.raw")
    whole = ("--standalone", "--root-device", name_of_root, "-f", "ext4")
    system.build(None, *whole, uuid=disks.UUID, path="/")
    run_ = replace(system.loop, root=name_of_root, disks=(disk.path, *more, dump.path))
    outcome = loop.go(run_)
    saved = loop.read_back(dump, crash_copy, outcome, system.root.kernel.release, below="/")
    (found,) = loop.said(outcome, "found ")
    assert found == f"/var/crash{saved.folder.path}/{saved.folder.file('dump.').name}"
    assert disk.fsck() == ""


@FULL
def test_a_root_that_does_not_appear_restarts_as_a_kernel_would(system: System) -> None:
    system.build(None, "--standalone", "--root-device", f"UUID={rootfs.UUID}", "-f", "ext4")
    lost = replace(system.loop, root="LABEL=nowhere", phases=(Phase.ARMED, Phase.REBOOTED))
    outcome = loop.go(replace(lost, more="panic=5"))
    assert "kdump-initrd: root=LABEL=nowhere did not appear in 30 s" in outcome.run.console
    assert "kdump-initrd: restarting in 5 s, as panic= says" in outcome.run.console
    lost = replace(lost, more="panic=5 kdump_initrd.shell", phases=(Phase.ARMED, Phase.OFF))
    with pytest.raises(Hang) as caught:
        loop.go(lost)
    assert "rescue shell: mount the root at" in caught.value.tail


@FULL
def test_half_a_mirror_boots(system: System, folder: Path) -> None:
    disk = volumes.mirrored(system.root, folder / "root.raw", folder / "other.raw")
    root = f"UUID={rootfs.UUID}"
    system.build(None, "--standalone", "--root-device", root, "-f", "ext4")
    # Two thirds of the half minute are waited for the other disk.
    deadlines = {Phase.BOOTED: 300.0}
    run_ = replace(system.loop, disks=(disk.path,), test="login", phases=LOGIN)
    outcome = loop.go(replace(run_, deadlines=deadlines))
    assert loop.said(outcome, "loaded") == [""]


@FULL
@pytest.mark.parametrize("packing", [each for each in Packing if each is not Packing.MICROCODE])
def test_a_base_of_every_packing_arms(system: System, packing: Packing) -> None:
    system.build(made(system.root, Base.KLIBC, packing))
    loop.go(replace(system.loop, phases=(Phase.ARMED,)))


def test_dracut_arms(system: System) -> None:
    """What comes after that is in its complete loop, and no other than that of a whole initrd."""
    system.build(bases.base(system.root, Base.DRACUT))
    loop.go(replace(system.loop, phases=(Phase.ARMED,)))


@FULL
def test_a_crash_before_the_root_is_mounted_is_captured(
    system: System, crash_copy: Path, folder: Path
) -> None:
    """It also tells the memory that is left, which the same boot without a payload tells too."""
    base = bases.base(system.root, Base.EARLY)
    dump = disks.make(folder / "dump.raw")
    system.build(base, uuid=disks.UUID)
    early = replace(system.loop, disks=(*system.loop.disks, dump.path), test="early", phases=EARLY)
    early = replace(early, more="nokaslr")
    outcome = loop.go(early)
    loop.read_back(dump, crash_copy, outcome, system.root.kernel.release)
    plain = loop.go(replace(early, initrd=base, test="memory", phases=(Phase.OFF,)))
    assert loop.kept_kib(outcome, plain) <= loop.SLACK_KIB, "the payload keeps memory"


@FULL
def test_a_root_that_the_crash_destroys_does_no_harm(
    system: System, crash_copy: Path, folder: Path
) -> None:
    dump = disks.make(folder / "dump.raw")
    system.build(bases.base(system.root, Base.EARLY), uuid=disks.UUID)
    run_ = replace(system.loop, disks=(*system.loop.disks, dump.path), test="destroy", phases=ONCE)
    outcome = loop.go(run_)
    assert system.disk.fsck() != "", "the root is as it was"
    loop.read_back(dump, crash_copy, outcome, system.root.kernel.release)


@FULL
@pytest.mark.parametrize(
    ("crashkernel_mib", "reason"),
    [
        (0, "no crashkernel= reservation: boot with crashkernel=112M"),
        (64, "the reservation of 64 MiB is too small: boot with crashkernel=112M"),
    ],
    ids=["none", "too-small"],
)
def test_what_stands_in_the_way_is_one_warning(
    system: System, crashkernel_mib: int, reason: str
) -> None:
    system.build(bases.base(system.root, Base.MOST))
    run_ = replace(system.loop, test="login", phases=LOGIN, crashkernel_mib=crashkernel_mib)
    outcome = loop.go(run_)
    (warning,) = warnings(outcome)
    assert warning.endswith(f"kdump-initrd: not armed: {reason}")
    assert loop.said(outcome, "unarmed") == [""]


@FULL
def test_noload_loads_nothing(system: System) -> None:
    system.build(bases.base(system.root, Base.KLIBC))
    run_ = replace(system.loop, test="login", phases=LOGIN, more="kdump_initrd.noload")
    outcome = loop.go(run_)
    assert loop.said(outcome, "unarmed") == [""]
    assert "not armed: kdump_initrd.noload" in outcome.run.console


Lister = Callable[[Root, Path, Path], bytes]


def lsinitramfs(root: Root, image: Path, out: Path) -> bytes:
    """List an image by Debian's own program."""
    return run(["lsinitramfs", "-l", image], timeout=120).stdout


def lsinitrd(root: Root, image: Path, out: Path) -> bytes:
    """List an image by dracut's own program, in the root that has it."""
    inside = out / "image"
    shutil.copyfile(image, inside)
    done = root.enter(["lsinitrd", "/mnt/image"], out=out, timeout=120)
    inside.unlink()
    return b"".join(
        line for line in done.stdout.splitlines(keepends=True) if not line.startswith(b"Image: ")
    )


@pytest.mark.parametrize(
    ("base", "lister"),
    [
        pytest.param(Base.MOST, lsinitramfs, id="most", marks=FULL),
        pytest.param(Base.EARLY, lsinitramfs, id="early"),
        pytest.param(Base.DRACUT, lsinitrd, id="dracut"),
    ],
)
def test_the_base_stays_what_it_is(system: System, base: Base, lister: Lister) -> None:
    path = bases.base(system.root, base)
    system.build(path)
    image = system.loop.initrd
    original, whole = path.read_bytes(), image.read_bytes()
    assert whole.startswith(original)
    before = lister(system.root, path, system.folder)
    assert before.count(b"\n") > 100
    assert lister(system.root, image, system.folder) == before


@FULL
def test_in_place_twice_then_strip(system: System, crash_copy: Path) -> None:
    original = bases.base(system.root, Base.EARLY)
    image = system.loop.initrd
    system.build(original)
    other = system.folder / "in-place.img"
    other.write_bytes(original.read_bytes())
    argv = ["-i", str(system.folder / "capture.img"), "-v", system.root.kernel.release]
    argv += ["--root", str(system.root.path), "--base", str(other), "--in-place"]
    for _ in range(2):
        run([*product.ME, *argv, system.root.kernel.release], timeout=60)
        assert other.read_bytes() == image.read_bytes()
    outcome = loop.go(replace(system.loop, initrd=other))
    check_loop(system, outcome, crash_copy)
    run([*product.ME, "--strip", other], timeout=60)
    assert other.read_bytes() == original.read_bytes()
