# SPDX-License-Identifier: GPL-2.0-or-later
"""Giving back what is reserved beyond what the image needs, until the next start.

The kernel takes a smaller size while nothing is loaded (Documentation/ABI/testing/
sysfs-kernel-kexec-kdump, crash_size). So SUSE's kdump does it (KDUMP_AUTO_RESIZE).
"""

from __future__ import annotations

from ...core.log import get_logger
from ...core.root import Root
from ..ready import readiness
from ..ready.readiness import Running

logger = get_logger(__name__)


def give_back(root: Root, machine: Running, wanted: int) -> None:
    """Leave ``wanted`` MiB of what is reserved; what cannot be given back is a warning."""
    if machine.loaded or not 0 < wanted < machine.reserved:
        return
    path = readiness.crash_file("size", root)
    if path is None:
        return
    try:
        path.write_text(f"{wanted << 20}\n")
        logger.info("%d of %d MiB given back", machine.reserved - wanted, machine.reserved)
    except OSError as error:
        logger.warning("%s: %s: all of the reservation stays", path, error.strerror)
