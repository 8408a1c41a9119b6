# SPDX-License-Identifier: GPL-2.0-or-later
"""``--refresh`` and ``--remove``: the images of a host, when its kernels come, change and go.

The package managers' hooks and the service call them often, mostly for nothing. A kernel for which
nothing can be built must not keep the others from getting their images.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ..config import effective, hints, ownership
from ..config.settings import HOST, CaptureSettings, HostSettings
from ..core import exits
from ..core.errors import KdumpInitrdError, UsageError, is_denied
from ..core.log import get_logger
from ..core.root import Root
from ..probe.distro.profiles import Distro
from ..probe.host import unmounted
from ..probe.kernel import kernelname
from ..probe.kernel import releases as kernel
from ..recipes.found import find_host
from . import places, record, removal, unifiedkernel
from .hostimages import Host, capture_image, capturing, first_images, resolved
from .keep import Manner, keep, say_pending
from .ready import readiness
from .ready.link import NO
from .reserving import nextboot, putting

logger = get_logger(__name__)

#: The modules whose log lines tell the result.
_TELLING = ("renewal", "keep", "removal", "appended", "record", "unifiedkernel")


def run(
    top: Path, *, releases: Sequence[str], distro: str | None, force: bool, dry_run: bool
) -> int:
    """Keep the images of ``releases`` current; without any, those of the configured kernels.

    Then what is left of removed kernels is removed, too. Returns the exit status: ERROR if an image
    could not be written (the previous one stays, and the other images are written); with
    ``dry_run``, NO if something would be written or removed. Raises KdumpInitrdError if nothing can
    be built at all.
    """
    root, profile = find_host(top, distro)
    releases = _releases(releases, root, profile)
    configured = effective.read(root, peer=profile.config.peer)
    configured.check()
    for warning in ownership.warnings(root):
        logger.warning("%s", warning)
    _check_mounted(root, profile, force=force)
    wanted = HostSettings(**configured.settings(HOST))
    # From here on, questions belong to one image or to none.
    root, asked = Root(root.path), root.asked
    manner = Manner(root, force, dry_run, asked)
    host = Host(root, profile, distro, configured, wanted, manner)
    with nullcontext() if dry_run else record.alone(root=root), _results_only():
        if not dry_run:
            removal.sweep(root=root, profile=profile)
        try:
            found = {_refresh(host, releases), exits.DONE if releases else _drop_gone(host)}
        except KdumpInitrdError as error:
            error.hint = hints.configured(error.hint)
            raise
        return next(status for status in (exits.ERROR, exits.NO, exits.DONE) if status in found)


def remove(top: Path, *, releases: Sequence[str], distro: str | None) -> int:
    """Remove what was built for ``releases``, or everything of ours; return the exit status.

    The distribution's initrds get their original bytes back. Nothing else is touched.
    """
    root, profile = find_host(top, distro)
    releases = _releases(releases, root, profile)
    _check_mounted(root, profile, force=False)
    status = exits.DONE
    with record.alone(root=root):
        removal.sweep(root=root, profile=profile)
        for release in releases or removal.known_releases(root=root, profile=profile):
            try:
                removal.drop(release, root=root, profile=profile)
            except (KdumpInitrdError, OSError) as error:
                status = _complain(release, error)
        removal.say_left(releases, root=root, profile=profile)
    return status


def _check_mounted(root: Root, profile: Distro, *, force: bool) -> None:
    """Refuse to work on an empty folder if /boot, with kernels and images, is not mounted."""
    if not root.is_host:
        return
    try:
        unmounted.check(root.path / profile.kernel.capture_image)
    except KdumpInitrdError as error:
        if not force:
            raise
        logger.warning("%s", error.message)


def _releases(words: Sequence[str], root: Root, profile: Distro) -> list[str]:
    """Return the releases that are named; a kernel's image may stand for one."""
    layout = profile.kernel
    found = [kernelname.understood(word, root=root, layout=layout) for word in words]
    for release in found:
        if "/" in release or not release.strip("."):
            raise UsageError(f"{release}: not a kernel release", hint="uname -r prints one")
    return found


@contextmanager
def _results_only() -> Iterator[None]:
    """Leave out the recipes' steps: of a refresh only the results are of interest."""
    above = logging.getLogger(logger.name.partition(".")[0])
    level = above.level
    loggers = [logging.getLogger(f"{above.name}.{name}") for name in _TELLING]
    if level == logging.INFO:
        above.setLevel(logging.WARNING)
        for each in loggers:
            each.setLevel(level)
    try:
        yield
    finally:
        above.setLevel(level)
        for each in loggers:
            each.setLevel(logging.NOTSET)


def _refresh(host: Host, releases: Sequence[str]) -> int:
    kernels = _kernels(host, releases)
    if not kernels and not releases:
        logger.warning("%s: no kernel is installed there: no crash is saved", host.root)
    if not kernels or not host.wanted.images:
        return exits.DONE
    target = resolved(host)
    failed, written = exits.DONE, False
    for release in kernels:
        try:
            written |= _refresh_kernel(host, release, target)
        except (KdumpInitrdError, OSError) as error:
            failed = _complain(release, error)
    for warning in host.configured.warnings if written else ():
        logger.warning("%s", warning)
    if not failed and not host.manner.dry_run and host.wanted.automatic:
        _reserve(host)
    if not failed and not host.manner.dry_run and "first-kernel" in host.wanted.images:
        _say_readiness(host, target)
    return failed or _answer(host, written)


def _reserve(host: Host) -> None:
    """Let the next boot reserve enough; where it cannot be set, the images count all the same."""
    try:
        state = nextboot.look(host.root.path, host.distro)
        if nextboot.check(state).answer == NO:
            done = putting.put(state, None, force=False)
            logger.info("%s%s", done.text, "".join(f"; now run: {each}" for each in done.commands))
    except KdumpInitrdError as error:
        hint = f" ({error.hint})" if error.hint else ""
        logger.warning("crashkernel= is not set: %s%s", error.message, hint)


def _say_readiness(host: Host, target: CaptureSettings) -> None:
    dumps = target.targets[0].path or host.profile.dump.path
    for warning in readiness.say(host.root, host.profile, dumps=dumps):
        logger.warning("%s", warning)


def _answer(host: Host, written: bool) -> int:
    # A dry run asks whether everything is as it should be.
    return exits.NO if host.manner.dry_run and written else exits.DONE


def _complain(release: str, error: KdumpInitrdError | OSError) -> int:
    if is_denied(error):
        raise error
    hint = hints.configured(error.hint) if isinstance(error, KdumpInitrdError) else None
    message = error.message if isinstance(error, KdumpInitrdError) else str(error)
    message = message.removeprefix(f"{release}: ")
    logger.error("%s: %s%s", release, message, f" ({hint})" if hint else "")
    return exits.ERROR


def _kernels(host: Host, releases: Sequence[str]) -> list[str]:
    """Return the kernels whose images are kept."""
    there = [each for each in _installed(host) if _has_image(host, each)]
    named = host.wanted.kernels
    choices = {"all": there, "newest": there[-1:], "running": [os.uname().release]}
    configured = choices.get(named[0], [*named])
    if not releases:
        return configured
    # A hook names every new kernel; but with --force the kernel was chosen on purpose.
    others = [] if named == ("all",) or host.manner.force else [*releases]
    for release in [each for each in others if each not in configured]:
        logger.info("%s: left out: kernels = %s", release, ", ".join(named))
    return [each for each in releases if each in configured or each not in others]


def _installed(host: Host) -> list[str]:
    return kernel.releases(root=host.root, layout=host.profile.kernel)


def _has_image(host: Host, release: str) -> bool:
    return unifiedkernel.is_installed(release, root=host.root, profile=host.profile)


def _refresh_kernel(host: Host, release: str, target: CaptureSettings) -> bool:
    """Keep one kernel's images current; return whether one had to be written."""
    saving = capturing(host, release)
    for each in (release, saving):
        if not _has_image(host, each):
            raise KdumpInitrdError(
                f"{each}: no such kernel in {host.root}",
                hint=f"present: {', '.join(_installed(host)) or 'none'}",
            )
    if not _can_capture(host, saving):
        return False
    root, profile, dry_run = host.root, host.profile, host.manner.dry_run
    written = unifiedkernel.take_out(saving, root=root, profile=profile, dry_run=dry_run)
    first = capture_image(host, saving, target)
    images = places.kept(host.wanted.images, release, root=root, profile=profile)
    if "capture" in images:
        written |= keep(first, host.manner)
    if "first-kernel" not in images:
        return written
    for image in first_images(host, release, first.out):
        if written and host.manner.dry_run:
            # The plan would have to read an image that does not exist yet.
            say_pending(image, "the capture initrd in it would be")
        else:
            written |= keep(image, host.manner)
    return written


def _can_capture(host: Host, release: str) -> bool:
    found = kernel.find(release, root=host.root, layout=host.profile.kernel)
    if not found.config:
        return True  # unknown; the plan reports why
    try:
        kernel.check_capture_options(found)
    except KdumpInitrdError as error:
        logger.info("%s: left out", error.message)
        return False
    return True


def _drop_gone(host: Host) -> int:
    """Remove what is left of kernels whose image is gone; return the exit status."""
    status = exits.DONE
    records = record.every(root=host.root).values()
    for release in sorted({each.release for each in records}):
        if _has_image(host, release):
            continue
        if host.manner.dry_run:
            logger.info("%s: is gone: its images would be removed", release)
            status = exits.NO
            continue
        try:
            removal.drop(release, root=host.root, profile=host.profile)
        except (KdumpInitrdError, OSError) as error:
            status = _complain(release, error)
    return status
