# SPDX-License-Identifier: GPL-2.0-or-later
"""Would a crash of this machine be saved? Each link of the chain, with an answer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...core.errors import KdumpInitrdError, is_denied
from ...core.root import Root
from ...image.archive.segments import read_manifest
from .. import places, record, unifiedkernel
from . import arming, destination, pastcrashes, readiness, view
from .link import NO, YES, Fact, Link, unseen
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
    facts: dict[str, Fact] = {"kernel": release}
    saving = seen.saving
    if made is None and record.is_hidden(f"capture-{saving}", root=root):
        return unseen("image", _NEEDS_ROOT)
    if not unifiedkernel.is_installed(saving, root=root, profile=seen.profile):
        text = f"the {_whose(seen)} kernel {saving} is not installed, and nothing can load it"
        return Link("image", NO, text, "install it again, or restart with another one", facts)
    if made is None:
        return _unrecorded(seen, facts)
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
            is_other = one is made and seen.image is not None and bool(_unfit(seen.image, saving))
            mend = f"{_REFRESH} --force" if is_other else _REFRESH
            return Link("image", NO, f"{one.output}: {why}", mend, facts)
    text = f"{made.output}, current, for the running kernel {release}"
    return Link("image", YES, text, facts={**facts, "file": made.output})


def _unrecorded(seen: View, facts: dict[str, Fact]) -> Link:
    """Return what an image says itself that no record of --refresh is about."""
    image, saving, is_kept = seen.image, seen.saving, "capture" in seen.images
    mend = _REFRESH if is_kept else f"mkinitrd-kdump -c DEV -f FS {saving}"
    if image is None:
        text = f"there is none for the {_whose(seen)} kernel {saving}"
        return Link("image", NO, text, mend, facts)
    try:
        why = _unfit(image, saving)
    except KdumpInitrdError:
        return unseen("image", _NEEDS_ROOT)
    if why:
        return Link("image", NO, f"{image}: {why}", f"{mend} --force", facts)
    text = f"{image}, for the {_whose(seen)} kernel {saving}; not on record, so it may be outdated"
    return Link("image", YES, text, mend if is_kept else "", {**facts, "file": str(image)})


def _unfit(image: Path, release: str) -> str:
    """Return why a file is no capture image for a kernel, "" if it is one.

    Raises KdumpInitrdError where only root may read it.
    """
    try:
        manifest = read_manifest(image)
    except KdumpInitrdError as error:
        if is_denied(error):
            raise
        return error.message.removeprefix(f"{image}: ")
    if manifest is None or manifest.kind != "capture":
        return "is not a capture initrd of kdump-initrd"
    return "" if manifest.kernel == release else f"is for the kernel {manifest.kernel}"


def _whose(seen: View) -> str:
    return "running" if seen.saving == seen.release else "configured"


def _others(root: Root) -> Link:
    found = readiness.others(root)
    if not found:
        return Link("other tools", YES, "none loads a capture kernel, too")
    text = f"{found[0]} also loads a capture kernel, and the one that is loaded last counts"
    return Link("other tools", NO, text, f"systemctl disable --now {found[0]}")
