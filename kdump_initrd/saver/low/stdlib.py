# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of standard-library modules that the saver may import."""

from __future__ import annotations

#: Top-level modules. The generator builds the image's tiny standard library from them and from
#: what they import themselves; a test holds the saver to them.
MODULES: tuple[str, ...] = ("ctypes", "errno", "itertools", "os", "stat", "struct", "sys", "time")
#: The extension module with SHA-256, of which a Python has one (since 3.12 the first), or none:
#: `configure --with-builtin-hashlib-hashes` can leave it out. The image has it if there is one.
SHA256: tuple[str, ...] = ("_sha2", "_sha256")
