# SPDX-License-Identifier: GPL-2.0-or-later
"""What a capture kernel takes of the reserved memory: by its header, else as its architecture's."""

from __future__ import annotations

from ...image.reservation import Terms
from ...probe.distro.architectures import facts


def terms_of(machine: str, unpacked: int) -> Terms:
    """Return it for a kernel of an architecture; ``unpacked`` is its size in bytes, 0: unknown."""
    usual = facts().named(machine).reservation
    return Terms(unpacked or usual.kernel, usual.runtime, usual.freed)
