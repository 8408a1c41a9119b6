# SPDX-License-Identifier: GPL-2.0-or-later
"""The only road to another program: a list of arguments, a deadline, no shell."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import KdumpInitrdError
from .log import get_logger

logger = get_logger(__name__)

#: Lines of a failed program's stderr that are worth showing.
_TAIL = 20
#: Administrators' tools live in sbin, which is not on every user's PATH.
_SBIN = "/usr/sbin:/sbin:/usr/local/sbin"


@dataclass(frozen=True)
class Result:
    """What a program left behind: its exit status and both outputs."""

    status: int
    stdout: bytes
    stderr: str


def find(program: str) -> str | None:
    """Return the path of ``program`` on the host (PATH, then the sbin folders), or None."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    check: bool = True,
    stdin: bytes | None = None,
) -> Result:
    """Run ``argv`` and return its result; ``timeout`` is in seconds.

    Raises KdumpInitrdError when the program is missing, overruns its deadline or, with
    ``check``, ends with another status than 0.
    """
    words = [os.fspath(word) for word in argv]
    program = find(words[0])
    if program is None:
        raise KdumpInitrdError(f"{words[0]}: program not found", hint=f"install {words[0]}")
    logger.debug("+ %s", shlex.join(words))
    try:
        done = subprocess.run(
            [program, *words[1:]],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KdumpInitrdError(f"{shlex.join(words)}: no answer in {timeout:g} s") from error
    stderr = done.stderr.decode(errors="replace")
    if check and done.returncode != 0:
        tail = "\n".join(stderr.splitlines()[-_TAIL:])
        raise KdumpInitrdError(
            f"{shlex.join(words)}: exit status {done.returncode}\n{tail}".rstrip()
        )
    return Result(done.returncode, done.stdout, stderr)
