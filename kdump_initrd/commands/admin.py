# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``kdump-initrd``: what is asked of a machine. Its first word is a verb."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from .. import __version__
from ..core import exits, log
from ..core.errors import UsageError
from . import verbs
from .failures import complain, guarded
from .interrupts import Interrupts
from .options import HIDDEN, Parser
from .verb import Verb

PROGRAM = "kdump-initrd"
#: The verbs, by the word that asks for each.
VERBS = {verb.name: verb for verb in verbs.VERBS[PROGRAM]}
_STATUSES = (exits.DONE, exits.ERROR, exits.USAGE, exits.NO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kdump-initrd`` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    log.set_up(logging.WARNING)
    with Interrupts() as interrupts:
        try:
            status = guarded(lambda: _run(words), command=[PROGRAM, *words], debug=False)
        except KeyboardInterrupt:
            complain("interrupted", None, debug=False)
            status = interrupts.status
    return status


def _run(words: Sequence[str]) -> int:
    hint = f"{PROGRAM} --help lists the verbs"
    if not words:
        raise UsageError(f"expected a verb: {', '.join(VERBS)}", hint=hint)
    first, *others = words
    if first.startswith("-"):
        found = parser().understand([first], "words")
        raise UsageError(f"{' '.join(found.words)}: expected a verb first", hint=hint)
    if first not in VERBS:
        raise UsageError(f"{first}: no such verb: {', '.join(VERBS)}", hint=hint)
    verb = VERBS[first]
    arguments = parser_of(verb).understand(others, "words")
    if len(arguments.words) > verb.kernels:
        unwanted = " ".join(arguments.words[verb.kernels :])
        takes = f"one {verb.word} only" if verb.kernels else "options only"
        raise UsageError(f"{unwanted}: {first} takes {takes}", hint="leave it out")
    return verb.read(arguments).run()


def parser() -> Parser:
    """Return the parser of what stands in place of a verb."""
    width = max(map(len, VERBS))
    rows = (f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items())
    command = Parser(
        prog=PROGRAM,
        usage=("VERB [OPTION]...",),
        description="\n".join(
            (
                "Make this machine ready to save its crashes, and tell whether it is.\n\nverbs:",
                *rows,
            )
        ),
        epilog=f"{PROGRAM} VERB --help prints the options of a verb.",
        statuses=_STATUSES,
    )
    return _finished(command)


def parser_of(verb: type[Verb]) -> Parser:
    """Return the parser of what stands behind a verb."""
    command = Parser(
        prog=f"{PROGRAM} {verb.name}",
        usage=verb.usage,
        description=f"{verb.summary[0].upper()}{verb.summary[1:]}.",
        epilog=f"{PROGRAM}(8) describes the answers, kdump-initrd-json(5) those of --json.",
        statuses=_STATUSES,
    )
    verb.configure(command)
    return _finished(command)


def whole() -> Parser:
    """Return one parser of all verbs, which shell completions are made from."""
    command = parser()
    words = next(action for action in command._actions if action.dest == "words")
    words.choices = list(VERBS)
    for verb in VERBS.values():
        known = command.flags()
        for action in parser_of(verb)._actions:
            if action.option_strings and action.option_strings[0] not in known:
                command._add_action(action)
    return command


def _finished(command: Parser) -> Parser:
    command.add_argument("words", nargs="*", help=HIDDEN)
    command.add_argument("--help", action="help", help="print this help")
    version = f"{PROGRAM} {__version__}"
    command.add_argument("--version", action="version", version=version, help="print the version")
    return command
