# SPDX-License-Identifier: GPL-2.0-or-later
"""The packings of kernel modules."""

from __future__ import annotations

import gzip
import lzma
import subprocess


def packed(suffix: str, data: bytes) -> bytes:
    """Compress a module as its suffix says."""
    if suffix == ".xz":
        return lzma.compress(data, check=lzma.CHECK_CRC32)
    if suffix == ".gz":
        return gzip.compress(data)
    if suffix == ".zst":
        # As the kernel's build does, with the size: depmod of kmod 34 wants it.
        argv = ["zstd", "-q", "-c", f"--stream-size={len(data)}"]
        return subprocess.run(argv, input=data, capture_output=True, check=True).stdout
    return data
