# SPDX-License-Identifier: GPL-2.0-or-later
"""Which codec an image is packed with: one that its kernel can unpack."""

from __future__ import annotations

from .errors import KdumpInitrdError
from .image.cpio import Compression
from .probe.kernel import KernelRelease

#: From the smallest reservation that an image needs to the largest (docs/architecture.md).
_PREFERRED = (Compression.ZSTD, Compression.XZ, Compression.GZIP, Compression.LZ4)


def choose(wanted: str | None, release: KernelRelease) -> Compression:
    """Take the codec that was asked for, else the one with the smallest reservation.

    Raises KdumpInitrdError for one that the kernel is known to be unable to unpack.
    """
    if wanted:
        codec = Compression(wanted)
        if codec.kernel_option and release.config and not release.builds_in(codec.kernel_option):
            raise KdumpInitrdError(
                f"--compress {wanted}: {release.release} cannot unpack it",
                hint=f"it is built without {codec.kernel_option}",
            )
        return codec
    if not release.config:
        return _PREFERRED[0]
    able = (codec for codec in _PREFERRED if release.builds_in(codec.kernel_option))
    return next(able, Compression.NONE)
