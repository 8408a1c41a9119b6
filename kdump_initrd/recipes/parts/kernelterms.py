# SPDX-License-Identifier: GPL-2.0-or-later
"""What a capture kernel takes of the reserved memory, by its header or its architecture."""

from __future__ import annotations

from ...image.reservation import Terms
from ...probe.distro.architectures import facts


def terms_of(machine: str, unpacked: int) -> Terms:
    """Return this for a kernel of an architecture, of ``unpacked`` bytes; 0: unknown."""
    usual = facts().named(machine).reservation
    return Terms(unpacked or usual.kernel, usual.runtime, usual.freed)
