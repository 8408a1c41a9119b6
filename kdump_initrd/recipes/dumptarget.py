# SPDX-License-Identifier: GPL-2.0-or-later
"""Where dumps go: what is said of it, what this host tells of the rest, and the target itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..config.settings import CaptureSettings, TargetSettings
from ..probe.distro.profiles import Distro
from ..probe.host.hostfacts import HostFacts
from ..targets.block import Block


def resolve(settings: CaptureSettings, *, root: Path, profile: Distro) -> CaptureSettings:
    """Return ``settings`` with a device and its file system, and what they say else.

    Raises KdumpInitrdError where that cannot be told, or cannot be saved to.
    """
    found = Block.settle(_said(settings), folder=profile.dump.path, root=root, host=HostFacts())
    return replace(
        settings,
        device=found.to,
        fstype=found.fstype,
        path=found.path,
        mount_options=found.mount_options,
    )


def locate(settings: CaptureSettings, *, path: str, root: Path) -> Block:
    """Return the target of resolved ``settings``; ``path`` is the folder where they have none.

    Raises KdumpInitrdError for what cannot be one.
    """
    return Block.find(_said(settings), folder=path, root=root, host=HostFacts())


def _said(settings: CaptureSettings) -> TargetSettings:
    return TargetSettings(settings.device, settings.fstype, settings.path, settings.mount_options)
