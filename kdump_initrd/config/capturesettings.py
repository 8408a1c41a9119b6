# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings of a capture initrd and its targets: which source wins for which of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .settings import CAPTURE, COMMON, CaptureSettings
from .targetsettings import OF_TARGET, WHERE, TargetSettings

_ROWS = (*CAPTURE, *COMMON)
_NAMES = {"release", *(row.name for row in _ROWS)} - {*WHERE, *OF_TARGET}


def capture_settings(configured: Mapping[str, Any], said: Mapping[str, Any]) -> CaptureSettings:
    """Return the settings of an image: what was ``said``, and otherwise what is ``configured``.

    Both are values by name, "targets" among them; values named in OF_TARGET apply to all targets.
    If a target is said, the configured targets are not used, nor is a configured file system, which
    is theirs. Without any target, the dump goes to whatever holds the folder for dumps.
    """
    common = {name: configured[name] for name in OF_TARGET if name in configured}
    targets = said.get("targets", ())
    if targets:
        common.pop("fstype", None)
    else:
        targets = configured.get("targets") or (TargetSettings(),)
    known = {name: said[name] for name in OF_TARGET if name in said}
    targets = (replace(_completed(each, common), **known) for each in targets)
    words = {name: value for name, value in {**configured, **said}.items() if name in _NAMES}
    return CaptureSettings(**words, targets=tuple(targets))


def _completed(target: TargetSettings, common: Mapping[str, Any]) -> TargetSettings:
    """Return a target, completed with what applies to all."""
    missing = {name: value for name, value in common.items() if getattr(target, name) is None}
    return replace(target, **missing)
