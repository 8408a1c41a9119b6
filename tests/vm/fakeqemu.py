# SPDX-License-Identifier: GPL-2.0-or-later
"""A program in QEMU's place: it plays a console and a monitor from a script, without a machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Union

#: A line of the console, a pause in seconds, or an event of the monitor; None is an end by itself.
Step = Union[str, float, dict[str, object], None]

_PROGRAM = """\
#!{python}
import json, socket, sys, time
chardevs = [word for word in sys.argv if word.startswith(("socket,", "stdio,"))]
(log,) = [word.rpartition("logfile=")[2] for word in chardevs if word.startswith("stdio,")]
(number,) = [word.rpartition("fd=")[2] for word in chardevs if word.startswith("socket,")]
monitor = socket.socket(fileno=int(number))
for step in json.loads({steps!r}):
    if step is None:
        sys.exit("played to its end")
    elif isinstance(step, str):
        with open(log, "a") as console:
            console.write(step + "\\n")
        print(step, end="\\r\\n", flush=True)
    elif isinstance(step, dict):
        monitor.sendall(json.dumps(step).encode() + b"\\r\\n")
    else:
        time.sleep(step)
while b"quit" not in monitor.recv(65536):
    pass
"""


def write(target: Path, *steps: Step) -> str:
    """Write the program that plays these steps, and then waits for its end; return its path."""
    target.write_text(_PROGRAM.format(python=sys.executable, steps=json.dumps(steps)))
    target.chmod(0o755)
    return str(target)


def ended(reason: str) -> dict[str, object]:
    """Return the event of a machine's end: "guest-reset" is a RESET, all else a SHUTDOWN."""
    kind = "RESET" if reason == "guest-reset" else "SHUTDOWN"
    return {"event": kind, "data": {"guest": reason.startswith("guest-"), "reason": reason}}
