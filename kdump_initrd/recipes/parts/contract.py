# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract of an image: made from the settings and findings, for the saver and the shell."""

from __future__ import annotations

from collections.abc import Sequence

from ...config.settings import FIELDS, CaptureSettings
from ...config.targetsettings import TargetSettings
from ...core.errors import KdumpInitrdError
from ...saver import imagepaths
from ...saver.params import NameParams, Params, ParamsError, TalkParams, TargetParams
from ...targets.target import Target
from ..found import Site
from . import makedumpfile

#: Seconds for all of it, at least, unless it is said.
_LEAST = 600


def params_of(settings: CaptureSettings, site: Site, *, dump_codec: str) -> Params:
    """Return the contract; raises KdumpInitrdError for names that are not allowed."""
    try:
        return _params(settings, site, dump_codec)
    except ParamsError as error:
        hint = f"mkinitrd-kdump --show-distro {site.profile.id} shows where file names come from"
        raise KdumpInitrdError(str(error), hint=hint) from error


def _params(settings: CaptureSettings, site: Site, dump_codec: str) -> Params:
    names = site.profile.dump
    told = {field: getattr(settings, name) for name, field in FIELDS.items()}
    told["dump.compress"] = dump_codec
    told["dump.collector"] = makedumpfile.path(site.makedumpfile)
    targets = tuple(
        _target(mount, target, said, settings)
        for mount, target, said in zip(mounts(len(site.targets)), site.targets, settings.targets)
    )
    told["limits.overall"], told["limits.deadlines"] = _overall(settings, targets)
    return Params(
        watchdogs=site.watchdogs,
        names=NameParams(
            directory=names.directory,
            dump=names.dump,
            dmesg=names.dmesg,
            readme=names.readme,
            capture_log=names.capture_log,
        ),
        talk=TalkParams(
            progress=imagepaths.PROGRESS,
            console=imagepaths.CONSOLE,
            state=imagepaths.STATE,
            why=imagepaths.WHY,
        ),
        targets=targets,
    ).changed(told)


def _target(
    mount: str, target: Target, said: TargetSettings, settings: CaptureSettings
) -> TargetParams:
    deadline = settings.setup_timeout if said.deadline is None else said.deadline
    own = target.params().plain()
    if own["mount"]:
        own["mount"] = mount
    return TargetParams(**{**own, "deadline": deadline})


def _overall(settings: CaptureSettings, targets: Sequence[TargetParams]) -> tuple[int, int]:
    """Return the seconds for all of it, and those of the targets that may make it more."""
    if settings.timeout is not None:
        return settings.timeout, 0
    deadlines = [each.deadline for each in targets]
    # Without a rate nobody knows how long a dump may take.
    if settings.floor_rate == 0 or 0 in deadlines:
        return 0, 0
    return max(_LEAST, sum(deadlines)), sum(deadlines)


def mounts(targets: int) -> tuple[str, ...]:
    """Return where the file systems of so many targets are mounted.

    Each has a folder of its own: what hangs stays where it is.
    """
    return (imagepaths.MOUNT, *(f"{imagepaths.MOUNT}-{each}" for each in range(2, targets + 1)))


def variables(params: Params) -> dict[str, str]:
    """Return the variables, by name, that /init exports for hooks whatever the target."""
    limits, names = params.limits, params.names
    return {
        "KDUMP_LIB": imagepaths.LIB,
        "KDUMP_ETC": imagepaths.ETC,
        "KDUMP_RUN": imagepaths.RUN,
        "KDUMP_PARAMS": imagepaths.PARAMS,
        "KDUMP_PROGRESS": params.talk.progress,
        "KDUMP_STATE": params.talk.state,
        "KDUMP_DUMP_FOLDER": names.directory,
        "KDUMP_DUMP_NAME": names.dump,
        "KDUMP_LOG_ONLY": "yes" if params.dump.format == "none" else "",
        "KDUMP_CAPTURE_LOG": names.capture_log,
        "KDUMP_WATCHDOGS": " ".join(params.watchdogs),
        "KDUMP_FINAL_ACTION": limits.final_action,
        "KDUMP_FAILURE_ACTION": limits.failure_action,
        "KDUMP_STALL_TIMEOUT": str(limits.stall),
        "KDUMP_TIMEOUT": str(limits.overall),
        "KDUMP_DEADLINES": str(limits.deadlines or ""),
        "KDUMP_FLOOR_RATE": str(limits.floor_rate),
    }


def target_variables(params: Params) -> list[dict[str, str]]:
    """Return the variables, by name, that /init exports while it tries each of the targets."""
    found = [_of_target(number, target) for number, target in enumerate(params.targets)]
    if len(found) > 1:
        # Hooks take an only target for the last one.
        for number, each in enumerate(found, 1):
            each["KDUMP_NEXT"] = "yes" if number < len(found) else ""
    return found


def _of_target(number: int, target: TargetParams) -> dict[str, str]:
    return {
        "KDUMP_TARGET": str(number),
        "KDUMP_DEVICE": target.device,
        "KDUMP_FSTYPE": target.fstype,
        "KDUMP_MOUNT_OPTIONS": target.mount_options,
        "KDUMP_MOUNT": target.mount,
        "KDUMP_FOLDER": target.folder,
        "KDUMP_KEEP_FREE": str(target.keep_free),
        "KDUMP_SETUP_TIMEOUT": str(target.deadline),
    }
