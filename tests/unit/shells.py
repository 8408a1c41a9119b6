# SPDX-License-Identifier: GPL-2.0-or-later
"""The checkout, and the shells that its scripts must run in."""

from __future__ import annotations

from pathlib import Path

#: The top of the checkout.
REPO = Path(__file__).parents[2]
#: Words that start each.
SHELLS = (["dash"], ["bash", "--posix"], ["busybox", "ash"])
