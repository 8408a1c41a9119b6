# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of targets, as the tests need them."""

from __future__ import annotations

from kdump_initrd.config.targetsettings import TargetSettings


def aimed(to: str, fstype: str | None = None, **more: object) -> tuple[TargetSettings, ...]:
    """Return a list of one target."""
    return (TargetSettings(to, fstype, **more),)  # type: ignore[arg-type]
