# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the saver on a synthetic vmcore, in this process or in a child."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdump_initrd.saver.__main__ import main

from .vmcore import Core

ROOT = Path(__file__).resolve().parents[2]
#: One worker: the same bytes each time, and nothing is forked from a test's process.
DEFAULTS: dict[str, object] = {"directory": "crash", "dump_name": "vmcore", "jobs": 1}

#: The saver's parameters by the names that tests give them.
PARAMETERS = {
    **{f"dump_{name}": f"dump.{name}" for name in ("format", "compress", "level")},
    **{name: f"dump.{name}" for name in ("jobs", "verify", "collector")},
    **{f"{name}_name": f"names.{name}" for name in ("dump", "dmesg", "readme")},
    "directory": "names.directory",
    **{name: f"talk.{name}" for name in ("progress", "console", "state", "why")},
    **{name: f"target.{name}" for name in ("mount", "keep_free", "keep")},
    "loop_crashes": "limits.loop_crashes",
    "output": "target.folder",
}


@dataclass(frozen=True)
class Outcome:
    """Exit status, the crash's folder, and its report."""

    status: int
    folder: Path
    report: dict[str, Any]

    @property
    def dump(self) -> Path:
        return self.folder / str(self.report["dump"]["name"])

    def step(self, name: str) -> dict[str, Any]:
        (found,) = [step for step in self.report["steps"] if step["name"] == name]
        assert isinstance(found, dict)
        return found


def arguments(vmcore: Path, output: Path, **options: object) -> list[str]:
    words = ["--vmcore", str(vmcore)]
    for name, value in {"output": output, **DEFAULTS, **options}.items():
        words += ["--" + PARAMETERS.get(name, name), str(value)]
    return words


def save(tmp_path: Path, core: Core | Path, **options: object) -> Outcome:
    """Save a core into tmp_path/out."""
    path = core if isinstance(core, Path) else core.write(tmp_path / "vmcore.in")
    output = Path(str(options.pop("output", tmp_path / "out")))
    before = set(output.iterdir()) if output.exists() else set()
    status = main(arguments(path, output, **options))
    (folder,) = set(output.iterdir()) - before
    return Outcome(status, folder, json.loads((folder / "report.json").read_text()))


def child(
    *arguments: str, python: str = sys.executable, flags: tuple[str, ...] = ("-S", "-s", "-B")
) -> subprocess.CompletedProcess[str]:
    """Run the saver as the capture kernel does: no site packages, an empty environment."""
    code = "import sys; from kdump_initrd.saver.__main__ import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [python, *flags, "-c", code, *arguments],
        env={"PYTHONPATH": os.fspath(ROOT), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
