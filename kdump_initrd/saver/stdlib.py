# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of standard-library modules that the saver may import."""

from __future__ import annotations

#: Top-level modules. The generator builds the image's tiny standard library from them and from
#: what they import themselves; a test holds the saver to them.
MODULES: tuple[str, ...] = ("ctypes", "errno", "os", "struct", "sys", "time")
