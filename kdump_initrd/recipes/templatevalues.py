# SPDX-License-Identifier: GPL-2.0-or-later
"""The values for templates, by the names that mkinitrd-kdump(8) lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from .. import __version__
from ..image.hooks import Hook
from ..probe.python.minimal import PythonRuntime
from ..saver import imagepaths
from ..saver.params import Params
from . import dumptarget
from .found import Site
from .parts import contract


def of_capture(
    params: Params,
    site: Site,
    *,
    hooks: Sequence[Hook],
    runtime: PythonRuntime,
    library_path: Iterable[PurePosixPath],
) -> dict[str, object]:
    """Return the values for a capture initrd's templates."""
    return {
        "version": __version__,
        "site": {
            "kernel": {"release": site.kernel.release},
            "profile": {"id": site.profile.id, "name": site.profile.name},
        },
        "params": params.plain(),
        "exports": contract.variables(params),
        "targets": [
            {"exports": exports, "hooks": [_of_hook(hook) for hook in tried]}
            for exports, tried in zip(
                contract.target_variables(params), dumptarget.tried(site.targets, hooks)
            )
        ],
        "paths": paths(),
        "hooks": [_of_hook(hook) for hook in hooks],
        "python": {
            "interpreter": {"version": runtime.interpreter.version},
            "extension_dir": str(runtime.extension_dir),
        },
        "library_path": ":".join(map(str, dict.fromkeys(library_path))),
    }


def paths() -> dict[str, object]:
    """Return the paths in images, by the names of the constants in lower case."""
    return {name.lower(): value for name, value in vars(imagepaths).items() if name.isupper()}


def _of_hook(hook: Hook) -> dict[str, object]:
    return {"stage": hook.stage, "name": hook.name, "path": hook.path, "timeout": hook.timeout}
