# SPDX-License-Identifier: GPL-2.0-or-later
"""What templates are told: plain values by the names that mkinitrd-kdump(8) lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from enum import Enum
from pathlib import PurePosixPath

from .. import __version__
from ..config.settings import CaptureSettings
from ..image.hooks import Hook
from ..probe.python.minimal import PythonRuntime
from ..targets.blockdevice import BlockDevice
from .found import Site


def of_capture(
    settings: CaptureSettings,
    site: Site,
    *,
    hooks: Iterable[Hook],
    runtime: PythonRuntime,
    library_path: Iterable[PurePosixPath],
) -> dict[str, object]:
    """Return the values of a capture initrd's templates."""
    target = site.target
    return {
        "version": __version__,
        "site": {
            "kernel": {"release": site.kernel.release},
            "profile": {
                "id": site.profile.id,
                "name": site.profile.name,
                "dump": {each.name: _plain(getattr(site.profile.dump, each.name))
                         for each in fields(site.profile.dump)},
            },
            "target": {
                "device": of_device(target.device),
                "folder": target.folder,
                "mount_options": target.mount_options,
            },
        },
        "settings": {each.name: _plain(getattr(settings, each.name)) for each in fields(settings)},
        "watchdogs": list(site.watchdogs),
        "hooks": [_of_hook(hook) for hook in hooks],
        "python": {
            "interpreter": {"version": runtime.interpreter.version},
            "extension_dir": str(runtime.extension_dir),
        },
        "library_path": ":".join(map(str, dict.fromkeys(library_path))),
    }  # fmt: skip


def of_device(device: BlockDevice) -> dict[str, object]:
    """Return what templates are told of a device."""
    return {"spec": device.spec, "fstype": device.fstype}


def _of_hook(hook: Hook) -> dict[str, object]:
    return {"stage": hook.stage, "name": hook.name, "path": hook.path, "timeout": hook.timeout}


def _plain(value: object) -> object:
    """Return a setting as JSON would have it: a template can do with an object what that can."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
