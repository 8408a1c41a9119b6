# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps on devices with layers: an image of the machine that has them, and its crash."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from . import capture, layered, product, workshop
from .capture import Saved, check, said
from .kernels import Kernel
from .layered import Layered
from .scenario import CRASHKERNEL_MIB, WITHOUT_DUMP, Scenario, crash

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(900)]


def built(scenario: Scenario, disks: Layered, *options: str) -> Scenario:
    """Build the image on the machine that the disks were made on."""
    scenario = replace(scenario, kernel=workshop.kernel())
    words = [*disks.command(), *product.ME]
    image = product.build(
        scenario.image, scenario.kernel, layered.DEVICE, *options,
        fstype=disks.recipe.fstype, command=words,
    )  # fmt: skip
    return replace(scenario, command_line=image.command_line)


def crashed(
    scenario: Scenario,
    made: Layered,
    disks: tuple[Path, ...],
    folder: Path,
    *options: str,
    crashkernel_mib: int = CRASHKERNEL_MIB,
) -> list[str]:
    """Crash the machine, prove the dump as somebody else's programs read it; return what was said.

    ``disks`` are those that are left of it.
    """
    scenario = replace(built(scenario, made, *options), crashkernel_mib=crashkernel_mib)
    outcome = crash(replace(scenario, disks=disks[: made.recipe.disks]))
    _prove(made, disks, folder / "reading", outcome.token, scenario.kernel)
    return said(outcome.run)


def _prove(
    made: Layered, disks: tuple[Path, ...], folder: Path, token: str, kernel: Kernel
) -> None:
    (found,) = layered.crash_folders(made.recipe, disks, folder)
    report = json.loads(found.file("report.json").copy.read_text())
    check(Saved(found, report), token, kernel)


def test_xfs_on_lvm(scenario: Scenario, folder: Path) -> None:
    made = layered.layered("lvm")
    crashed(scenario, made, made.copy(folder), folder, crashkernel_mib=104)


@pytest.mark.full
@pytest.mark.parametrize("layers", ["striped", "mirrored", "thin", "raid1", "raid5"])
def test_whole(scenario: Scenario, folder: Path, layers: str) -> None:
    made = layered.layered(layers)
    crashed(scenario, made, made.copy(folder), folder)


@pytest.mark.full
@pytest.mark.parametrize("layers", ["mirrored", "raid1", "raid5"])
def test_with_a_missing_disk(scenario: Scenario, folder: Path, layers: str) -> None:
    made = layered.layered(layers)
    _, *rest = made.copy(folder)
    crashed(scenario, made, tuple(rest), folder)


@pytest.mark.full
@pytest.mark.parametrize("layers", ["lvm", "multipath"])
def test_what_is_said_of_a_device_elsewhere(scenario: Scenario, folder: Path, layers: str) -> None:
    """The image knows only that there is such a layer, and of another one that is not there."""
    made = layered.layered(layers)
    disks = made.copy(folder)
    scenario = replace(
        scenario, kernel=workshop.kernel(), devices=made.recipe.devices(disks),
        disks=disks[: made.recipe.disks],
    )  # fmt: skip
    scenario = capture.built(
        scenario, f"UUID={layered.UUID}", "--layer", "md", "--layer", layers,
        fstype=made.recipe.fstype,
    )  # fmt: skip
    outcome = crash(scenario)
    _prove(made, disks, folder / "reading", outcome.token, scenario.kernel)


@pytest.mark.full
def test_an_array_that_is_not_clean_and_lacks_a_disk(scenario: Scenario, folder: Path) -> None:
    made = layered.layered("dirty")
    _, *rest = made.copy(folder)
    lines = crashed(scenario, made, tuple(rest), folder)
    assert any("runs without 1 of its disks" in line for line in lines)


@pytest.mark.full
@pytest.mark.parametrize("there", [2, 1], ids=["both", "one-cut"])
def test_multipath(scenario: Scenario, folder: Path, there: int) -> None:
    made = layered.layered("multipath")
    disks = made.copy(folder)
    scenario = replace(scenario, devices=layered.paths(disks[0], there))
    crashed(scenario, made, disks, folder)


@pytest.mark.full
def test_a_thin_pool_that_a_dump_would_fill_gets_the_log(scenario: Scenario, folder: Path) -> None:
    made = layered.layered("full")
    disks = made.copy(folder)
    scenario = replace(built(scenario, made), disks=disks, phases=WITHOUT_DUMP)
    outcome = crash(scenario)
    lines = "\n".join(said(outcome.run))
    assert re.search(r"thin pool pool: \d+ MB are left", lines)
    assert "MB may be used" in lines
    (found,) = layered.crash_folders(made.recipe, disks, folder / "reading")
    report = json.loads(found.file("report.json").copy.read_text())
    assert (report["result"], report["dump"]) == ("refused", None)
    assert outcome.token in found.file("dmesg.").copy.read_text(errors="replace")
