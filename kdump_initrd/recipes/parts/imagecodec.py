# SPDX-License-Identifier: GPL-2.0-or-later
"""Which codec an image is packed with: one that its kernel can unpack, and this host can pack."""

from __future__ import annotations

from ...core.compression import PACKED, Codec
from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...image.archive import filters
from ...probe.kernel.releases import KernelRelease

logger = get_logger(__name__)


def choose(wanted: str | None, release: KernelRelease) -> Codec:
    """Take the codec that was asked for, else the one with the smallest reservation.

    Of those only what this host has the program for, with a warning where that is another one.
    Raises KdumpInitrdError for one that the kernel is known to be unable to unpack.
    """
    if wanted:
        codec = Codec(wanted)
        option = codec.row.kernel_option
        if option and release.config and not release.builds_in(option):
            raise KdumpInitrdError(
                f"--compress {wanted}: {release.release} cannot unpack it",
                hint=f"it is built without {option}",
            )
        return codec
    known = bool(release.config)
    able = [each for each in PACKED if not known or release.builds_in(each.row.kernel_option)]
    return _with_program(able, "which needs a larger reservation")


def behind(base: Codec) -> Codec:
    """Return the codec of what is appended to an initrd: its own, so that tools list both."""
    return _with_program([base], "so that tools that list initrds may fail")


def _with_program(able: list[Codec], but: str) -> Codec:
    """Return the first whose program is there; the last resort needs none."""
    able = [*able, Codec.NONE]
    missing = [filters.missing(each) for each in able]
    found = able[missing.index("")]
    if missing[0]:
        how = "not compressed" if found is Codec.NONE else f"compressed by {found.value} instead"
        text = "%s: program not found: the image is %s, %s (install %s)"
        logger.warning(text, missing[0], how, but, missing[0])
    return found
