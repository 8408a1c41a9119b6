# SPDX-License-Identifier: GPL-2.0-or-later
"""How much memory to reserve for an image: the crashkernel= to put on the command line."""

from __future__ import annotations

_MIB = 1 << 20
#: What a distribution's x86_64 kernel and the saver need beside the image, in bytes; measured as
#: the smallest reservation that works, less the image's own terms (docs/architecture.md).
_KERNEL = 76 * _MIB
#: A machine with more devices than the measured one has larger drivers and tables.
_HEADROOM = 24 * _MIB
#: Reservations are multiples of this on x86 (CRASH_ALIGN, arch/x86/include/asm/crash_reserve.h).
_ALIGN = 16 * _MIB


def crashkernel(*, stored: int, unpacked: int, window: int) -> int:
    """Return the MiB to reserve for an image of ``stored`` and ``unpacked`` bytes.

    While the kernel unpacks it, the stored image, the unpacked tree and the decoder's ``window``
    (all in bytes) are in memory at once: that is the peak.
    """
    need = _KERNEL + stored + unpacked + window + _HEADROOM
    return -(-need // _ALIGN) * _ALIGN // _MIB
