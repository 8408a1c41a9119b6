# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mkinitrd-kdump: words become requests, errors become lines and a status."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..core import log, publish
from . import verbs
from .failures import complain, guarded
from .grammar import choice
from .grammar.vocabulary import PROGRAM
from .interrupts import Interrupts

logger = log.get_logger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mkinitrd-kdump`` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    before = publish.things()
    with Interrupts() as interrupts:
        try:
            status = guarded(lambda: _run(words), command=[PROGRAM, *words], debug=debug)
        except KeyboardInterrupt:
            done = publish.done(before)
            what = f"written by then: {', '.join(done)}" if done else "nothing was written"
            complain(f"interrupted: {what}", None, debug=debug)
            status = interrupts.status
    return status


def _run(words: Sequence[str]) -> int:
    command = choice.understand(words)
    log.set_up(command.level)
    for warning in command.warnings:
        logger.warning("%s", warning)
    return verbs.perform(command.requests)
