# SPDX-License-Identifier: GPL-2.0-or-later
"""Unified kernel images, made by systemd's own ukify of a later suite, with its stub."""

from __future__ import annotations

import os
from pathlib import Path

from kdump_initrd.core.run import run

from .suites import Suite

#: pefile is pure Python, and so is ukify: this host's interpreter runs both.
_PACKAGES = ("systemd-ukify", "systemd-boot-efi", "python3-pefile")
_PYTHON = "/usr/bin/python3"


def ukify(*words: str | Path) -> None:
    """Run ukify; raises KdumpInitrdError with its own words, or NoPackages."""
    root = Suite("trixie").packages(*_PACKAGES)
    environment = {**os.environ, "PYTHONPATH": str(root / "usr/lib/python3/dist-packages")}
    stub = root / "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
    argv = [_PYTHON, root / "usr/bin/ukify", *words, f"--stub={stub}"]
    run(argv, timeout=120, environment=environment)


def make(target: Path, kernel: Path, *, release: str, initrd: Path, cmdline: str = "quiet") -> Path:
    """Make a unified image of a kernel and its initrd at ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    words = [f"--linux={kernel}", f"--initrd={initrd}", f"--cmdline={cmdline}"]
    ukify("build", *words, f"--uname={release}", f"--output={target}")
    return target
