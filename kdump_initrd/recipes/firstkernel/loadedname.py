# SPDX-License-Identifier: GPL-2.0-or-later
"""The names by which it is told what is loaded, and who the first kernel's hook is there."""

from __future__ import annotations

from ...image.tree import inside
from ...saver.imagepaths import PAYLOAD

#: Where whoever loads says so, relative to the root (kdump-initrd-loaded(5)).
LOADED = "run/kdump-initrd/loaded"
BY_HOOK = "first-kernel"
#: What the first kernel's initrd tells the running system of its payload.
FACTS = inside(PAYLOAD) / "facts"
