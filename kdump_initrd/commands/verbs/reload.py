# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd reload``: the capture kernel is loaded again, whatever is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .load import Load


@dataclass(frozen=True)
class Reload(Load):
    """Load it even if nothing of it has changed: the machine's memory may have."""

    name = "reload"
    summary = "load the capture kernel again, for example when memory was added"
    again: ClassVar[bool] = True
