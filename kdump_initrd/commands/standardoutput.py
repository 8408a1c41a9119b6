# SPDX-License-Identifier: GPL-2.0-or-later
"""Standard output whose errors say that they are its own, whenever what was printed is written.

A short text is written at the end of a command, a long one while it is printed.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

_NAME = "standard output"


class _Named(io.FileIO):
    def write(self, data: Any) -> int:  # noqa: ANN401 - a buffer, nameless before Python 3.12
        try:
            return super().write(data)
        except OSError as error:
            # What is still buffered goes nowhere, and fails no second time.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if isinstance(error, BrokenPipeError):
                return memoryview(data).nbytes  # `--list IMAGE | head`: nobody wants more of it
            error.filename = _NAME
            raise


def name_errors() -> None:
    """Let each OSError of standard output have its name; that nobody reads on is none."""
    before = sys.stdout  # None if it was closed when Python started
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Named(1, "w", closefd=False)),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace" if before is None or before.errors == "strict" else before.errors,
        line_buffering=os.isatty(1),
    )
