# SPDX-License-Identifier: GPL-2.0-or-later
"""What the running kernel has: memory for a capture kernel, and one that is loaded into it."""

from __future__ import annotations

import re
from pathlib import Path

from ...core.errors import KdumpInitrdError, is_denied
from ...core.root import Root
from ...probe.kernel.releases import KernelRelease
from . import readiness
from .link import NO, UNKNOWN, YES, Fact, Link, unseen
from .readiness import Running

#: What the first kernel's hook says when it has loaded the capture kernel, and of a dump that will
#: not be whole.
_ARMED = re.compile(r";(kdump-initrd): (?:armed|loaded) in ")
_LACKING = re.compile(r";kdump-initrd: loaded in \d+ ms, but (.*)")
_ELSEWHERE = "this system does not run"


def reservation(
    machine: Running | None, root: Root, pair: tuple[Path, KernelRelease] | None
) -> Link:
    """Tell whether memory is reserved, and enough of it for the image and kernel of ``pair``."""
    if machine is None:
        return unseen("reservation", _ELSEWHERE)
    if not machine.reserved:
        if machine.loaded:  # on some machines the firmware keeps the memory
            return Link("reservation", YES, "the kernel does not tell its size")
        lack = readiness.lack(machine, root, [pair] if pair else [])
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
        hint = f"put crashkernel={usual}M on the kernel's command line, and restart"
        return Link("reservation", NO, text, hint, facts)
    if has < usual:
        text += f", just enough: {usual} MiB are advised"
        return Link("reservation", YES, text, "kdump-initrd reserve --set, and restart", facts)
    return Link("reservation", YES, f"{text}, enough for the image", "", facts)


def loaded(machine: Running | None, root: Root) -> Link:
    """Tell whether a capture kernel is loaded, and by whom as far as the kernel log tells."""
    if machine is None:
        return unseen("loaded", _ELSEWHERE)
    if machine.loaded:
        by = readiness.in_log(_ARMED, root)
        text = f"by {by}, when this system started" if by else "the kernel log does not say by whom"
        but = readiness.in_log(_LACKING, root)
        text += f", but {but}" if but else ""
        return Link("loaded", YES, text, facts={"by": by or "unknown"})
    if not machine.reserved:
        return unseen("loaded", "nothing is reserved for it")
    lack = readiness.lack(machine, root, [])
    return Link("loaded", NO, lack.what, lack.how)
