# SPDX-License-Identifier: GPL-2.0-or-later
"""The codec that an image is packed with: its kernel must unpack it, and this host pack it."""

from __future__ import annotations

from ...core.compression import PACKED, Codec
from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...image.archive import filters
from ...probe.kernel.releases import KernelRelease

logger = get_logger(__name__)


def choose(wanted: str | None, release: KernelRelease) -> Codec:
    """Return the codec that was asked for, else the one with the smallest reservation.

    Codecs whose program this host lacks are not used; a warning says so if that changes the choice.
    Raises KdumpInitrdError for a codec that the kernel is known not to unpack.
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
    """Return the codec for what is appended to an initrd: the same, so that tools list both."""
    return _with_program([base], "so that tools that list initrds may fail")


def _with_program(able: list[Codec], but: str) -> Codec:
    """Return the first one whose program exists; the last one needs none."""
    able = [*able, Codec.NONE]
    missing = [filters.missing(each) for each in able]
    found = able[missing.index("")]
    if missing[0]:
        how = "not compressed" if found is Codec.NONE else f"compressed by {found.value} instead"
        text = "%s: program not found: the image is %s, %s (install %s)"
        logger.warning(text, missing[0], how, but, missing[0])
    return found
