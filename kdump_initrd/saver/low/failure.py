# SPDX-License-Identifier: GPL-2.0-or-later
"""The exceptions of the saver, and how any exception becomes one line."""

from __future__ import annotations

import errno


class SaverError(Exception):
    """A step cannot be done; the text is one line that says what and why."""


class SpaceError(SaverError):
    """The dump cannot be continued (file system full, file too large); what is there is sound."""

    def __init__(self, text: str, code: int = errno.ENOSPC) -> None:
        """Take the line, and the errno of the write that failed."""
        super().__init__(text)
        self.code = code


def describe(error: BaseException) -> str:
    """Return one line for an exception; a bug's line ends with the innermost file and line."""
    if isinstance(error, SaverError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename!s}: " if error.filename else ""
        return f"{name}{error.strerror}"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return "out of memory" + _place(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] + _place(error)


def _place(error: BaseException) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return ""
    return f" ({frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno})"
