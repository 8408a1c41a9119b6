# SPDX-License-Identifier: GPL-2.0-or-later
"""How much memory to reserve for an image: the crashkernel= to put on the command line."""

from __future__ import annotations

_MIB = 1 << 20
#: What Debian's x86_64 kernels take before /init, beside the image's own terms, in bytes: the
#: smallest reservation that works less those terms (docs/architecture.md has the measurements).
_KERNEL = 72 * _MIB
#: For what a larger machine's drivers and tables take, and the saver once the image is unpacked.
_HEADROOM = 24 * _MIB
#: Nobody reserves odd numbers; in bytes.
_STEP = 8 * _MIB


def crashkernel(*, stored: int, unpacked: int, window: int) -> int:
    """Return the MiB to reserve for an image of ``stored`` bytes, ``unpacked`` by the kernel.

    While the kernel unpacks it, the stored image, the unpacked tree and the decoder's ``window``
    (all in bytes) are in memory at once: that is the peak.
    """
    need = _KERNEL + stored + unpacked + window + _HEADROOM
    return -(-need // _STEP) * _STEP // _MIB
