# SPDX-License-Identifier: GPL-2.0-or-later
"""Where dumps go: the settings, completed from this host, and the resulting targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ..config.settings import CaptureSettings
from ..config.targetsettings import TargetSettings
from ..core.errors import KdumpInitrdError
from ..core.resources import search_path
from ..core.root import Root
from ..image import hooks
from ..image.hooks import Hook
from ..probe.distro.profiles import Distro
from ..probe.host.hostfacts import HostFacts
from ..targets import kinds
from ..targets.rootfs import ROOT
from ..targets.target import Needs, Target
from .parts import hookprograms

#: The hooks for failure-action shell, and for the repair of a target.
_SHELL, _REPAIR = "final/10-shell", "mount/60-repair"
#: The stages that handle the dump, wherever it goes.
_SAVING = ("pre-save", "save", "post-save", "success", "emergency")


def resolve(settings: CaptureSettings, *, root: Root, profile: Distro) -> CaptureSettings:
    """Return ``settings`` with what their targets leave open: a device, its file system.

    The root file system comes last. Raises KdumpInitrdError if this cannot be found out, or cannot
    be saved to.
    """
    check(settings.targets)
    host, folder = HostFacts(root.asked), profile.dump.path
    found = []
    for each in sorted(settings.targets, key=lambda each: each.to == ROOT):
        with _placed(each):
            settled = kinds.kind_of(each.to).settle(each, folder=folder, root=root, host=host)
        # An image does not depend on where in a file its target is said.
        found.append(replace(settled, origin="", key=""))
    check(found)
    return replace(settings, targets=tuple(found))


def check(targets: Sequence[TargetSettings]) -> None:
    """Refuse targets of unknown kinds, and one that is named twice; raises KdumpInitrdError.

    A place that has refused a dump would refuse it again.
    """
    seen = set()
    for each in targets:
        with _placed(each):
            kinds.kind_of(each.to)
            if (each.to, each.path) in seen:
                raise KdumpInitrdError(
                    f"{each.to or each.path or 'the default'}: this dump target is named twice",
                    hint="name it once, where it is to be tried",
                )
        seen.add((each.to, each.path))


@contextmanager
def _placed(target: TargetSettings) -> Iterator[None]:
    """Put the place in a file, and a peer's key, in front of errors about a target."""
    try:
        yield
    except KdumpInitrdError as error:
        where = [each for each in (target.origin, target.key) if each]
        raise KdumpInitrdError(": ".join([*where, error.message]), hint=error.hint) from error


def find(
    settings: CaptureSettings, *, root: Root, profile: Distro
) -> tuple[tuple[Target, ...], tuple[Needs, ...]]:
    """Return the targets of resolved ``settings``, and what an image must have for each.

    Raises KdumpInitrdError for a target that cannot be used.
    """
    host, folder = HostFacts(root.asked), profile.dump.path
    targets = tuple(
        kinds.kind_of(each.to).find(each, folder=folder, root=root, host=host)
        for each in settings.targets
    )
    return targets, tuple(each.needs(root, host) for each in targets)


def scripts(
    targets: Sequence[Target], settings: CaptureSettings, *, root: Root
) -> tuple[Hook, ...]:
    """Return the hooks of an image: not the steps of kinds of targets that it does not have.

    Those of a shell and of a repair are only there if that is set.
    Raises KdumpInitrdError for a step that does not exist.
    """
    found = hooks.discover(search_path("hooks", root=root), root=root)
    steps = {step.path for each in targets for step in each.steps()}
    others = {step.path for kind in kinds.KINDS for step in kind.steps()} - steps
    missing = steps - {hook.path for hook in found}
    if missing:
        raise KdumpInitrdError(f"hooks/{min(missing)}: a target needs it, and it is not there")
    if settings.failure_action != "shell":
        others.add(_SHELL)
    if not settings.fsck:
        others.add(_REPAIR)
    added = hookprograms.configured(settings, root=root)
    chosen = (hook for hook in (*found, *added) if hook.path not in others)
    return tuple(sorted(chosen, key=lambda hook: (hooks.STAGES.index(hook.stage), hook.name)))


def tried(targets: Sequence[Target], scripts: Sequence[Hook]) -> Iterator[list[Hook]]:
    """Yield the hooks that /init runs for each target, except for those of the last stage.

    A hook that does not belong to a target runs once, with the first target, unless it is about
    saving.
    """
    steps = [{step.path for step in each.steps()} for each in targets]
    others = {path for own in steps for path in own}
    for number, own in enumerate(steps):
        yield [
            hook
            for hook in scripts
            if hook.path in own
            or hook.path == _REPAIR
            or (hook.path not in others and (number == 0 or hook.stage in _SAVING))
            if hook.stage not in hooks.LAST
        ]
