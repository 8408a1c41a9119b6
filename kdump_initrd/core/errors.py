# SPDX-License-Identifier: GPL-2.0-or-later
"""The one exception that the command line turns into ``error:`` and ``hint:`` lines."""

from __future__ import annotations

import os

from . import exits


class KdumpInitrdError(Exception):
    """Something the user can mend: what is wrong, and a hint how to mend it.

    ``message`` names the file, option or device; ``hint`` is a full sentence without the final
    stop, or None where the message says it all.
    """

    exit_status = exits.ERROR

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KdumpInitrdError):
    """The command line itself is wrong."""

    exit_status = exits.USAGE


def is_denied(error: BaseException) -> bool:
    """Tell whether an error comes from rights that this process lacks and root has."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PermissionError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None and os.geteuid() != 0
