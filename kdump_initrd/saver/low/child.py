# SPDX-License-Identifier: GPL-2.0-or-later
"""Foreign programs: started so that they end with the saver, and their output."""

from __future__ import annotations

import os

from .libc import die_with_parent

#: Bytes of what a program says last that are kept.
TAIL = 4096
_KILL = 9


def start(words: list[str], *, stdin: int, output: int) -> int:
    """Start a program by its path; return its process ID. Raises OSError if it cannot fork.

    stdin and output are open files; output gets its messages, too, and says so when it cannot be
    executed (status 127).
    """
    parent = os.getpid()
    try:
        pid = os.fork()
        if not pid:
            die_with_parent()
            os.dup2(stdin, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.execve(words[0], words, os.environ)
    except OSError as error:
        if os.getpid() == parent:
            raise
        os.write(2, f"{words[0]}: {error.strerror}".encode())
    finally:
        if os.getpid() != parent:
            os._exit(127)
    return pid


def kill(pid: int) -> None:
    """End a program."""
    os.kill(pid, _KILL)
    os.waitpid(pid, 0)


def last_words(fd: int) -> bytes:
    """Return the end of all that is in a pipe that does not block."""
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(fd, TAIL)
        except BlockingIOError:
            part = b""
        if not part:
            return b"".join(parts[-2:])
        parts.append(part)
