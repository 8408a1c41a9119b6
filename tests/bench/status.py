# SPDX-License-Identifier: GPL-2.0-or-later
"""How long `kdump-initrd status` takes on a machine that is ready, from its start to its end."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.unit import machines, refreshroots
from tests.unit.refreshroots import Host

from .table import Row, report

_ROUNDS = 9
#: The demand, in seconds.
_LONGEST = 0.3
_START = "import sys; from kdump_initrd.commands.start import admin; sys.exit(admin())"


def main() -> int:
    """Measure and print; the exit status is 1 if it takes too long."""
    with tempfile.TemporaryDirectory() as folder:
        host = Host(refreshroots.make(Path(folder).resolve() / "root"))
        host.run()
        machines.start(host)
        argv = [sys.executable, "-c", _START, "status", "--root", str(host.root)]
        times = []
        for _ in range(_ROUNDS + 1):
            start = time.monotonic()
            subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, timeout=60)
            times.append(time.monotonic() - start)
    spread = f"{min(times[1:]):.2f} to {max(times[1:]):.2f} s"
    row = Row("status", statistics.median(times[1:]), "s", _LONGEST, spread)
    return report("kdump-initrd status, every link looked at", [row])


if __name__ == "__main__":
    sys.exit(main())
