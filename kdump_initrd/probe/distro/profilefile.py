# SPDX-License-Identifier: GPL-2.0-or-later
"""One TOML file of a profile, and in which line each of its keys is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import files
from ...core import root as rooted
from ...core.errors import KdumpInitrdError
from ...core.toml import line_of, loads


@dataclass(frozen=True)
class ProfileFile:
    """A file, and the table that it holds."""

    path: Path
    text: str
    table: Mapping[str, Any]

    def says(self, *keys: str) -> bool:
        """Tell whether the key below ``keys`` is in the file."""
        table: object = self.table
        for key in keys:
            if not isinstance(table, dict) or key not in table:
                return False
            table = table[key]
        return True

    def where(self, *keys: str) -> str:
        """Return "FILE:LINE" of the key below ``keys``, or of the table that it is in."""
        line = line_of(self.text, keys)
        return f"{self.path}:{line}" if line else str(self.path)


def read(path: Path, *, root: Path) -> ProfileFile:
    """Read a file, by the links of ``root`` if it lies in that.

    Raises KdumpInitrdError for one that is not there or no TOML.
    """
    try:
        real = rooted.real_or_own(path, root=root)
        text = files.read(real, limit=files.TEXT).decode().replace("\r\n", "\n")
        return ProfileFile(path, text, loads(text))
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}") from error
    except RecursionError:
        raise KdumpInitrdError(f"{path}: nested too deeply") from None
    # What is no TOML or no UTF-8, and a number of too many digits.
    except ValueError as error:
        raise KdumpInitrdError(f"{path}: {' '.join(str(error).split())}") from error
