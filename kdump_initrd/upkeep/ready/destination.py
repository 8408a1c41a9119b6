# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the dump will go: is the device there, is it what the image mounts, is there room?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...probe.host import disklook
from ...saver.store.folder import free_room
from . import unlockable
from .dumpplaces import Place, untold
from .link import NO, UNKNOWN, YES, Fact, Link, unseen
from .view import View

_MIB = 1 << 20
_REFRESH = "mkinitrd-kdump --refresh"


def targets(seen: View) -> Iterator[Link]:
    """Yield a link for each target: would the dump find its device, its file system, and room?

    Of several, one that can be reached is enough, so those that cannot do not decide then.
    """
    if not seen.places:
        yield unseen("target", untold(seen.image))
        return
    found = [_target(place, seen) for place in seen.places]
    saved = any(link.answer == YES for link in found)
    for number, link in enumerate(found, 1):
        name = link.name if number == 1 else f"{link.name} {number}"
        yield replace(link, name=name, decides=link.answer == YES or not saved)


def _target(place: Place, seen: View) -> Link:
    root, disk = seen.root, seen.disks[place.spec]
    facts: dict[str, Fact] = {"target": place.spec, "fstype": place.fstype, "folder": place.folder}
    if not place.is_device:
        return unseen("target", f"{place.spec} is not a device of this machine")
    if disk is None:
        if root.is_host and os.geteuid() and not disklook.has_udev(root):
            return unseen("target", f"only root may look for {place.spec}")
        text = f"{place.spec} is not here"
        return Link("target", NO, text, "lsblk -o NAME,UUID,LABEL lists what is here", facts)
    if not disk.fstype:
        return Link("target", UNKNOWN, f"{disk.node} is there; not looked at: what is on it")
    if disk.fstype != place.fstype:
        text = f"{disk.node} holds {disk.fstype}, and the image mounts {place.fstype}"
        return Link("target", NO, text, _REFRESH, facts)
    text = f"{place.spec} is {disk.node}, {disk.fstype}"
    locked = unlockable.lack(seen.hardware[place.spec], root)
    if locked is not None:
        answer, why, mend = locked
        return Link("target", answer, f"{text}, {why}", mend, facts)
    if disk.mounted is None:
        return Link("target", YES, f"{text}; not mounted here, so its room is not known", "", facts)
    return _with_room(place, disk.mounted, seen, text, facts)


def _with_room(place: Place, mounted: Path, seen: View, text: str, facts: dict[str, Fact]) -> Link:
    try:
        has = free_room(str(mounted), place.keep_free)
        wanted = seen.memory.size(place.level, seen.packing.ratio)
    except OSError as error:
        why = error.strerror or str(error)
        return Link("target", YES, f"{text}; its room is not known: {why}", "", facts)
    facts |= {"room_bytes": has, "forecast_bytes": wanted}
    text = f"{text}, room for {has // _MIB} MiB, a dump takes about {wanted // _MIB} MiB"
    if has < wanted:
        hint = f"make room on {mounted}, or use a higher dump-level in /etc/kdump-initrd.toml"
        return Link("target", NO, text, hint, facts)
    return Link("target", YES, text, "", facts)
