# SPDX-License-Identifier: GPL-2.0-or-later
"""A root that holds configuration files, and what is read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdump_initrd.config import effective
from kdump_initrd.config.effective import Effective
from kdump_initrd.core.root import Root


@dataclass(frozen=True)
class Outcome:
    """What was read; paths of the root begin at "/" again."""

    values: dict[str, Any]
    origins: dict[str, str]
    warnings: list[str]
    errors: list[str]
    files: list[str]
    source: str


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files of a root, by their paths in it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def read(root: Path, files: Mapping[str, str | bytes], *, peer: str = "") -> Outcome:
    """Write ``files`` and return what is configured then."""
    write(root, files)
    return outcome(effective.read(Root(root), peer=peer), root)


def outcome(found: Effective, root: Path) -> Outcome:
    """Return what was found, with enumerations as their values."""

    def short(text: object) -> str:
        return str(text).replace(f"{root}/", "/")

    return Outcome(
        values={name: getattr(value, "value", value) for name, value in found.values.items()},
        origins={name: short(text) for name, text in found.origins.items()},
        warnings=[short(text) for text in found.warnings],
        errors=[short(text) for text in found.errors],
        files=[short(path) for path in found.files],
        source=found.source,
    )
