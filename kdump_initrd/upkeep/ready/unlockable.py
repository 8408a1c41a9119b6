# SPDX-License-Identifier: GPL-2.0-or-later
"""Can a capture kernel open the LUKS volumes below a target: is there a key, and does it fit?"""

from __future__ import annotations

from collections.abc import Iterator

from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...probe.host.luksheader import read
from ...probe.host.sysfs import Hardware
from ..unlocking import slotkey
from ..unlocking.enrolment import Volume
from .finding import ERROR, FINE, Finding
from .link import NO, UNKNOWN
from .view import View


def lack(found: Hardware | None, root: Root) -> tuple[str, str, str] | None:
    """Return (answer, why, what mends it) if a volume below a device has no key here."""
    for each in found.encrypted if found else ():
        what = f"on the LUKS volume {each.device}"
        try:
            if slotkey.there(each.uuid, root) is None:
                mend = f"kdump-initrd luks-enroll {each.device}"
                return NO, f"{what}, and capture kernels have no key for that", mend
        except PermissionError:
            return UNKNOWN, f"{what}, and only root may look for its key", ""
    return None


def check(seen: View) -> Iterator[Finding]:
    """Yield for each volume whether its key opens it; if it has none, the target's link says so.

    The volume itself is asked, so only on the running host.
    """
    known = [found for found in seen.hardware.values() if found] if seen.root.is_host else []
    volumes = dict.fromkeys(each for found in known for each in found.encrypted)
    for each in volumes:
        try:
            key, header = slotkey.there(each.uuid, seen.root), read(each.device)
            if key is None or header is None:
                continue
            slots = Volume(each.device, header).slots(key)
        except OSError as error:
            yield Finding("key", UNKNOWN, f"{each.device}: not looked at: {error.strerror}")
            continue
        except KdumpInitrdError as error:
            yield Finding("key", ERROR, error.message, error.hint or "")
            continue
        if header.trouble or not slots:
            text = header.trouble or "no key slot of it is opened by its key here"
            mend = f"kdump-initrd luks-enroll {each.device}"
            yield Finding("key", ERROR, f"{each.device}: {text}", mend)
        else:
            yield Finding("key", FINE, f"{each.device}: key slot {slots[0]} is opened by {key}")
