# SPDX-License-Identifier: GPL-2.0-or-later
"""Each profile's images are as agreed: what is in them, why, and every text that is rendered."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image.manifest import MANIFEST, SEGMENT
from kdump_initrd.image.tree import Kind
from kdump_initrd.probe.distro import profiles as distro
from kdump_initrd.probe.python.minimal import PythonRuntime

from ..unit.shells import SHELLS
from . import images as making
from .golden import Golden
from .images import Image
from .systems import STUCK, SYSTEMS, WITHOUT_SAVER

# The first test waits for all the roots.
pytestmark = pytest.mark.timeout(180)

REPO = Path(__file__).parents[2]
NAMES = [f"{system.profile}/{kind}" for system in SYSTEMS for kind in system.kinds]
#: What test_runs.py compares with.
RUNS = {
    *(f"{name}/run" for name in NAMES),
    *(f"{profile}/capture/run-without-saver" for profile in WITHOUT_SAVER),
    *(f"{profile}/capture/run-stuck" for profile in STUCK),
}
#: The names of all scripts that are rendered, beside the tables that belong to a base.
RENDERED = {"init", "python", "drivers.sh", "arm", "kdump-initrd", "00-kdump-initrd.sh"}


def test_every_profile_has_a_system() -> None:
    """One that is added needs a root here, and agreed images."""
    profiles = distro.known(search_path("distros", root=Root(Path("/nonexistent"))), root=Root())
    assert sorted(system.profile for system in SYSTEMS) == profiles


def test_the_systems_have_every_layout() -> None:
    """What the roots are for: no two are there for nothing."""
    layouts = {(each.layout.merged, each.layout.libraries) for each in SYSTEMS}
    assert {merged for merged, _ in layouts} == {True, False}
    assert {name for _, name in layouts} == {"lib", "lib64", "lib/x86_64-linux-gnu"}
    assert {(bool(each.busybox), each.static) for each in SYSTEMS} >= {
        (True, True), (True, False), (False, True),
    }  # fmt: skip
    assert {each.dash for each in SYSTEMS} == {True, False}
    assert {each.machine for each in SYSTEMS} == {"x86_64", "aarch64"}
    assert {each.python >= 11 for each in SYSTEMS} == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_image_is_as_agreed(images: Mapping[str, Image], name: str, golden: Golden) -> None:
    image = images[name]
    assert image.manifest.distro == image.system.profile
    for part, text in image.texts().items():
        golden.check(f"{name}/{part}", text)


@pytest.mark.parametrize("name", NAMES)
def test_manifest_has_the_reason_of_every_entry(images: Mapping[str, Image], name: str) -> None:
    """The list, which is agreed, has the same; a base's links may give a file another folder."""
    image = images[name]
    reasons = {PurePosixPath(dest): why for dest, why in image.manifest.entries.items()}
    entries = (*image.entries, *image.later)
    if image.base:
        found = {(dest.name, why) for dest, why in reasons.items()}
        files = [each for each in entries if each.kind is Kind.FILE and each.dest != SEGMENT]
        assert {(each.dest.name, each.why) for each in files} <= found
    else:
        # It comes into the tree last, in a capture image with its folder.
        own = (MANIFEST, MANIFEST.parent)
        assert {dest: why for dest, why in reasons.items() if dest not in own} == {
            each.dest: each.why for each in entries if each.dest not in own
        }


def test_no_golden_text_is_left_over(images: Mapping[str, Image], golden: Golden) -> None:
    wanted = {f"{image.name}/{part}" for image in images.values() for part in image.texts()}
    golden.keep(wanted | RUNS)


def test_nothing_of_this_machine_is_in_them(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same texts elsewhere, at another time, by another Python, without a cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    monkeypatch.setattr(PythonRuntime, "compiler", None)
    host = os.uname().nodename
    monkeypatch.setattr(os, "uname", lambda: pytest.fail("the running kernel is asked for"))
    for system in SYSTEMS:
        if system.profile in ("debian", "fedora"):
            for image in making.build(system, tmp_path / "elsewhere" / system.profile):
                for part, text in image.texts().items():
                    assert text == golden.text(f"{image.name}/{part}"), part
                    assert str(tmp_path) not in text
                    assert host not in text.split()


def test_rendered_scripts_pass_shellcheck(images: Mapping[str, Image], tmp_path: Path) -> None:
    """Each text once, all by two runs: the second for tables that are the base's as well."""
    strict: list[Path] = []
    tables: list[Path] = []
    for place, text in making.distinct(images.values()).items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (tables if place.endswith(making.TABLES) else strict).append(path)
    assert {path.name for path in strict} == RENDERED
    assert {path.name for path in tables} == {"config", "ORDER"}
    for paths, options in ((strict, []), (tables, ["--exclude=SC1091,SC2034"])):
        argv = ["shellcheck", "--shell=sh", "--external-sources", f"--source-path={REPO}"]
        done = subprocess.run(
            [*argv, *options, *paths], cwd=tmp_path, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_tool_passes_shellcheck() -> None:
    done = subprocess.run(
        ["shellcheck", "--exclude=SC2239", Path(__file__).parent / "tool"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_every_shell_can_read_them(
    images: Mapping[str, Image], tmp_path: Path, shell: list[str]
) -> None:
    """Whole: what a run does not come to as well."""
    entries = (entry for image in images.values() for entry in image.entries)
    hooks = {entry.content.decode() for entry in entries if entry.content in making.AS_THEY_LIE}
    assert len(hooks) >= 18
    scripts = [*making.distinct(images.values()).values(), *hooks]
    path = tmp_path / "script"
    for text in scripts:
        path.write_text(text)
        done = subprocess.run(
            [*shell, "-n", path], capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), text[:200]
