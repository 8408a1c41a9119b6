# SPDX-License-Identifier: GPL-2.0-or-later
"""Would a crash of this machine be saved? Each link of the chain, with an answer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...core.root import Root
from .. import places, record
from . import arming, destination, pastcrashes, readiness, view
from .link import NO, YES, Link, unseen
from .view import View

_NEEDS_ROOT = "only root may read it"
_REFRESH = "mkinitrd-kdump --refresh"


def look(top: Path, distro: str | None) -> list[Link]:
    """Return the links, in the order in which they are mended.

    Raises KdumpInitrdError if there is no such root or profile.
    """
    return list(links(view.take(top, distro)))


def links(seen: View) -> Iterator[Link]:
    """Yield the links of a host."""
    root, machine = seen.root, seen.running
    yield _settings(seen)
    yield _image(seen)
    yield arming.reservation(machine, root, seen.profile, seen.pair)
    yield arming.loaded(machine, root, profile=seen.profile, configured=seen.configured)
    yield _others(root)
    yield from destination.targets(seen)
    yield from pastcrashes.last(seen)


def _settings(seen: View) -> Link:
    if seen.configured.errors:
        first, *more = seen.configured.errors
        text = f"{first}{f' (and {len(more)} more)' if more else ''}"
        return Link("settings", NO, text, "mkinitrd-kdump --check-config")
    files = ", ".join(map(str, seen.configured.files))
    return Link("settings", YES, files or "all have their defaults")


def _image(seen: View) -> Link:
    root, release, made = seen.root, seen.release, seen.made
    if not release:
        return unseen("image", "no kernel runs this system")
    if seen.configured.errors:
        return unseen("image", "the settings are wrong")
    if "capture" not in seen.images:
        return unseen("image", "the settings leave it to a person")
    facts = {"kernel": release}
    if made is None:
        if record.is_hidden(f"capture-{seen.saving}", root=root):
            return unseen("image", _NEEDS_ROOT)
        whose = "running" if seen.saving == release else "configured"
        text = f"there is none for the {whose} kernel {seen.saving}"
        return Link("image", NO, text, _REFRESH, facts)
    each = [made]
    kept = places.kept(seen.images, release, root=root, profile=seen.profile)
    if "first-kernel" in kept:
        records = record.every(root=root).values()
        each += [one for one in records if (one.kind, one.release) == ("first-kernel", release)]
        if len(each) == 1:
            text = f"no initrd of {release} loads {made.output}"
            return Link("image", NO, text, _REFRESH, facts)
    for one in each:
        why = one.outdated(root=root)
        if why:
            return Link("image", NO, f"{one.output}: {why}", _REFRESH, facts)
    text = f"{made.output}, current, for the running kernel {release}"
    return Link("image", YES, text, facts={**facts, "file": made.output})


def _others(root: Root) -> Link:
    found = readiness.others(root)
    if not found:
        return Link("other tools", YES, "none loads a capture kernel, too")
    text = f"{found[0]} also loads a capture kernel, and the one that is loaded last counts"
    return Link("other tools", NO, text, f"systemctl disable --now {found[0]}")
