# SPDX-License-Identifier: GPL-2.0-or-later
"""The only road to another program: a list of arguments, a deadline, no shell."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
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
    environment: Mapping[str, str] | None = None,
    memory: int | None = None,
    descriptors: Sequence[int] = (),
) -> Result:
    """Run ``argv`` and return its result; ``timeout`` is in seconds.

    ``environment`` is all that it gets, except for LC_ALL; None for this process's own. ``memory``
    is the most that it may take for itself, in bytes, not counting mapped files. It inherits the
    ``descriptors``, under the same numbers.

    Raises KdumpInitrdError when the program is missing, overruns its deadline or, with
    ``check``, ends with another status than 0.
    """
    words, program = _command(argv)

    def limit() -> None:
        assert memory is not None
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

    try:
        done = subprocess.run(
            [program, *words[1:]],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            env={**(os.environ if environment is None else environment), "LC_ALL": "C.UTF-8"},
            check=False,
            preexec_fn=None if memory is None else limit,
            pass_fds=descriptors,
        )
    except subprocess.TimeoutExpired as error:
        raise KdumpInitrdError(f"{shlex.join(words)}: not finished after {timeout:g} s") from error
    stderr = done.stderr.decode(errors="replace")
    if check and done.returncode != 0:
        raise _failure(words, done.returncode, stderr)
    return Result(done.returncode, done.stdout, stderr)


def output_of(
    argv: Sequence[str | Path], *, stdin: bytes, timeout: float, limit: int, check: bool = True
) -> bytes:
    """Return what ``argv`` makes of ``stdin``, up to ``limit`` bytes.

    Raises KdumpInitrdError as run() does, and if there is more.
    """
    words, program = _command(argv)
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as errors:
        source.write(stdin)
        source.seek(0)
        process = subprocess.Popen(
            [program, *words[1:]],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        late = threading.Timer(timeout, process.kill)
        late.start()
        with process:
            assert process.stdout is not None
            output = process.stdout.read(limit + 1)
            if len(output) > limit:
                process.kill()
        in_time = late.is_alive()
        late.cancel()
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    if len(output) > limit:
        raise KdumpInitrdError(f"{shlex.join(words)}: more than {limit >> 20} MB of output")
    if not in_time:
        raise KdumpInitrdError(f"{shlex.join(words)}: not finished after {timeout:g} s")
    if check and process.returncode != 0:
        raise _failure(words, process.returncode, said)
    return output


def _command(argv: Sequence[str | Path]) -> tuple[list[str], str]:
    """Return the words of a command, and its program's path."""
    words = [os.fspath(word) for word in argv]
    program = find(words[0])
    if program is None:
        raise KdumpInitrdError(f"{words[0]}: program not found", hint=f"install {words[0]}")
    logger.debug("+ %s", shlex.join(words))
    return words, program


def _failure(words: Sequence[str], status: int, stderr: str) -> KdumpInitrdError:
    tail = "\n".join(stderr.splitlines()[-_TAIL:])
    return KdumpInitrdError(f"{shlex.join(words)}: exit status {status}\n{tail}".rstrip())
