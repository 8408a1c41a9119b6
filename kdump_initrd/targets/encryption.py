# SPDX-License-Identifier: GPL-2.0-or-later
"""The encrypted volumes below a device: whether a capture kernel can open them, and its ciphers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from . import refusals

if TYPE_CHECKING:
    from ..probe.host.hostfacts import HostFacts
    from ..probe.host.mappings import Encrypted
    from ..probe.host.sysfs import Hardware

logger = get_logger(__name__)

#: What dm-crypt itself makes of a sector's number (drivers/md/dm-crypt.c, crypt_ctr_ivmode()).
_OWN = ("plain", "plain64", "plain64be", "null", "benbi", "random", "capi")
#: What these make their first blocks with.
_WITHIN = {"xts": "ecb", "lrw": "ecb"}
#: An installer's choice, where the header may not be read.
_USUAL = "aes-xts-plain64"


def modules(found: Hardware, *, host: HostFacts) -> dict[str, tuple[str, ...]]:
    """Return the kernel modules of the volumes' ciphers, by what they are for.

    Raises KdumpInitrdError for a volume that its key alone does not open.
    """
    needed = {}
    for each in found.encrypted:
        cipher = _cipher(each, host)
        needed[f"cipher {cipher}"] = tuple(f"crypto-{name}" for name in names(cipher))
    return needed


def names(cipher: str) -> tuple[str, ...]:
    """Return the kernel's names for the parts of a cipher, as dm-crypt has it."""
    parts = [each for each in re.findall(r"[a-z0-9_]+", cipher) if each not in _OWN]
    return tuple(dict.fromkeys([*(_WITHIN[each] for each in parts if each in _WITHIN), *parts]))


def _cipher(volume: Encrypted, host: HostFacts) -> str:
    try:
        header = host.luks(volume.device)
    except OSError as error:
        logger.warning(
            "%s: cannot be read (%s): %s is expected", volume.device, error.strerror, _USUAL
        )
        return _USUAL
    trouble = header.trouble if header else "has its LUKS header on another device"
    if header is None or trouble:
        raise KdumpInitrdError(
            f"{volume.device}: an encrypted volume that {trouble}, {refusals.UNLOCK}",
            hint=refusals.PLAIN_DISK,
        )
    return header.cipher
