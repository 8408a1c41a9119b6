# SPDX-License-Identifier: GPL-2.0-or-later
"""Would a crash of this machine be saved? Each link of the chain, with an answer of its own.

Everything is read through the root; of the running host itself, findfs and blkid are asked where
udev's files do not tell. Nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...config import effective
from ...config.effective import Effective
from ...config.settings import HOST, CommonSettings, HostSettings
from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...probe.distro.profiles import Distro
from ...probe.kernel import releases as kernel
from ...probe.kernel.releases import KernelRelease
from ...recipes.found import find_root
from .. import places, record
from ..record import Record
from . import arming, destination, readiness
from .link import NO, YES, Link, unseen

_NEEDS_ROOT = "only root may read it"


def look(top: Path, distro: str | None) -> list[Link]:
    """Return the links, in the order in which they are mended.

    Raises KdumpInitrdError if there is no such root or profile.
    """
    settings = CommonSettings(root=str(top), distro=distro, dry_run=True)
    root, profile = find_root(settings, target=None)
    return list(_links(root, profile))


def _links(root: Root, profile: Distro) -> Iterator[Link]:
    configured = effective.read(root, peer=profile.config.peer)
    machine = readiness.running(root)
    release = readiness.release(root)
    made = record.load(f"capture-{release}", root=root)
    yield _settings(configured)
    yield _image(root, profile, release, made, configured)
    yield arming.reservation(machine, root, _pair(root, profile, made))
    yield arming.loaded(machine, root)
    yield _others(root)
    place = _place(made, profile)
    if place is None:
        why = "what it is, is known of an image that --refresh has written"
        yield unseen("target", why)
        yield replace(unseen("last crash", "the target is not known"), decides=False)
        return
    disk = destination.find(place, root)
    yield destination.target(place, disk, root)
    yield destination.last_crash(place, disk, root)


def _settings(configured: Effective) -> Link:
    if configured.errors:
        first, *more = configured.errors
        text = f"{first}{f' (and {len(more)} more)' if more else ''}"
        return Link("settings", NO, text, "mkinitrd-kdump --check-config")
    files = ", ".join(map(str, configured.files))
    return Link("settings", YES, files or "all have their defaults")


def _image(
    root: Root, profile: Distro, release: str, made: Record | None, configured: Effective
) -> Link:
    if not release:
        return unseen("image", "no kernel runs this system")
    if configured.errors:
        return unseen("image", "the settings are wrong")
    images = HostSettings(**configured.settings(HOST)).images
    if "capture" not in images:
        return unseen("image", "the settings leave it to a person")
    facts = {"kernel": release}
    if made is None:
        if record.is_hidden(f"capture-{release}", root=root):
            return unseen("image", _NEEDS_ROOT)
        text = f"there is none for the running kernel {release}"
        return Link("image", NO, text, "mkinitrd-kdump --refresh", facts)
    each = [made]
    if "first-kernel" in places.kept(images, release, root=root, profile=profile):
        records = record.every(root=root).values()
        each += [one for one in records if (one.kind, one.release) == ("first-kernel", release)]
        if len(each) == 1:
            text = f"no initrd of {release} loads {made.output}"
            return Link("image", NO, text, "mkinitrd-kdump --refresh", facts)
    for one in each:
        why = one.outdated(root=root)
        if why:
            return Link("image", NO, f"{one.output}: {why}", "mkinitrd-kdump --refresh", facts)
    text = f"{made.output}, current, for the running kernel {release}"
    return Link("image", YES, text, facts={**facts, "file": made.output})


def _pair(root: Root, profile: Distro, made: Record | None) -> tuple[Path, KernelRelease] | None:
    """Return the capture initrd and its kernel, None where one of them is not there."""
    if made is None:
        return None
    image = root.file(Path(made.output))
    try:
        found = kernel.find(made.release, root=root, layout=profile.kernel)
    except KdumpInitrdError:
        return None
    return (image, found) if image and found.image else None


def _others(root: Root) -> Link:
    found = readiness.others(root)
    if not found:
        return Link("other tools", YES, "none loads a capture kernel, too")
    text = f"{found[0]} also loads a capture kernel, and the one that is loaded last counts"
    return Link("other tools", NO, text, f"systemctl disable --now {found[0]}")


def _place(made: Record | None, profile: Distro) -> destination.Place | None:
    """Return where the image saves to, as its record has it; None where it does not tell."""

    def value(name: str) -> Any:  # noqa: ANN401 - as varied as the settings
        return json.loads(made.settings[name]) if made else None

    try:
        first = value("targets")[0]
        return destination.Place(
            spec=first["to"],
            fstype=first["fstype"],
            folder=first["path"] or profile.dump.path,
            on_device=first["mount_options"] is not None,
            level=value("dump_level"),
            keep_free=value("keep_free"),
        )
    except (KeyError, IndexError, TypeError, ValueError):
        return None
