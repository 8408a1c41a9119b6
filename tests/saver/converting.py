# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump converted by vmcore-save in this process."""

from __future__ import annotations

from pathlib import Path

from kdump_initrd.commands.vmcoresave import main


def convert(vmcore: Path, dump: Path, *options: str) -> Path:
    """Convert quietly, by one worker; all must be well."""
    assert main([str(vmcore), str(dump), "--jobs", "1", "--quiet", *options]) == 0
    return dump
