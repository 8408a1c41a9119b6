# SPDX-License-Identifier: GPL-2.0-or-later
"""A new kind of target is one class: an image carries its steps, its needs and its parameters."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kdump_initrd.config.settings import CaptureSettings
from kdump_initrd.config.targetsettings import TargetSettings
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro.profiles import Distro
from kdump_initrd.probe.host.hostfacts import HostFacts
from kdump_initrd.recipes import capture, dumptarget
from kdump_initrd.recipes.found import find_root
from kdump_initrd.saver.params import TargetParams
from kdump_initrd.targets import kinds
from kdump_initrd.targets.target import Needs, Step, Target
from tests.aimed import aimed
from tests.golden_images import fakeroot
from tests.golden_images.images import DUMP_UUID, HARDWARE
from tests.golden_images.systems import SYSTEMS, System

HOOKS = "usr/lib/kdump-initrd/hooks"
BLOCK = ("pre-mount/50-wait-device", "mount/50-mount", "umount/50-umount")


@dataclass(frozen=True)
class Shelf(Target):
    """A place that nobody has ever saved a dump to."""

    board: str
    table: Path

    schemes = ("shelf",)
    forms = ("shelf:BOARD",)

    @classmethod
    def settle(
        cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts
    ) -> TargetSettings:
        return replace(said, path=said.path or folder)

    @classmethod
    def find(cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts) -> Target:
        return cls(said.to.partition(":")[2], root.path / "etc/fstab")

    @classmethod
    def steps(cls) -> tuple[Step, ...]:
        return (Step("mount", "50-shelf"),)

    def params(self) -> TargetParams:
        return TargetParams(kind="shelf", device=self.board, mount="/kdump", folder="/top")

    def needs(self, root: Root, host: HostFacts) -> Needs:
        return Needs(
            f"shelf {self.board}",
            modules={"the shelf": ("virtio_blk",)},
            programs=("findfs",),
            files={"etc/shelf": self.table},
        )

    def fit(self, profile: Distro) -> Distro:
        return replace(profile, dump=replace(profile.dump, capture_log="shelf.log"))


@pytest.fixture(scope="module")
def system() -> System:
    return next(each for each in SYSTEMS if each.profile == "debian")


@pytest.fixture
def root(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with the kind's script, and the kind in the list."""
    monkeypatch.setattr(kinds, "KINDS", (*kinds.KINDS, Shelf))
    root = fakeroot.build(tmp_path / "root", system)
    hook = root / "etc/kdump-initrd/hooks/mount/50-shelf"
    hook.parent.mkdir(parents=True)
    hook.write_text("#!/bin/sh\n# needs: mount\n# timeout: 7\nexit 0\n")
    hook.chmod(0o755)
    return root


def planned(
    system: System, root: Path, *targets: TargetSettings, setup_timeout: int = 120
) -> dict[str, bytes]:
    """Return the entries of an image for these targets, by their paths."""
    settings = CaptureSettings(
        targets=targets, release=system.release, root=str(root), dry_run=True, hardware=HARDWARE,
        setup_timeout=setup_timeout,
    )  # fmt: skip
    settings = dumptarget.resolve(settings, root=Root(root), profile=profile_of(settings))
    plan = capture.plan(settings)
    return {str(each.dest): each.content for each in (*plan.tree, *plan.second)}


def test_hints_name_how_its_targets_are_said(root: Path) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        kinds.kind_of("desk:oak")
    assert (caught.value.hint or "").endswith(" or shelf:BOARD")


def profile_of(settings: CaptureSettings) -> Distro:
    """Return the profile that the images are made by."""
    return find_root(settings, target=None)[1]


def test_an_image_carries_its_steps_and_parameters(system: System, root: Path) -> None:
    image = planned(system, root, *aimed("shelf:oak", deadline=9))
    assert f"{HOOKS}/mount/50-shelf" in image
    assert not [name for name in BLOCK if f"{HOOKS}/{name}" in image]
    (told,) = json.loads(image["etc/kdump-initrd/params.json"])["targets"]
    assert (told["kind"], told["device"], told["folder"]) == ("shelf", "oak", "/top")
    assert (told["deadline"], told["keep_free"]) == (9, 5)
    init = image["init"].decode()
    for line in ("KDUMP_DEVICE=oak", "KDUMP_SETUP_TIMEOUT=9", "KDUMP_CAPTURE_LOG=shelf.log"):
        assert f"\nexport {line}\n" in init
    assert "\n\trun_hook mount/50-shelf 7\n" in init
    assert image["etc/shelf"] == (root / "etc/fstab").read_bytes()
    assert "virtio_blk.ko" in image["etc/kdump-initrd/modules"].decode()
    assert image["usr/sbin/findfs"].startswith(b"\x7fELF"), "the root's own, and not busybox's"
    manifest = json.loads(image["kdump-initrd/manifest.json"])
    assert (manifest["target"], manifest["fstype"]) == ("shelf oak", "")


def test_others_do_not_carry_its_steps(system: System, root: Path) -> None:
    image = planned(system, root, *aimed(DUMP_UUID, "ext4"))
    assert f"{HOOKS}/mount/50-shelf" not in image
    assert "shelf" not in image["init"].decode()
    assert all(f"{HOOKS}/{name}" in image for name in BLOCK)


@pytest.mark.parametrize(("deadline", "wanted"), [(None, 77), (9, 9), (0, 0)])
def test_the_set_up_timer_is_the_deadline_of_a_target_without_one(
    system: System, root: Path, deadline: int | None, wanted: int
) -> None:
    target = TargetSettings(DUMP_UUID, "ext4", deadline=deadline)
    image = planned(system, root, target, setup_timeout=77)
    (told,) = json.loads(image["etc/kdump-initrd/params.json"])["targets"]
    assert told["deadline"] == wanted
    assert f"\nexport KDUMP_SETUP_TIMEOUT={wanted}\n" in image["init"].decode()


def test_a_step_that_is_not_there_is_an_error(system: System, root: Path) -> None:
    (root / "etc/kdump-initrd/hooks/mount/50-shelf").unlink()
    with pytest.raises(KdumpInitrdError, match=r"hooks/mount/50-shelf: a target needs it"):
        planned(system, root, *aimed("shelf:oak"))


def test_init_goes_from_one_target_to_the_next(system: System, root: Path) -> None:
    targets = (*aimed(DUMP_UUID, "ext4"), *aimed("shelf:oak", deadline=9))
    init = planned(system, root, *targets)["init"].decode()
    first, second = init.split("\tleave_target\n", 1)
    hooks = [line.split()[1] for line in first.splitlines() if line.startswith("\trun_hook ")]
    assert "mount/50-mount" in hooks and "mount/50-shelf" not in hooks
    assert "export KDUMP_TARGET=0\n" in first and "\texport KDUMP_TARGET=1\n" in second
    assert "\texport KDUMP_SETUP_TIMEOUT=9\n" in second
    again = [line.split()[1] for line in second.splitlines() if line.startswith("\t\trun_hook ")]
    saving = [name for name in hooks if name.split("/")[0] in ("pre-save", "save", "post-save")]
    assert again == ["mount/50-shelf", *saving]
    assert second.index("\n\tfi\n\tleave_target\nelse\n") > second.index("50-capture-log")
    subprocess.run(["sh", "-n"], input=init, text=True, check=True, timeout=30)
