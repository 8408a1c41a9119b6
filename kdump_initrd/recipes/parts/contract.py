# SPDX-License-Identifier: GPL-2.0-or-later
"""What the image is told: the contract with the saver, filled from settings and what was found."""

from __future__ import annotations

from ...config.settings import CaptureSettings
from ...core.errors import KdumpInitrdError
from ...saver.imagepaths import CONSOLE, MOUNT, PROGRESS, STATE
from ...saver.params import (
    DumpParams,
    LimitParams,
    NameParams,
    Params,
    ParamsError,
    TalkParams,
    TargetParams,
)
from ..found import Site
from . import makedumpfile


def params_of(settings: CaptureSettings, site: Site, *, dump_codec: str) -> Params:
    """Return what the image is told; raises KdumpInitrdError for names that cannot be."""
    try:
        return _params(settings, site, dump_codec)
    except ParamsError as error:
        hint = f"mkinitrd-kdump --show-distro {site.profile.id} tells where names of files are from"
        raise KdumpInitrdError(str(error), hint=hint) from error


def _params(settings: CaptureSettings, site: Site, dump_codec: str) -> Params:
    names, target = site.profile.dump, site.target
    return Params(
        watchdogs=site.watchdogs,
        dump=DumpParams(
            format=settings.dump_format,
            compress=dump_codec,
            level=settings.dump_level,
            jobs=settings.jobs,
            verify=settings.verify,
            collector=makedumpfile.path(site.makedumpfile),
        ),
        names=NameParams(
            directory=names.directory,
            dump=names.dump,
            dmesg=names.dmesg,
            readme=names.readme,
            capture_log=names.capture_log,
        ),
        limits=LimitParams(
            setup=settings.setup_timeout,
            stall=settings.stall_timeout,
            overall=settings.timeout,
            final_action=settings.final_action.value,
        ),
        talk=TalkParams(progress=PROGRESS, console=CONSOLE, state=STATE),
        targets=(
            TargetParams(
                device=target.device.spec,
                fstype=target.device.fstype,
                mount_options=target.mount_options,
                mount=MOUNT,
                folder=target.folder,
                keep_free=settings.keep_free,
            ),
        ),
    )
