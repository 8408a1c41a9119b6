# SPDX-License-Identifier: GPL-2.0-or-later
"""Thin pools: what `check` says of one that a dump would fill."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from kdump_initrd.config.settings import CaptureSettings
from kdump_initrd.core import run
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.core.run import Result
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.host import thinpool
from kdump_initrd.probe.host.sysfs import Hardware
from kdump_initrd.upkeep.ready import forecast, thinpools
from kdump_initrd.upkeep.ready.finding import FINE, NOTE, WARNING
from kdump_initrd.upkeep.ready.view import View

_MIB = 1 << 20
VOLUMES = ("/dev/mapper/vg-var", "/dev/mapper/vg-pool-tpool", "/dev/mapper/vg-pool_tdata")


@pytest.fixture
def seen() -> View:
    """A host with one target on a pool, and memory of which a dump takes 100 MiB."""
    view = SimpleNamespace(
        root=SimpleNamespace(is_host=True),
        places=(SimpleNamespace(spec="UUID=1", level=31),),
        hardware={"UUID=1": Hardware((), (), ("lvm",), volumes=VOLUMES)},
        memory=SimpleNamespace(size=lambda level, ratio: 100 * _MIB),
        packing=SimpleNamespace(ratio=0.35),
    )
    return cast(View, view)


@pytest.mark.parametrize(
    ("lvs", "severity", "text", "mend"),
    [
        (
            "  1073741824|95.00\n",
            WARNING,
            "/dev/mapper/vg-pool has 51 MiB left, a dump takes about 100 MiB: the pool would run "
            "full",
            "lvextend -L +49M /dev/mapper/vg-pool",
        ),
        (
            "  1073741824|5.25\n",
            FINE,
            "/dev/mapper/vg-pool has 970 MiB left, a dump takes about 100 MiB",
            "",
        ),
        ("", NOTE, "LVM does not tell how full /dev/mapper/vg-pool is", "lvs /dev/mapper/vg-pool"),
        ("  8|\n", NOTE, "LVM does not tell how full /dev/mapper/vg-pool is", ""),
    ],
)
def test_a_pool_below_a_target(
    seen: View, monkeypatch: pytest.MonkeyPatch, lvs: str, severity: str, text: str, mend: str
) -> None:
    monkeypatch.setattr(thinpool, "run", lambda argv, **more: Result(0, lvs.encode(), ""))
    (found,) = thinpools.check(seen)
    assert (found.severity, found.text) == (severity, text)
    assert mend in found.mend


def test_without_lvs_the_pool_is_not_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(run, "_SBIN", str(tmp_path))
    assert thinpool.left("/dev/mapper/vg-pool") is None


def test_a_volume_without_a_pool_is_not_asked_about(
    seen: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Hardware((), (), ("lvm",), volumes=VOLUMES[:1])
    monkeypatch.setitem(cast("dict[str, Hardware]", seen.hardware), "UUID=1", found)
    assert list(thinpools.check(seen)) == []


@pytest.mark.parametrize("left", [99, 101])
def test_an_image_is_built_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, left: int
) -> None:
    monkeypatch.setattr(thinpool, "left", lambda pool: left * _MIB)
    memory = SimpleNamespace(size=lambda level, ratio: 100 * _MIB)
    monkeypatch.setattr(forecast, "count", lambda root, *, reserved: memory)
    profile = profiles.load("debian", search_path=search_path("distros", root=Root()), root=Root())
    pools = ("/dev/mapper/vg-pool",)
    thinpools.warn(pools, CaptureSettings(), root=Root(), profile=profile)
    said = (
        "/dev/mapper/vg-pool has 99 MiB left, a dump takes about 100 MiB: the pool would run full"
    )
    assert caplog.messages == ([said] if left == 99 else [])
