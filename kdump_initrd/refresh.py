# SPDX-License-Identifier: GPL-2.0-or-later
"""``--refresh`` and ``--remove``: the images of a host, as its kernels come, change and go.

The hooks of package managers and the service call them, often and for no reason, and must not be
stopped by one kernel that nothing can be built for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from . import capture, dumptarget, firstkernel, inputs, record, removal
from .config import effective
from .config.effective import Effective
from .config.settings import (
    CAPTURE,
    COMMON,
    FIRST_KERNEL,
    HOST,
    CaptureSettings,
    CommonSettings,
    FirstKernelSettings,
    HostSettings,
)
from .errors import KdumpInitrdError, UsageError
from .inputs import Opened
from .log import get_logger
from .probe import kernel
from .probe.distro import Distro
from .site import find_root
from .upkeep import Manner, Wanted, keep, say_pending

logger = get_logger(__name__)

#: The modules whose lines tell what came of it.
_TELLING = ("refresh", "upkeep", "removal", "appended", "record")


@dataclass(frozen=True)
class _Host:
    # Looked at once, for all kernels.
    root: Path
    profile: Distro
    distro: str | None
    configured: Effective
    wanted: HostSettings
    manner: Manner


def run(
    root: Path, *, releases: Sequence[str], distro: str | None, force: bool, dry_run: bool
) -> int:
    """Keep the images of ``releases`` current, without any those of the configured kernels.

    Then what is left of kernels that are gone goes, too. Returns 0, or 1 where an image that is
    wanted could not be written: what was there stays, and the others are written. Raises
    KdumpInitrdError where nothing can be built at all.
    """
    _check_names(releases)
    with inputs.watch() as opened:
        root, profile = _find(root, distro)
        configured = effective.read(root, peer=profile.config.peer)
    configured.check()
    wanted = HostSettings(**configured.settings(HOST))
    manner = Manner(root, force, dry_run, opened)
    host = _Host(root, profile, distro, configured, wanted, manner)
    with nullcontext() if dry_run else record.alone(root=root), _results_only():
        if not dry_run:
            removal.sweep(root=root, profile=profile)
        status = _refresh(host, releases)
        return max(status, 0 if releases else _drop_gone(host))


def remove(root: Path, *, releases: Sequence[str], distro: str | None) -> int:
    """Remove what was built for ``releases``, without any all that is ours; return 0 or 1.

    The distribution's initrds get their own bytes back. What is not ours is not touched.
    """
    _check_names(releases)
    root, profile = _find(root, distro)
    status = 0
    with record.alone(root=root):
        removal.sweep(root=root, profile=profile)
        for release in releases or removal.known_releases(root=root, profile=profile):
            try:
                removal.drop(release, root=root, profile=profile)
            except (KdumpInitrdError, OSError) as error:
                status = _complain(release, error)
    return status


def _check_names(releases: Sequence[str]) -> None:
    for release in releases:
        if "/" in release or not release.strip("."):
            raise UsageError(f"{release}: no kernel release", hint="uname -r prints one")


def _find(root: Path, distro: str | None) -> tuple[Path, Distro]:
    # What is written lies in the root: that is what was asked for.
    return find_root(CommonSettings(root=str(root), distro=distro), target=str(root))


@contextmanager
def _results_only() -> Iterator[None]:
    """Leave out the steps of the recipes: of a refresh only what it came to is of interest."""
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


def _refresh(host: _Host, releases: Sequence[str]) -> int:
    kernels = _kernels(host, releases)
    if not kernels or not host.wanted.images:
        return 0
    target = _capture_settings(host)
    status, written = 0, False
    for release in kernels:
        try:
            written |= _refresh_kernel(host, release, target)
        except (KdumpInitrdError, OSError) as error:
            status = _complain(release, error)
    for warning in host.configured.warnings if written else ():
        logger.warning("%s", warning)
    return status


def _complain(release: str, error: KdumpInitrdError | OSError) -> int:
    hint = error.hint if isinstance(error, KdumpInitrdError) else None
    message = error.message if isinstance(error, KdumpInitrdError) else str(error)
    message = message.removeprefix(f"{release}: ")
    logger.error("%s: %s%s", release, message, f" ({hint})" if hint else "")
    return 1


def _kernels(host: _Host, releases: Sequence[str]) -> list[str]:
    """Return the kernels to look after."""
    there = [each for each in _installed(host) if _has_image(host, each)]
    named = host.wanted.kernels
    choices = {"all": there, "newest": there[-1:], "running": [os.uname().release]}
    configured = choices.get(named[0], [*named])
    if not releases:
        return configured
    # A hook names any kernel that comes; who says --force means it.
    others = [] if named == ("all",) or host.manner.force else [*releases]
    for release in [each for each in others if each not in configured]:
        logger.info("%s: left out: kernels = %s", release, ", ".join(named))
    return [each for each in releases if each in configured or each not in others]


def _installed(host: _Host) -> list[str]:
    return kernel.releases(root=host.root, layout=host.profile.kernel)


def _has_image(host: _Host, release: str) -> bool:
    images = host.profile.kernel.image
    return kernel.first(images, root=host.root, release=release) is not None


def _capture_settings(host: _Host) -> CaptureSettings:
    """Return the settings of all capture initrds, with the place that dumps go to."""
    configured = host.configured.settings((*CAPTURE, *COMMON))
    settings = CaptureSettings(**{**configured, "root": str(host.root), "distro": host.distro})
    if "capture" not in host.wanted.images:
        return settings
    return dumptarget.resolve(settings, root=host.root, profile=host.profile)


def _refresh_kernel(host: _Host, release: str, target: CaptureSettings) -> bool:
    """Keep the images of one kernel current; tell whether one had to be written."""
    if not _has_image(host, release):
        raise KdumpInitrdError(
            f"{release}: no such kernel in {host.root}",
            hint=f"present: {', '.join(_installed(host)) or 'none'}",
        )
    if not _can_capture(host, release):
        return False
    written = False
    first = _capture_image(host, release, target)
    if "capture" in host.wanted.images:
        written = keep(first, host.manner)
    if "first-kernel" not in host.wanted.images:
        return written
    for each in _first_images(host, release, first.out):
        if written and host.manner.dry_run:
            # The plan would have to read what is not there yet.
            say_pending(each, "the capture initrd in it would be")
        else:
            written |= keep(each, host.manner)
    return written


def _can_capture(host: _Host, release: str) -> bool:
    found = kernel.find(release, root=host.root, layout=host.profile.kernel)
    if not found.config:
        return True  # nobody can tell; who plans it says so
    try:
        kernel.check_capture_options(found)
    except KdumpInitrdError as error:
        logger.info("%s: left out", error.message)
        return False
    return True


def _capture_image(host: _Host, release: str, target: CaptureSettings) -> Wanted:
    out = host.root / host.profile.kernel.capture_image.format(release=release)
    settings = replace(target, release=release, output=str(out))
    plan = partial(capture.plan, settings)
    # modprobe finds its indexes itself.
    modules = kernel.first(host.profile.kernel.modules, root=host.root, release=release)
    indexes = map(str, modules.glob("modules.*")) if modules else ()
    name = f"capture-{release}"
    return Wanted("capture", release, name, out, settings, plan, read=Opened({*indexes}))


def _first_images(host: _Host, release: str, captures: Path) -> Iterator[Wanted]:
    """Yield the initrds that the kernel boots with: the distribution's, or a whole one of ours."""
    said = host.configured.settings(FIRST_KERNEL)
    settings = FirstKernelSettings(
        **{**host.configured.settings(COMMON), **said, "root": str(host.root)}
    )
    settings = replace(
        settings,
        fstype=None,  # what is configured is that of the place for dumps
        distro=host.distro,
        release=release,
        capture_initrd=str(captures),
        capture_kernel=release,
    )
    name = f"first-kernel-{release}"
    if settings.standalone:
        out = host.root / "boot" / host.profile.kernel.first_image.format(release=release)
        yield _first_image(name, out, replace(settings, output=str(out)))
        return
    # A segment takes after its base: nothing of these has a meaning there.
    plain = FirstKernelSettings()
    taken = ("hardware", "add_modules", "omit_modules", "compress", "root_device")
    settings = replace(settings, **{each: getattr(plain, each) for each in taken})
    bases = removal.initrds(release, root=host.root, profile=host.profile)
    if not bases:
        logger.info("%s: no initrd of it is there: it is not armed at boot", release)
    for number, base in enumerate(bases, 1):
        mine = name if number == 1 else f"{name}@{number}"
        yield _first_image(mine, base, replace(settings, base=str(base), in_place=True))


def _first_image(name: str, out: Path, settings: FirstKernelSettings) -> Wanted:
    release = settings.release or ""
    plan = partial(firstkernel.plan, settings)
    return Wanted("first-kernel", release, name, out, settings, plan, settings.in_place)


def _drop_gone(host: _Host) -> int:
    """Remove what is left of kernels whose image is gone; return 0 or 1."""
    status = 0
    records = record.every(root=host.root).values()
    for release in sorted({each.release for each in records}):
        if _has_image(host, release):
            continue
        if host.manner.dry_run:
            logger.info("%s: is gone: its images would be removed", release)
            continue
        try:
            removal.drop(release, root=host.root, profile=host.profile)
        except (KdumpInitrdError, OSError) as error:
            status = _complain(release, error)
    return status
