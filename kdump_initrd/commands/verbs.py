# SPDX-License-Identifier: GPL-2.0-or-later
"""What the requests of a command line do. Each verb imports what it needs, and only then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..config.settings import CAPTURE, COMMON, FIRST_KERNEL, CommonSettings
from ..core import publish
from ..core.errors import KdumpInitrdError, UsageError
from ..core.log import get_logger
from ..core.publish import ChangedError
from .grammar.requests import (
    Capture,
    CheckConfig,
    FirstKernel,
    ImportConfig,
    ListImage,
    Print,
    PrintCmdline,
    Refresh,
    Remove,
    Request,
    ShowDistro,
    Strip,
)

if TYPE_CHECKING:
    from ..config.effective import Effective
    from ..probe.distro.profiles import Distro

logger = get_logger(__name__)

#: What can be configured of every whole image, whatever it is for.
_WHOLE_IMAGE = ("tools", "hardware", "add_modules", "omit_modules", "compress")


class _Plan(Protocol):
    # What the recipes have in common.
    @property
    def out(self) -> Path: ...
    def lines(self) -> Iterator[str]: ...
    def write(self, *, force: bool) -> int: ...
    def summary(self, stored: int) -> Iterator[str]: ...


@dataclass(frozen=True)
class _Host:
    # What an image is built from: looked at once, whatever many images are asked for.
    root: Path
    profile: Distro
    configured: Effective


def perform(requests: Sequence[Request]) -> int:
    """Do what is asked for and return the exit status; raises KdumpInitrdError.

    Of several images all are planned before one is written.
    """
    builds = [each for each in requests if isinstance(each, (Capture, FirstKernel))]
    if builds:
        _build(builds)
    others = [(_VERBS[type(each)], each) for each in requests if type(each) in _VERBS]
    return max((verb(each) for verb, each in others), default=0)


def _build(builds: Sequence[Capture | FirstKernel]) -> None:
    from ..probe.host import unmounted

    host = _look(builds[0].said)
    for each in builds:
        _check_output(each)
    builds = [_with_release(each, host) for each in builds]
    planned = [publish.twice(partial(_plan, each, host)) for each in builds]
    if len(planned) > 1:
        for plan, settings in planned:
            publish.check(plan.out, force=settings.force or settings.dry_run)
    for plan, settings in planned:
        if host.root == Path("/") and not settings.dry_run and not settings.force:
            unmounted.check(plan.out)
    for request, (plan, settings) in zip(builds, planned):
        if settings.dry_run:
            _print_plan(plan, named=len(planned) > 1)
            continue
        try:
            _write(plan, settings)
        except ChangedError:
            _write(*_plan(request, host))


def _check_output(request: Capture | FirstKernel) -> None:
    """Raise the error that writing would raise in the end: all the work is before that."""
    said = request.said
    if "output" in said and not {"force", "dry_run"} & {*said}:
        publish.check(Path(said["output"]), force=False)


def _with_release(request: Capture | FirstKernel, host: _Host) -> Capture | FirstKernel:
    """Return the request with the release of a kernel that was named by its image."""
    from ..probe.kernel import kernelname

    if "release" not in request.said:
        return request
    word = request.said["release"]
    release = kernelname.understood(word, root=host.root, layout=host.profile.kernel)
    return replace(request, said={**request.said, "release": release})


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

    Raises KdumpInitrdError for an error in the configuration that the words do not mend.
    """
    from ..config import effective, ownership
    from ..recipes.found import find_root

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


def _plan(request: Capture | FirstKernel, host: _Host) -> tuple[_Plan, CommonSettings]:
    return (
        _plan_capture(request, host)
        if isinstance(request, Capture)
        else _plan_first_kernel(request, host)
    )


def _plan_capture(request: Capture, host: _Host) -> tuple[_Plan, CommonSettings]:
    from ..probe.kernel import kernelname
    from ..recipes import capture, dumptarget

    configured = host.configured.settings((*CAPTURE, *COMMON))
    if request.kernel:
        configured["release"] = kernelname.release_of(
            request.kernel, boot=request.boot, root=host.root, layout=host.profile.kernel
        )
    settings = request.settings(configured)
    try:
        target = dumptarget.resolve(settings, root=host.root, profile=host.profile)
    except KdumpInitrdError as error:
        if settings.device:
            raise
        raise UsageError(
            f"no dump device is said, nor configured; {error.message}",
            hint=f"say {request.target}, or device and fstype in /etc/kdump-initrd.toml",
        ) from error
    return capture.plan(target), target


def _plan_first_kernel(request: FirstKernel, host: _Host) -> tuple[_Plan, CommonSettings]:
    from ..recipes.firstkernel import recipe

    said = request.said
    configured = host.configured.settings(FIRST_KERNEL)
    if "base" in said or "in_place" in said:
        configured.pop("standalone", None)
    # A segment takes after its base: of what is configured for images, the tools alone matter.
    whole = {"standalone": False, **configured, **said}["standalone"]
    names = _WHOLE_IMAGE if whole else ("tools",)
    configured |= host.configured.settings([row for row in COMMON if row.name in names])
    settings = request.settings(configured)
    return recipe.plan(settings), settings


def _strip(request: Strip) -> int:
    from ..recipes.firstkernel.appended import strip

    strip(request.image, request.output, force=request.force)
    return 0


def _list(request: ListImage) -> int:
    from ..image.listing import list_image

    for line in list_image(request.image):
        print(line)
    return 0


def _print_cmdline(request: PrintCmdline) -> int:
    from ..core.root import named
    from ..image.archive.segments import read_manifest

    manifest = read_manifest(named(request.image))
    if manifest is None:
        raise KdumpInitrdError(
            f"{request.image}: not an image of kdump-initrd",
            hint="mkinitrd-kdump -c DEV -f FS writes one",
        )
    print(manifest.cmdline)
    return 0


def _show_distro(request: ShowDistro) -> int:
    from . import showdistro

    for line in showdistro.lines(request.root, request.distro):
        print(line)
    return 0


def _check_config(request: CheckConfig) -> int:
    from . import configuration

    lines, status = configuration.check(request.root, request.distro)
    for line in lines:
        print(line)
    return status


def _import_config(request: ImportConfig) -> int:
    from . import configuration

    lines = configuration.import_config(
        request.root, request.distro, request.output, force=request.force
    )
    for line in lines:
        print(line)
    return 0


def _refresh(request: Refresh) -> int:
    from ..upkeep import renewal

    return renewal.run(
        request.root,
        releases=request.releases,
        distro=request.distro,
        force=request.force,
        dry_run=request.dry_run,
    )


def _remove(request: Remove) -> int:
    from ..upkeep import renewal

    return renewal.remove(request.root, releases=request.releases, distro=request.distro)


def _print(request: Print) -> int:
    print(request.text)
    return 0


_VERBS: Mapping[type, Callable[[Any], int]] = {
    Strip: _strip,
    ListImage: _list,
    PrintCmdline: _print_cmdline,
    ShowDistro: _show_distro,
    CheckConfig: _check_config,
    ImportConfig: _import_config,
    Refresh: _refresh,
    Remove: _remove,
    Print: _print,
}
