# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the dump will go: is the device there, is it what the image mounts, is there room?

And what is already there: the last crash, where the file system is mounted here.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...core.devicename import is_tag
from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...probe.host import disklook
from ...probe.host.disklook import Disk
from ...saver.store.naming import REPORT
from . import forecast
from .link import NO, UNKNOWN, YES, Fact, Link, unseen

#: How much smaller a codec makes the memory of a kernel, at least, as a rule.
_PACKED = 2
_MIB = 1 << 20
_REFRESH = "mkinitrd-kdump --refresh"
#: The result in a report of a crash whose dump is whole (kdump-initrd-report(5)).
_SAVED = ("saved",)


@dataclass(frozen=True)
class Place:
    """Where an image saves to.

    ``spec`` is the device or a URL, ``fstype`` what is on it, ``folder`` that for dumps: of the
    device, if ``on_device``, else of the host. ``level`` is the dump level, ``keep_free`` how many
    per cent of the file system stay free.
    """

    spec: str
    fstype: str
    folder: str
    on_device: bool
    level: int
    keep_free: int


def find(place: Place, root: Root) -> Disk | None:
    """Return the device of a place, None if it is not there, or is no device."""
    return disklook.find(place.spec, root=root) if _is_device(place) else None


def target(place: Place, disk: Disk | None, root: Root) -> Link:
    """Tell whether the dump would find its device, its file system, and room."""
    facts: dict[str, Fact] = {"target": place.spec, "fstype": place.fstype, "folder": place.folder}
    if not _is_device(place):
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
    if disk.mounted is None:
        return Link("target", YES, f"{text}; not mounted here, so its room is not known", "", facts)
    return _with_room(place, disk.mounted, root, text, facts)


def _with_room(place: Place, mounted: Path, root: Root, text: str, facts: dict[str, Fact]) -> Link:
    try:
        info = os.statvfs(mounted)
        memory = forecast.meminfo(root.read_text("proc/meminfo"))
    except OSError as error:
        return Link("target", YES, f"{text}; its room is not known: {error.strerror}", "", facts)
    kept = -(-info.f_blocks * place.keep_free // 100)
    room = max(0, info.f_bavail - kept) * (info.f_frsize or info.f_bsize)
    wanted = forecast.pages(memory, place.level) // _PACKED
    facts |= {"room_bytes": room, "forecast_bytes": wanted}
    text = f"{text}, room for {room // _MIB} MiB, a dump takes about {wanted // _MIB} MiB"
    if room < wanted:
        hint = f"make room on {mounted}, or use a higher dump-level in /etc/kdump-initrd.toml"
        return Link("target", NO, text, hint, facts)
    return Link("target", YES, text, "", facts)


def last_crash(place: Place, disk: Disk | None, root: Root) -> Link:
    """Tell whether the newest crash at the target was saved; it decides nothing."""
    name = "last crash"
    if disk is None or disk.mounted is None:
        return Link(name, UNKNOWN, "not looked at: the target is not mounted here", decides=False)
    folder = root.folder(_folder(place, disk.mounted, root))
    if folder is None:
        return Link(name, YES, f"none in {place.folder}", decides=False)
    reports = []
    hidden = 0
    for path in _inside(folder, root):
        try:
            report = json.loads(root.read_text(path / REPORT))
            reports.append((str(report["crash_time"]), str(report["result"]), path))
        except PermissionError:
            hidden += 1
        except (OSError, ValueError, KeyError, TypeError):
            continue
    if hidden or not os.access(folder, os.R_OK):
        why = f"only root may look into {place.folder}"
        return Link(name, UNKNOWN, f"not looked at: {why}", decides=False)
    if not reports:
        return Link(name, YES, f"none in {place.folder}", decides=False)
    when, result, path = max(reports)
    facts: dict[str, Fact] = {"crash_time": when, "result": result, "crash": str(path)}
    said = YES if result in _SAVED else NO
    hint = "" if said == YES else f"less {path / REPORT}"
    return Link(name, said, f"{when}: {result}, in {path}", hint, facts, decides=False)


def _inside(folder: Path, root: Root) -> list[Path]:
    with suppress(OSError):
        return root.entries(folder)
    return []


def _folder(place: Place, mounted: Path, root: Root) -> Path:
    """Return the folder for dumps as it is called here."""
    with suppress(KdumpInitrdError):
        here = root.resolve(place.folder)
        if not place.on_device and here is not None and here.is_relative_to(mounted):
            return here
    return mounted / place.folder.lstrip("/")


def _is_device(place: Place) -> bool:
    return is_tag(place.spec) or place.spec.startswith("/dev/")
