# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: words become requests, errors become lines and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from . import log, verbs
from .errors import KdumpInitrdError, UsageError
from .grammar import choice

logger = log.get_logger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mkinitrd-kdump`` and return its exit status: 0, 1 (error) or 2 (usage)."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        _check_text(words)
        command = choice.understand(words)
        log.set_up(command.level)
        for warning in command.warnings:
            logger.warning("%s", warning)
        return verbs.perform(command.requests)
    except KdumpInitrdError as error:
        _complain(error.message, error.hint, debug=debug)
        return error.exit_status
    except BrokenPipeError:
        # `--list IMAGE | head`: nobody listens any more, and the interpreter must not either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _complain(str(error), None, debug=debug)
        return 1
    except ModuleNotFoundError as error:
        _complain(f"Python module {error.name}: not installed", "pip install .", debug=debug)
        return 1
    except KeyboardInterrupt:
        _complain("interrupted: nothing was written", None, debug=debug)
        return 1
    return 0


def _complain(message: str, hint: str | None, *, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"kdump-initrd: error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)


def _check_text(words: Sequence[str]) -> None:
    """Refuse what is no text: it would have to be written into scripts and JSON."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{word!a}: not UTF-8", hint="use a name that is") from None
