# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the data folders (templates, hooks, distros) are."""

from __future__ import annotations

import functools
from pathlib import Path

from . import trust
from .errors import KdumpInitrdError
from .log import get_logger
from .root import Root

logger = get_logger(__name__)

_PACKAGE = Path(__file__).resolve().parents[1]
#: Relative to the root that the image is built from: what an administrator overrides.
_OVERRIDES = "etc/kdump-initrd"


def is_own(path: Path) -> bool:
    """Tell whether a file is of this program itself."""
    folders = (_PACKAGE, *(_PACKAGE.parent / kind for kind in ("templates", "hooks", "distros")))
    return any(path.is_relative_to(folder) for folder in folders)


def search_path(kind: str, *, root: Root) -> tuple[Path, ...]:
    """Return the folders that hold ``kind`` ("templates", "hooks", "distros"), first wins.

    The administrator's folder in ``root`` comes first, then the installed wheel's ``_data`` or,
    in a checkout and an editable install, the folder beside the package.
    """
    own = root.folders([f"{_OVERRIDES}/{kind}"])
    for folder in own:
        _mistrust(folder)
    return (*own, shipped(kind))


def shipped(kind: str) -> Path:
    """Return the folder of ``kind`` that comes with this program."""
    installed = _PACKAGE / "_data" / kind
    folder = installed if installed.is_dir() else _PACKAGE.parent / kind
    if not folder.is_dir():
        raise KdumpInitrdError(
            f"{folder}: data folder not found",
            hint="reinstall kdump-initrd: its wheel is incomplete",
        )
    return folder


@functools.cache
def _mistrust(folder: Path) -> None:
    """Warn once about a folder whose files users other than root could have changed."""
    for path in (folder, *sorted(folder.rglob("*"))):
        text = trust.warning(path)
        if text:
            logger.warning("%a: %s" if not str(path).isprintable() else "%s: %s", str(path), text)
            return


def find_data(kind: str, name: str, *, root: Root) -> Path:
    """Return the file ``name`` of the first folder of ``kind`` that has it, free of links.

    Raises KdumpInitrdError when none has.
    """
    places = search_path(kind, root=root)
    paths = (root.there(folder / name) for folder in places)
    found = next((path for path in paths if path is not None), None)
    if found is None:
        raise KdumpInitrdError(
            f"{places[-1] / name}: not found", hint="reinstall kdump-initrd: it is incomplete"
        )
    return found
