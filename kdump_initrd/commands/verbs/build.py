# SPDX-License-Identifier: GPL-2.0-or-later
"""Building images: a capture initrd, or the regular kernel's initrd that loads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Union

from ...config.capturesettings import capture_settings
from ...config.firstsettings import first_settings
from ...config.settings import CaptureSettings, CommonSettings, FirstKernelSettings
from ...core import exits, publish
from ...core.errors import KdumpInitrdError, UsageError
from ...core.log import get_logger
from ..verb import Request

if TYPE_CHECKING:
    from ...config.effective import Effective
    from ...core.root import Root
    from ...probe.distro.profiles import Distro


logger = get_logger(__name__)


class _Plan(Protocol):
    # What the recipes have in common.
    @property
    def out(self) -> Path: ...
    def lines(self) -> Iterator[str]: ...
    def write(self, *, force: bool) -> int: ...
    def summary(self, stored: int) -> Iterator[str]: ...


@dataclass(frozen=True)
class _Host:
    # What images are built from; it is looked at once, however many images are asked for.
    root: Root
    profile: Distro
    configured: Effective


@dataclass(frozen=True)
class Capture:
    """A capture initrd.

    ``said`` are values by the names of CaptureSettings; without ``targets``, the dump goes to the
    configured ones. If ``said`` has no release, ``kernel`` names the capture kernel's image: a path
    if there is a slash in it, otherwise a name in the folder ``boot`` of the root. ``target`` is
    how the grammar that was used names a target.
    """

    said: Mapping[str, Any]
    kernel: str = ""
    boot: str = ""
    target: str = field(default="-c DEV -f FS", compare=False)

    def settings(self, configured: Mapping[str, Any]) -> CaptureSettings:
        """Return the settings: what was said wins over what is configured."""
        return capture_settings(configured, self.said)

    def plan(self, host: _Host) -> tuple[_Plan, CommonSettings]:
        """Look at all that it takes; raises KdumpInitrdError."""
        from ...probe.kernel import kernelname
        from ...recipes import capture, dumptarget

        configured = dict(host.configured.values)
        if self.kernel:
            configured["release"] = kernelname.release_of(
                self.kernel, boot=self.boot, root=host.root, layout=host.profile.kernel
            )
        settings = self.settings(configured)
        try:
            target = dumptarget.resolve(settings, root=host.root, profile=host.profile)
        except KdumpInitrdError as error:
            if any(each.to for each in settings.targets):
                raise
            raise UsageError(
                f"no dump device is given or configured; {error.message}",
                hint=f"give {self.target}, or device and fstype in /etc/kdump-initrd.toml",
            ) from error
        planned = capture.plan(target)
        if planned.site.pools:
            from ...upkeep.ready import thinpools

            thinpools.warn(planned.site.pools, target, root=host.root, profile=host.profile)
        return planned, target


@dataclass(frozen=True)
class FirstKernel:
    """A first kernel's initrd; ``said`` are values by the names of FirstKernelSettings."""

    said: Mapping[str, Any]

    def settings(self, configured: Mapping[str, Any]) -> FirstKernelSettings:
        """Return the settings: what was said wins over what is configured."""
        return first_settings(configured, self.said)

    def plan(self, host: _Host) -> tuple[_Plan, CommonSettings]:
        """Look at all that it takes; raises KdumpInitrdError."""
        from ...recipes.firstkernel import recipe

        settings = self.settings(host.configured.values)
        return recipe.plan(settings), settings


Image = Union[Capture, FirstKernel]


@dataclass(frozen=True)
class Images(Request):
    """Write images of one host: all are planned before one is written."""

    images: tuple[Image, ...]

    def run(self) -> int:
        """See Request."""
        from ...probe.host import unmounted

        host = _look(self.images[0].said)
        for each in self.images:
            _check_output(each)
        images = [_with_release(each, host) for each in self.images]
        planned = [publish.twice(partial(each.plan, host)) for each in images]
        if len(planned) > 1:
            for plan, settings in planned:
                publish.check(plan.out, force=settings.force or settings.dry_run)
        for plan, settings in planned:
            if host.root.is_host and not settings.dry_run and not settings.force:
                unmounted.check(plan.out)
        for image, (plan, settings) in zip(images, planned):
            if settings.dry_run:
                _print_plan(plan, named=len(planned) > 1)
                continue
            try:
                _write(plan, settings)
            except publish.ChangedError:
                _write(*image.plan(host))
        return exits.DONE


def _check_output(image: Image) -> None:
    """Raise now what writing would raise at the end, before all the work."""
    said = image.said
    if "output" in said and not {"force", "dry_run"} & {*said}:
        publish.check(Path(said["output"]), force=False)


def _with_release(image: Image, host: _Host) -> Image:
    """Return an image with the release of a kernel that was named by its image."""
    from ...probe.kernel import kernelname

    if "release" not in image.said:
        return image
    word = image.said["release"]
    release = kernelname.understood(word, root=host.root, layout=host.profile.kernel)
    return replace(image, said={**image.said, "release": release})


def _print_plan(plan: _Plan, *, named: bool) -> None:
    if named:
        print(f"# {plan.out}")
    for line in plan.lines():
        print(line)


def _write(plan: _Plan, settings: CommonSettings) -> None:
    stored = plan.write(force=settings.force)
    for line in plan.summary(stored):
        logger.info("%s", line)


def _look(said: Mapping[str, Any]) -> _Host:
    """Find the root, its distribution and its configuration.

    Raises KdumpInitrdError for an error in the configuration that the command line does not
    override.
    """
    from ...config import effective, ownership
    from ...recipes.found import find_root

    names = ("root", "distro", "output", "dry_run")
    place = CommonSettings(**{name: said[name] for name in names if name in said})
    root, profile = find_root(place, target=place.output or said.get("base"))
    configured = effective.read(root, peer=profile.config.peer)
    for warning in configured.warnings:
        logger.warning("%s", warning)
    for warning in ownership.warnings(root):
        logger.warning("%s", warning)
    configured.check(said)
    return _Host(root, profile, configured)
