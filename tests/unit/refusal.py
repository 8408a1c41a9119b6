# SPDX-License-Identifier: GPL-2.0-or-later
"""A refusal: the error and hint of the command line, which leaves no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from .commandline import complain
from .firstimages import Parts


class Refusal:
    """Runs the command line, and checks that it says so and leaves no file."""

    def __init__(self, top: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.top = top
        self.out = top / "out"
        self.capsys = capsys

    def of(self, parts: Parts, *options: str) -> tuple[str, str]:
        """Return the error and the hint."""
        before = {path: path.stat().st_mtime_ns for path in self.top.rglob("*")}
        argv = parts.argv("-o", str(self.out), *options)
        self.capsys.readouterr()
        found, error, hint = complain(self.capsys, *argv)
        assert found == 1
        assert {path: path.stat().st_mtime_ns for path in self.top.rglob("*")} == before
        return error, hint
