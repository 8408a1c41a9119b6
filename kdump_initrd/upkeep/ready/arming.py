# SPDX-License-Identifier: GPL-2.0-or-later
"""What the running kernel has: memory for a capture kernel, and one that is loaded into it."""

from __future__ import annotations

from pathlib import Path

from ...config.effective import Effective
from ...core.errors import KdumpInitrdError, is_denied
from ...core.root import Root
from ...probe.distro.profiles import Distro
from ...probe.kernel.releases import KernelRelease
from ..loading import loadedfile, loadwork
from . import readiness
from .link import NO, UNKNOWN, YES, Fact, Link, unseen
from .readiness import Running

#: Who has loaded it, in words.
_BY = {
    loadedfile.HOOK: "by kdump-initrd, when this system started",
    loadedfile.HERE: "by kdump-initrd load",
}
_ELSEWHERE = "this system does not run"


def reservation(
    machine: Running | None,
    root: Root,
    profile: Distro,
    pair: tuple[Path, KernelRelease] | None,
) -> Link:
    """Tell whether memory is reserved, and enough of it for the image and kernel of ``pair``."""
    if machine is None:
        return unseen("reservation", _ELSEWHERE)
    if not machine.reserved:
        if machine.loaded:  # on some machines the firmware keeps the memory
            return Link("reservation", YES, "the kernel does not tell its size")
        lack = readiness.lack(machine, root, profile)
        return Link("reservation", NO, lack.what, lack.how, {"reserved_mib": 0})
    words = " ".join(readiness.words(machine)) or "the kernel's own default"
    size = f"{machine.reserved} MiB"
    size += f" and {machine.cma} MiB of CMA" if machine.cma else ""
    facts: dict[str, Fact] = {
        "reserved_mib": machine.reserved,
        "cma_mib": machine.cma,
        "from": words,
    }
    text = f"{size}, by {words}"
    if pair is None:
        text += "; not compared with an image: none is known"
        return Link("reservation", UNKNOWN, text, "", facts)
    try:
        least, usual = readiness.needed(*pair)
    except KdumpInitrdError as error:
        why = "only root may read the image" if is_denied(error) else error.message
        text += f"; not compared with the image: {why}"
        return Link("reservation", UNKNOWN, text, "", facts)
    facts |= {"least_mib": least, "advised_mib": usual}
    has = machine.reserved + machine.cma
    if has < least:
        text += f": too little, the image needs {least} MiB"
        hint = "kdump-initrd reserve --set, then restart"
        return Link("reservation", NO, text, hint, facts)
    if has < usual:
        text += f", just enough: {usual} MiB are advised"
        return Link("reservation", YES, text, "kdump-initrd reserve --set, and restart", facts)
    return Link("reservation", YES, f"{text}, enough for the image", "", facts)


def loaded(machine: Running | None, root: Root, *, profile: Distro, configured: Effective) -> Link:
    """Tell whether a capture kernel is loaded, by whom, and whether it is the present one."""
    if machine is None:
        return unseen("loaded", _ELSEWHERE)
    if machine.loaded:
        return _what_is_loaded(root, profile, configured)
    if not machine.reserved:
        return unseen("loaded", "nothing is reserved for it")
    lack = readiness.lack(machine, root, profile)
    return Link("loaded", NO, lack.what, lack.how)


def _what_is_loaded(root: Root, profile: Distro, configured: Effective) -> Link:
    facts: dict[str, Fact] = {"by": "unknown"}
    try:
        said = loadedfile.load(root)
    except PermissionError:
        return Link("loaded", UNKNOWN, "only root may read by whom", "", facts)
    if said is None:
        text = "by another tool, or by hand: whether that saves a crash is not known here"
        return Link("loaded", UNKNOWN, text, "kdump-initrd load --force", facts)
    facts = {"by": said.by, "kernel_sha256": said.kernel, "image_sha256": said.image}
    if not said.is_known:
        text = "by kdump-initrd, but what it is, is not known: that was interrupted"
        return Link("loaded", NO, text, "kdump-initrd load", {"by": said.by or "unknown"})
    text = _BY.get(said.by, said.by)
    text += f", but the dump will lack {said.lacks}" if said.lacks else ""
    if configured.errors:
        return Link("loaded", YES, text, "", facts)
    try:
        changed = loadwork.changes(said, root=root, profile=profile, configured=configured)
    except (KdumpInitrdError, OSError) as error:
        why = error.message if isinstance(error, KdumpInitrdError) else error.strerror
        return Link("loaded", YES, f"{text}; not compared with the image: {why}", "", facts)
    if changed:
        text = f"no longer the present one, {text}: changed: {', '.join(changed)}"
        return Link("loaded", NO, text, "kdump-initrd reload", facts)
    return Link("loaded", YES, text, "", facts)
