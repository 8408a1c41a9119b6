# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that could lose a dump: the links of the chain, and what takes longer to look at."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from ...config import ownership
from ...core.root import Root
from ...probe.host.disklook import Disk
from ..reserving import nextboot
from . import (
    chain,
    driverchain,
    kernelsettings,
    pastcrashes,
    readiness,
    thinpools,
    unlockable,
    view,
    writing,
)
from .dumpplaces import Place, folder_here
from .finding import ERROR, FINE, NOTE, WARNING, Finding, of_link
from .link import NO, UNKNOWN, YES
from .view import View

_UNITS = ("usr/lib/systemd/system", "lib/systemd/system")
#: dracut's early kdump loads from the initrd, before ours is reached by a service.
_EARLY = "rd.earlykdump"
_TEST = "crash this machine immediately: echo c >/proc/sysrq-trigger"


def examine(top: Path, distro: str | None) -> list[Finding]:
    """Return what is found on a host; a file is written to each target that is mounted, and goes.

    Raises KdumpInitrdError if there is no such root or profile.
    """
    seen = view.take(top, distro)
    links = list(chain.links(seen))
    found = list(map(of_link, links))
    found += driverchain.check(seen)
    found += unlockable.check(seen)
    found += thinpools.check(seen)
    lost = any(each.name.startswith("target") and each.severity == ERROR for each in found)
    # What is wrong with a target, its link says first.
    found += (each for each in _written(seen) if not (lost and each.severity == ERROR))
    found += _peers(seen)
    found += _next_boot(seen)
    causes = list(kernelsettings.check(seen))
    if any(each.severity == ERROR for each in causes):
        # They are why nothing is loaded.
        found = [each for each in found if (each.name, each.severity) != ("loaded", ERROR)]
    found += causes
    found += (Finding("rights", WARNING, *_parted(text)) for text in ownership.warnings(seen.root))
    tests = (link for link in links if link.name == pastcrashes.TEST)
    if any(link.facts.get("result") is None and link.answer != UNKNOWN for link in tests):
        found.append(Finding("test", NOTE, "no crash test of this machine is known", _TEST))
    return found


def _parted(text: str) -> tuple[str, str]:
    """Return a warning about rights and the commands that mend it."""
    what, _, mend = text.rpartition(": ")
    return what, mend


def _written(seen: View) -> Iterator[Finding]:
    """Yield whether each target can be written to."""
    for place in seen.places:
        disk = seen.disks[place.spec]
        if disk is None:
            continue  # the target's link says so
        if disk.mounted is None:
            text = f"{place.spec} is not mounted here, so it was not tried: check mounts nothing"
            yield Finding("write", NOTE, text, f"mount {disk.node} /mnt; kdump-initrd check")
        else:
            yield from _tried(place, disk, disk.mounted, seen.root)


def _tried(place: Place, disk: Disk, mounted: Path, root: Root) -> Iterator[Finding]:
    wanted = folder_here(place, mounted, root)
    folder = writing.nearest(wanted, mounted, root)
    there = root.there(wanted)
    if there is not None and not there.is_dir():
        text = f"{wanted} is not a directory: the dump goes to the top of {mounted}"
        yield Finding("folder", WARNING, text, f"rm {wanted}")
    try:
        writing.attempt(folder)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            yield Finding("write", NOTE, f"only root can write to {folder}: not tried")
            return
        text = f"{folder} cannot be written to: {error.strerror}"
        if error.errno == errno.EROFS:
            mend = f"mount -o remount,rw {mounted}; dmesg | grep {disk.node.name}"
            yield Finding("write", ERROR, text, mend)
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            yield Finding("write", ERROR, text, f"df {mounted}; remove old dumps")
        else:
            yield Finding("write", ERROR, text, f"dmesg | grep {disk.node.name}")
        return
    yield Finding("write", FINE, f"a file was written to {folder}, and removed")


def _next_boot(seen: View) -> Iterator[Finding]:
    """Yield whether a machine that has memory reserved keeps it when it starts again."""
    if seen.running is None or not seen.running.reserved:
        return  # the reservation's link says what to do
    state = nextboot.state_of(seen.root, seen.profile, seen.configured, seen.running)
    found = nextboot.check(state)
    severity = {YES: FINE, NO: WARNING, UNKNOWN: NOTE}[found.answer]
    yield Finding("next boot", severity, found.text, found.hint)


def _peers(seen: View) -> Iterator[Finding]:
    """Yield what of other tools is installed, and would load a kernel if it were enabled."""
    root, machine = seen.root, seen.running
    enabled = readiness.others(root)
    for unit in readiness.OTHERS:
        if unit in enabled or readiness.is_masked(unit, root):
            continue
        if root.first_file(f"{each}/{unit}" for each in _UNITS):
            text = f"{unit} is installed, and would load another capture kernel if enabled"
            yield Finding("other tools", NOTE, text, f"systemctl mask {unit}")
    if machine and _EARLY in machine.cmdline.decode(errors="replace").split():
        text = f"{_EARLY} is on the kernel's command line: dracut loads another kernel early"
        mend = f"grubby --update-kernel=ALL --remove-args={_EARLY}, and restart"
        yield Finding("other tools", WARNING, text, mend)
