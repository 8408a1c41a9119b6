# SPDX-License-Identifier: GPL-2.0-or-later
"""Where Debian's profile says that a root has its kernels."""

from __future__ import annotations

from pathlib import Path

from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles

LAYOUT = profiles.load(
    "debian", search_path=search_path("distros", root=Root(Path("/nonexistent"))), root=Root()
).kernel
