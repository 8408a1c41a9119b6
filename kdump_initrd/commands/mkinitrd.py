# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mkinitrd-kdump: words become requests, errors become lines and a status."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Sequence

from ..core import exits, log, publish
from ..core.errors import KdumpInitrdError, UsageError, is_denied
from ..core.password import hidden
from . import verbs
from .grammar import choice
from .grammar.vocabulary import PROGRAM
from .interrupts import Interrupts

logger = log.get_logger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mkinitrd-kdump`` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    before = publish.things()
    with Interrupts() as interrupts:
        try:
            status = _run(words, debug="--debug" in words)
        except KeyboardInterrupt:
            done = publish.done(before)
            what = f"written by then: {', '.join(done)}" if done else "nothing was written"
            _complain(f"interrupted: {what}", None, debug="--debug" in words)
            status = interrupts.status
    return status


def _run(words: Sequence[str], *, debug: bool) -> int:
    try:
        _check_text(words)
        command = choice.understand(words)
        log.set_up(command.level)
        for warning in command.warnings:
            logger.warning("%s", warning)
        return verbs.perform(command.requests)
    except KdumpInitrdError as error:
        hint = _as_root(words) if is_denied(error) else error.hint
        _complain(error.message, hint, debug=debug)
        return error.exit_status
    except BrokenPipeError:
        # `--list IMAGE | head`: nobody reads on, so the interpreter must not write the rest either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _complain(_plain(error), _as_root(words) if is_denied(error) else None, debug=debug)
        return exits.ERROR
    except ModuleNotFoundError as error:
        _complain(f"Python module {error.name}: not installed", "pip install .", debug=debug)
        return exits.ERROR
    return exits.DONE


def _complain(message: str, hint: str | None, *, debug: bool) -> None:
    if debug:
        print(hidden(traceback.format_exc()), end="", file=sys.stderr)
    print(f"kdump-initrd: error: {hidden(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {hidden(hint)}", file=sys.stderr)


def _as_root(words: Sequence[str]) -> str:
    return f"this needs root: sudo {shlex.join([PROGRAM, *words])}"


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
