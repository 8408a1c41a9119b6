# SPDX-License-Identifier: GPL-2.0-or-later
"""How a command that fails says so: an error line, a hint, and the exit status."""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Callable, Sequence

from ..core import exits
from ..core.errors import KdumpInitrdError, UsageError, is_denied
from ..core.password import hidden
from ..core.shown import shown


def guarded(work: Callable[[], int], *, command: Sequence[str], debug: bool) -> int:
    """Run ``work`` and return its exit status; what it raises becomes lines on stderr.

    ``command`` are the program and its words: for who lacks rights, they are in the hint.
    """
    as_root = f"this needs root: sudo {shlex.join(command)}"
    try:
        _check_text(command)
        return work()
    except KdumpInitrdError as error:
        complain(error.message, as_root if is_denied(error) else error.hint, debug=debug)
        return error.exit_status
    except OSError as error:
        complain(_plain(error), as_root if is_denied(error) else None, debug=debug)
        return exits.ERROR
    except ModuleNotFoundError as error:
        complain(f"Python module {error.name}: not installed", "pip install .", debug=debug)
        return exits.ERROR


def complain(message: str, hint: str | None, *, debug: bool) -> None:
    """Print an error and its hint; with ``debug``, where it came from, too."""
    if debug:
        print(hidden(traceback.format_exc()), end="", file=sys.stderr)
    print(f"kdump-initrd: error: {shown(hidden(message))}", file=sys.stderr)
    if hint:
        print(f"hint: {shown(hidden(hint))}", file=sys.stderr)


def _plain(error: OSError) -> str:
    parts = (error.filename, error.filename2, error.strerror)
    return ": ".join(str(part) for part in parts if part is not None) or str(error)


def _check_text(words: Sequence[str]) -> None:
    """Refuse words that are not UTF-8: they would have to be written into scripts and JSON."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{word!a}: not UTF-8", hint="use a name that is UTF-8") from None
