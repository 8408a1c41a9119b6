# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole initrd for the first kernel, where there is no base."""

from __future__ import annotations

from .errors import KdumpInitrdError
from .firstimage import FirstImage, Order


def plan(order: Order) -> FirstImage:
    """Decide the whole initrd."""
    raise KdumpInitrdError(f"--standalone: not yet ({order.release})")
