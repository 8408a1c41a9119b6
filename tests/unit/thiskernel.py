# SPDX-License-Identifier: GPL-2.0-or-later
"""The newest kernel of this machine, which images in tests are built of."""

from __future__ import annotations

from pathlib import Path

from kdump_initrd.core.root import Root
from kdump_initrd.probe.kernel import releases

from .debianlayout import LAYOUT

ROOT = Path("/")
RELEASE = releases.releases(root=Root(ROOT), layout=LAYOUT)[-1]
#: ext4's own needs, in an order that loads.
EXT4 = ("jbd2", "mbcache", "crc16", "ext4")
