# SPDX-License-Identifier: GPL-2.0-or-later
"""What a recipe has found before it decides anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .probe.device import DumpDevice
from .probe.distro import Distro
from .probe.kernel import KernelRelease


@dataclass(frozen=True)
class Target:
    """Where the dump goes: the device, the folder on its file system, how it is mounted."""

    device: DumpDevice
    folder: str
    mount_options: str


@dataclass(frozen=True)
class Site:
    """What was found: the root, its distribution, the capture kernel, the place of the dump.

    ``watchdogs`` are the drivers of the hardware watchdogs that tick on this host.
    """

    root: Path
    profile: Distro
    kernel: KernelRelease
    target: Target
    watchdogs: tuple[str, ...]
