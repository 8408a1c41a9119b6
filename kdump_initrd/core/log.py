# SPDX-License-Identifier: GPL-2.0-or-later
"""What the generator says while it works: one line a step on stderr, with its time."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .password import hidden
from .shown import shown

_ROOT = "kdump-initrd"


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module: INFO is a step, DEBUG is each file and why it is in."""
    return logging.getLogger(f"{_ROOT}.{name.rpartition('.')[2]}")


class _Formatter(logging.Formatter):
    """``kdump-initrd: warning: …`` for warnings, bare lines for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        text = shown(hidden(record.getMessage()))
        if record.levelno >= logging.WARNING:
            return f"{_ROOT}: {record.levelname.lower()}: {text}"
        return text


def set_up(level: int) -> None:
    """Send the package's log records of at least ``level`` to stderr, and nowhere else."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logger = logging.getLogger(_ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


@contextmanager
def step(what: str) -> Iterator[None]:
    """Log one line when the block ends: what was done and the seconds it took."""
    start = time.monotonic()
    yield
    logging.getLogger(_ROOT).info("%-42s %6.2f s", what, time.monotonic() - start)
