# SPDX-License-Identifier: GPL-2.0-or-later
"""One TOML file of a profile; links are followed within the root that it lies in."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.files import TEXT
from ...core.root import Root
from ...core.toml import Document, TomlError, parse


def read(path: Path, *, root: Root) -> Document:
    """Read a file; if it lies in ``root``, links are followed within that.

    Raises KdumpInitrdError if it does not exist or is not TOML.
    """
    try:
        return parse(path, root.read(path, limit=TEXT))
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}") from error
    except TomlError as error:
        where = f"{path}:{error.line}" if error.line else path
        raise KdumpInitrdError(f"{where}: {error}") from error
