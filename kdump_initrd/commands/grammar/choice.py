# SPDX-License-Identifier: GPL-2.0-or-later
"""The choice of a grammar: the one whose own options were used, else ours."""

from __future__ import annotations

from collections.abc import Sequence

from ... import __version__
from ...core.errors import UsageError
from . import debian, redhat, suse
from .reading import Reading, read
from .requests import Command, Print
from .vocabulary import level


def understand(words: Sequence[str]) -> Command:
    """Return what a command line asks for.

    Raises UsageError, in terms of the grammar that was meant.
    """
    ours = read(debian.GRAMMAR, words)
    theirs = [read(redhat.GRAMMAR, words), read(suse.GRAMMAR, words)]
    meant = _meant(ours, *theirs)
    for reading in (ours, *theirs):
        if getattr(reading.arguments, "help", False):
            text = meant.grammar.parser().format_help().rstrip()
            return Command((Print(text),), level(meant.arguments))
        if getattr(reading.arguments, "version", False):
            return Command((Print(f"kdump-initrd {__version__}"),), level(meant.arguments))
    if meant.found.unknown:
        known = {flag for each in (ours, *theirs) for flag in each.grammar.parser().flags()}
        meant.check(elsewhere=known)
    return Command(
        meant.requests(),
        level(meant.arguments),
        tuple(meant.grammar.warnings(meant.arguments)),
    )


def _meant(ours: Reading, red_hat: Reading, suse: Reading) -> Reading:
    # Debian's -k has no value: if SLES's misses one, and ours is complete, ours is meant.
    if suse.marked and not (suse.found.problem and not ours.found.problem and ours.marked):
        return suse
    if red_hat.marked or _by_position(ours, red_hat):
        return red_hat
    return ours


def _by_position(ours: Reading, red_hat: Reading) -> bool:
    """Tell whether the words are IMAGE KERNEL_VERSION, which mean nothing in our grammar.

    If our grammar takes IMAGE for the value of -f or -v, it must at least look like a path.
    """
    words = red_hat.words
    if red_hat.wrong or len(words) != 2 or debian.meant(words):
        return False
    try:
        ours.requests()
    except UsageError:
        return bool(ours.found.problem) or ours.words == words or "/" in words[0]
    return False
