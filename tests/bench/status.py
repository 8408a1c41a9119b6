# SPDX-License-Identifier: GPL-2.0-or-later
"""The processor time of kdump-initrd's questions on a machine that is ready."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.unit import machines

from .table import Row, report

_ROUNDS = 9
#: The demand on status, in seconds; the others may take longer.
_LONGEST = 0.3
_START = "import sys; from kdump_initrd.commands.start import admin; sys.exit(admin())"


def _seconds(argv: list[str], compiled: Path) -> float:
    """Run a program without its output, and return the processor time that it took.

    It keeps bytecode in the folder ``compiled``, as a package has it.
    """
    null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    keeping = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(compiled)}
    environment = {**os.environ, **keeping}
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=null)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise AssertionError(f"{argv}: ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Measure and print; the exit status is 1 if it takes too long."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = machines.ready(Path(folder).resolve() / "root")
        for verb in ("status", "check", "estimate"):
            argv = [sys.executable, "-c", _START, verb, "--root", str(root)]
            times = [_seconds(argv, Path(folder) / "compiled") for _ in range(_ROUNDS + 1)][1:]
            spread = f"{min(times):.2f} to {max(times):.2f} s"
            limit = _LONGEST if verb == "status" else None
            rows.append(Row(verb, statistics.median(times), "s", limit, spread))
    return report("kdump-initrd, processor time", rows)


if __name__ == "__main__":
    sys.exit(main())
