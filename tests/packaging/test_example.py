# SPDX-License-Identifier: GPL-2.0-or-later
"""The example of a configuration: whole, right, and without effect as it lies."""

from __future__ import annotations

import re
from pathlib import Path

from kdump_initrd.config import effective, native
from kdump_initrd.core.root import Root

from .building import REPO

EXAMPLE = REPO / "docs/examples/kdump-initrd.toml"


def read(root: Path, text: str) -> effective.Effective:
    """Read a text as the configuration of a root."""
    (root / "etc").mkdir()
    (root / native.NAME).write_text(text)
    return effective.read(Root(root), peer="")


def uncommented() -> str:
    """Return the example with every key, and the table of a target, in effect."""
    return re.sub(r"^#(?=[a-z-]+ = |\[)", "", EXAMPLE.read_text(), flags=re.M)


def test_as_it_lies_it_says_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, EXAMPLE.read_text())
    assert (found.errors, found.warnings, dict(found.values)) == ((), (), {})


def test_every_key_is_there_with_a_value_that_is_taken(tmp_path: Path) -> None:
    found = read(tmp_path, uncommented())
    assert (found.errors, found.warnings) == ((), ())
    keys = {row.name for rows in native.KEYS.values() for row in rows.values()}
    assert set(found.values) == keys - {"device"} | {"targets"}
    said, whole = found.values["targets"]
    assert (said.to, said.fstype) == (whole.to, None)
    assert None not in (whole.fstype, whole.path, whole.deadline)


def test_the_values_are_the_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, uncommented())
    for rows in native.KEYS.values():
        for row in rows.values():
            if row.default not in (None, "", ()):
                assert found.values[row.name] == row.default, row.name
