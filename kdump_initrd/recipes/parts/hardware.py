# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel modules an image needs: for the hardware, the file system, and the user."""

from __future__ import annotations

from collections.abc import Iterable

from ...config.settings import CommonSettings
from ...core.errors import KdumpInitrdError, UsageError
from ...core.log import get_logger
from ...probe.distro.profiles import Distro
from ...probe.host.hostfacts import HostFacts
from ...probe.kernel.kmod import Wish
from ...targets.refusals import Purpose
from ...targets.target import Needs

logger = get_logger(__name__)


def drivers(
    settings: CommonSettings, purpose: Purpose, needs: Needs, *, profile: Distro, host: HostFacts
) -> list[Wish]:
    """Return wishes for the device's drivers: those of this host, or a wish for each set.

    Raises KdumpInitrdError for an unknown device, UsageError for an unknown set.
    """
    if needs.drivers:
        return [Wish(needs.drivers, f"reaches {needs.name}", strict=True)]
    chosen = _chosen(settings, needs)
    if chosen == ("host",):
        return _host_drivers(purpose, needs, host)
    if needs.node and needs.hardware is None:
        logger.warning(
            "%s: sysfs does not know it: check that it is a plain disk or a partition of one",
            needs.node,
        )
    wishes = []
    # A user who names a set has such hardware; the generic sets are for all machines.
    named = chosen != ("generic",)
    for name in chosen if named else tuple(profile.hardware):
        if name not in profile.hardware:
            raise UsageError(
                f"--hardware {name}: unknown set",
                hint=f"expected one of host, generic, {', '.join(profile.hardware)}",
            )
        wishes.append(Wish(profile.hardware[name], f"hardware set {name}", strict=named))
    return wishes


def others(purpose: Purpose, needs: Needs, *, profile: Distro) -> list[Wish]:
    """Return wishes for the file system, and for what else is always loaded."""
    wishes = [Wish(names, why, required=True) for why, names in needs.modules.items()]
    if not needs.filesystem:
        return wishes
    why = f"{purpose.name} file system {needs.filesystem}"
    return [
        Wish((f"fs-{needs.filesystem}",), why, required=True),
        Wish(profile.filesystems.get(needs.filesystem, ()), why),
        *wishes,
    ]


def added(settings: CommonSettings) -> list[Wish]:
    """Return the user's wishes."""
    return [Wish((m,), f"--add-module {m}", required=True) for m in settings.add_modules]


def for_this_host(settings: CommonSettings, needs: Needs) -> bool:
    """Tell whether the image is for this host only."""
    return _chosen(settings, needs) == ("host",)


def ticking_watchdogs(
    settings: CommonSettings, needs: Iterable[Needs], *, host: HostFacts
) -> tuple[str, ...]:
    """Return the drivers of this host's running watchdogs, if the image is for this host."""
    is_here = all(for_this_host(settings, each) for each in needs)
    return host.watchdogs() if is_here else ()


def _chosen(settings: CommonSettings, needs: Needs) -> tuple[str, ...]:
    return settings.hardware or (("host",) if needs.node else ("generic",))


def _host_drivers(purpose: Purpose, needs: Needs, host: HostFacts) -> list[Wish]:
    """Return wishes for the drivers of what the device sits on here.

    A driver that is a module of the running kernel must be in the image, or built into its kernel.
    Other names need not be those of modules, and not every device on the way has a driver.
    """
    hint = "use --hardware generic, or name the sets that the machine has"
    if needs.node is None:
        raise KdumpInitrdError(
            f"{needs.name}: not on this host, so its hardware is unknown", hint=hint
        )
    found = needs.hardware
    if found is None:
        raise KdumpInitrdError(f"{needs.node}: sysfs does not show its hardware", hint=hint)
    why = f"hardware of the {purpose.name} device"
    loaded = tuple(name for name in found.drivers if host.has_loaded(name))
    wishes = [Wish(loaded, why, required=True)] if loaded else []
    return [*wishes, Wish((*found.modaliases, *found.drivers), why, strict=True)]
