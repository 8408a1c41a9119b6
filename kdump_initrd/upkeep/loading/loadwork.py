# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture kernel is loaded, loaded again, or unloaded; what is another tool's is left alone.

The answer is a link of the chain: yes if it is as was asked for, no if this machine as it is does
not allow it. What fails is a KdumpInitrdError.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...config import effective
from ...config.effective import Effective
from ...config.settings import HOST, HostSettings
from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...core.root import Root
from ...probe.distro.architectures import runs_here
from ...probe.distro.profiles import Distro
from ...probe.programs import tools
from ...recipes.firstkernel import objections
from ...recipes.firstkernel.kexeccall import loading_of
from ...recipes.firstkernel.loadedname import LOADED
from ...recipes.firstkernel.objections import Limits
from ...recipes.found import find_host
from ..ready import readiness
from ..ready.link import NO, YES, Link
from ..ready.readiness import Running
from ..reserving import shrinking
from ..unlocking import slotkey
from . import kexecrun, loadedfile, loadplan, lockedmemory, memorysegment
from .kexecrun import KexecProgram, Result
from .loadedfile import Loaded
from .loadplan import LoadPlan
from .memorysegment import CONTRIBUTORS, Contributor

logger = get_logger(__name__)

NAME = "loaded"
_RESERVE = "kdump-initrd reserve --set, then restart"
_THEIRS = "another tool has loaded a capture kernel"
#: Beside the file, while a ramfs is over it.
_MEMORY = "memory"


@dataclass(frozen=True)
class Wish:
    """What is asked for: the capture kernel ``kernel``, or None for the configured one.

    ``again`` loads it even if nothing has changed; ``force`` also what is another tool's, and in
    place of that. ``contributors`` make what goes with the image.
    """

    kernel: str | None = None
    again: bool = False
    force: bool = False
    contributors: Sequence[Contributor] = CONTRIBUTORS


def load(wish: Wish, *, top: Path, distro: str | None) -> Link:
    """Load the capture kernel of the system in ``top``, which must be the running one."""
    root, profile = find_host(top, distro)
    configured = effective.read(root, peer=profile.config.peer)
    configured.check()
    wanted = HostSettings(**configured.settings(HOST)).images
    if not wanted and not wish.kernel and not wish.force:
        text = f"nothing is to be loaded: images is empty in {configured.origins['images']}"
        return Link(NAME, YES, text)
    with loadedfile.alone(root):
        return _load(wish, root, profile, configured)


def unload(*, top: Path, distro: str | None, force: bool) -> Link:
    """Unload the capture kernel that we have loaded; with ``force`` any."""
    root, profile = find_host(top, distro)
    with loadedfile.alone(root):
        if not _running(root).loaded:
            loadedfile.forget(root)
            return Link(NAME, YES, "unloaded: nothing was loaded")
        if loadedfile.load(root) is None and not force:
            return Link(NAME, NO, f"not unloaded: {_THEIRS}", "kdump-initrd unload --force")
        kexecrun.unload(_program(root, profile))
        if readiness.is_loaded(root):
            raise KdumpInitrdError("kexec -p -u: the capture kernel is still loaded")
        loadedfile.forget(root)
        return Link(NAME, YES, "unloaded: a crash of this machine is not saved any more")


def changes(before: Loaded, *, root: Root, profile: Distro, configured: Effective) -> list[str]:
    """Return what is another by now than what was loaded; raises KdumpInitrdError, OSError."""
    found = loadplan.plan(root, profile, configured, kernel=None, force=False)
    with loadplan.opened(found) as files:
        now = loadplan.loaded_of(found, *files, b"")
    # What goes with the image is not made for that; only whether there would be something is known.
    lacks = not before.segment and slotkey.volumes(root)
    return before.differences(replace(now, segment="more" if lacks else before.segment))


def _load(wish: Wish, root: Root, profile: Distro, configured: Effective) -> Link:
    machine = _running(root)
    before = loadedfile.load(root) if machine.loaded else None
    if machine.loaded and before is None and not wish.force:
        text = f"not loaded: {_THEIRS}, which is not replaced"
        return Link(NAME, NO, text, "kdump-initrd load --force")
    found = loadplan.plan(root, profile, configured, kernel=wish.kernel, force=wish.force)
    if not runs_here(found.pair.image.machine):
        raise KdumpInitrdError(f"{found.pair.kernel}: is not for this machine")
    with memorysegment.made(root, wish.contributors) as segment:
        limits = found.pair.limits(more=len(segment))
        refusal = _refusal(machine, limits)
        if refusal is not None:
            return refusal
        if HostSettings(**configured.settings(HOST)).shrink:
            shrinking.give_back(root, machine, limits.wanted)
        with loadplan.opened(found) as files:
            now = loadplan.loaded_of(found, *files, segment)
            same = before is not None and not before.differences(now)
            if before is not None and same and not (wish.again or wish.force):
                return _answer("already loaded", found, before)
            program = _program(root, profile)
            kexec = KexecProgram(
                program, root, loading_of(found.pair.image.machine, root.read(program))
            )
            # Whatever becomes of this process, what it loads is ours.
            Loaded(by=loadedfile.HERE).stamped(root).save(root)
            result = _run(kexec, *files, segment, found.cmdline)
    if not result.call:
        _restore(before, root)
        return _failure(result, kexec, limits, machine)
    _warn(found, limits, machine)
    now = replace(now, lacks=result.lacks).stamped(root)
    now.save(root)
    return _answer("loaded", found, now)


def _running(root: Root) -> Running:
    machine = readiness.running(root)
    if machine is None:
        raise KdumpInitrdError(
            f"{root}: this system does not run",
            hint="run it on the machine itself, not in a chroot",
        )
    return machine


def _program(root: Root, profile: Distro) -> Path:
    program = tools.find("kexec", root, profile.tools)
    if program is None:
        raise KdumpInitrdError(f"{root}: no kexec", hint="install kexec-tools")
    return program


def _refusal(machine: Running, limits: Limits) -> Link | None:
    """Return why it is not even tried, None if it is."""
    if not machine.able:
        return Link(NAME, NO, f"not loaded: {readiness.UNABLE.what}", readiness.UNABLE.how)
    has = machine.reserved + machine.cma
    if not machine.reserved:
        return Link(NAME, NO, f"not loaded: {limits.none()}", _RESERVE)
    if has < limits.floor:
        return Link(NAME, NO, f"not loaded: {limits.too_small(machine.parts)}", _RESERVE)
    return None


def _run(kexec: KexecProgram, kernel: int, image: int, segment: bytes, cmdline: str) -> Result:
    if not segment:
        return kexecrun.load(kexec, kernel, image, cmdline)
    size = os.fstat(image).st_size
    parts = [os.pread(image, size, 0), memorysegment.padding(size), segment]
    try:
        with lockedmemory.sealed(parts) as initrd:
            result = kexecrun.load(kexec, kernel, initrd, cmdline)
    except OSError as error:
        result = Result(why=f"memfd: {error.strerror}")
    if result.call or result.no_dump:
        return result
    logger.debug("not from a memfd: %s", result.why)
    folder = kexec.root.place(LOADED).parent / _MEMORY
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        with lockedmemory.on_ramfs(folder, parts) as initrd:
            return kexecrun.load(kexec, kernel, initrd, cmdline)
    finally:
        folder.rmdir()


def _restore(before: Loaded | None, root: Root) -> None:
    """Let the file tell what is loaded still, since nothing else was."""
    if before is not None and readiness.is_loaded(root):
        before.save(root)
    else:
        loadedfile.forget(root)


def _failure(result: Result, kexec: KexecProgram, limits: Limits, machine: Running) -> Link:
    """Say why nothing was loaded; what was loaded before may be gone, or not."""
    is_gone = machine.loaded and not readiness.is_loaded(kexec.root)
    after = "; what was loaded before is gone, too" if is_gone else ""
    explained = objections.explained(result.why, limits, machine.parts)
    is_full = explained.startswith(limits.too_small(machine.parts))
    if is_full and machine.reserved >= limits.wanted:
        explained = ""  # it is large enough: the kernel lacks other memory
    if result.no_dump and not explained:
        why = objections.no_dump(kexec.loading.old.symbols_option)
        return Link(NAME, NO, f"not loaded: {why}{after}", "boot such a kernel")
    if not explained:
        raise KdumpInitrdError(f"load refused: {result.why}{after}", hint="dmesg may tell more")
    hint = _RESERVE if is_full else "dmesg may tell what is not allowed; use a signed kernel"
    return Link(NAME, NO, f"not loaded: {explained}{after}", hint)


def _warn(found: LoadPlan, limits: Limits, machine: Running) -> None:
    if found.dropped:
        logger.warning(
            "left out, the capture kernel's command line would be too long: %s",
            " ".join(found.dropped),
        )
    has = machine.reserved + machine.cma
    if has < limits.least:
        logger.warning("%s", limits.scarce(has))


def _answer(head: str, found: LoadPlan, said: Loaded) -> Link:
    text = f"{head}: the capture kernel {found.release} with {found.pair.initrd}"
    text += f", but the dump will lack {said.lacks}" if said.lacks else ""
    facts = {
        "kernel": found.release,
        "file": str(found.pair.initrd),
        "by": said.by,
        "kernel_sha256": said.kernel,
        "image_sha256": said.image,
        "cmdline": said.cmdline,
    }
    return Link(NAME, YES, text, facts=facts)
