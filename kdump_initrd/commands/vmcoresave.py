# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``vmcore-save``: the saver on a host. It has only one verb, which has no name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from .. import __version__
from ..core import exits
from ..core.errors import KdumpInitrdError
from .interrupts import Interrupts
from .options import Parser
from .output import Talk
from .verbs import VERBS

_PROGRAM = "vmcore-save"
(_VERB,) = VERBS[_PROGRAM]

_EPILOG = """\
DUMPFILE is called DUMPFILE-incomplete until it is complete. If it stays incomplete, it keeps that
name, and the exit status is 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``vmcore-save`` and return its exit status."""
    talk = Talk(_PROGRAM)
    with Interrupts() as interrupts:
        try:
            words = list(sys.argv[1:] if argv is None else argv)
            arguments = parser().understand(list(_split(words)), "files")
            status = _VERB.read(arguments).run()
        except KeyboardInterrupt:
            talk.error("interrupted: nothing was written")
            status = exits.ERROR
        except Exception as error:
            talk.complain(error)
            status = error.exit_status if isinstance(error, KdumpInitrdError) else exits.ERROR
    return interrupts.status if status and interrupts.number else status


def _split(words: Sequence[str]) -> Iterator[str]:
    """Yield the words so that --dmesg takes no value but by "=": a name may follow it."""
    options = True
    for word in words:
        options = options and word != "--"
        yield "--dmesg=" if options and word == "--dmesg" else word


def parser() -> Parser:
    """Return the complete parser of the command, as shell completions are made from, too."""
    command = Parser(
        prog=_PROGRAM,
        usage=_VERB.usage,
        description=_VERB.summary,
        epilog=_EPILOG,
        statuses=(exits.DONE, exits.ERROR, exits.USAGE),
    )
    _VERB.configure(command)
    talk = command.add_argument_group("talk").add_mutually_exclusive_group()
    talk.add_argument("--verbose", action="store_true", help="print more about what is done")
    talk.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    command.add_argument("--help", action="help", help="print this help")
    version = f"{_PROGRAM} (kdump-initrd) {__version__}"
    command.add_argument("--version", action="version", version=version)
    return command


if __name__ == "__main__":
    sys.exit(main())
