# SPDX-License-Identifier: GPL-2.0-or-later
"""Has the image the drivers of what its target hangs on now? A disk may have been moved since."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from ...core.errors import KdumpInitrdError, is_denied
from ...core.root import Root
from ...image.archive.segments import read_manifest
from ...image.manifest import Manifest
from ...probe.host import sysfs
from ...probe.host.disklook import Disk
from ...probe.kernel.modulefile import canonical
from ...targets import refusals
from .dumpplaces import Place
from .finding import ERROR, FINE, NOTE, Finding
from .link import UNKNOWN
from .view import View

_NAME = "drivers"


def check(seen: View) -> Iterator[Finding]:
    """Yield a finding for each target whose device is here."""
    here = [(place, disk) for place in seen.places if (disk := seen.disks[place.spec])]
    if not here or seen.image is None:
        return  # the image's own link says so
    try:
        manifest = read_manifest(seen.image)
    except KdumpInitrdError as error:
        why = "only root may read the image" if is_denied(error) else error.message
        yield Finding(_NAME, UNKNOWN, f"not looked at: {why}")
        return
    if manifest is None:
        yield Finding(_NAME, UNKNOWN, f"{seen.image} does not say what is in it")
        return
    for place, disk in here:
        yield _one(place, disk, manifest, seen)


def _one(place: Place, disk: Disk, manifest: Manifest, seen: View) -> Finding:
    found = seen.hardware[place.spec]
    if found is None:
        return Finding(_NAME, NOTE, f"sysfs does not show what {disk.node} hangs on")
    why = refusals.layers(refusals.DUMP, found)
    if why is not None:
        return Finding(_NAME, ERROR, f"{disk.node} is on {why}", why.hint)
    system = Root(seen.root.path / "sys")
    loaded = [name for name in found.drivers if sysfs.is_loaded(name, sysfs=system)]
    wanted = list(dict.fromkeys(canonical(name) for name in loaded))
    has = _modules(manifest)
    missing = [name for name in wanted if name not in has]
    if missing:
        names = ", ".join(missing)
        text = f"{disk.node} hangs on {names} now, and the image does not have that"
        mend = "mkinitrd-kdump --refresh"
        if place.hardware:
            mend = f'hardware = "host" in /etc/kdump-initrd.toml, and {mend}'
        return Finding(_NAME, ERROR, text, mend, {"missing": names})
    text = ", ".join(wanted) or "built into the kernel"
    return Finding(_NAME, FINE, f"{disk.node} hangs on {text}: the image has all of it")


def _modules(manifest: Manifest) -> set[str]:
    """Return the names of the kernel modules in an image."""
    names = (PurePosixPath(path).name for path in manifest.entries)
    files = {canonical(name.partition(".ko")[0]) for name in names if ".ko" in name}
    return files | {canonical(name) for name in manifest.modules}
