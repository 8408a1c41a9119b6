# SPDX-License-Identifier: GPL-2.0-or-later
"""The options that all grammars share: our long options, how much to print, the help."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from ...config.settings import CAPTURE, COMMON, Setting
from ..options import Arguments, Parser, add_settings

PROGRAM = "mkinitrd-kdump"
#: The rows whose options mean the same in all grammars: those without a one-letter option.
SHARED: Sequence[Setting] = tuple(
    row for row in (*CAPTURE, *COMMON) if all(flag.startswith("--") for flag in row.flags)
)
_ROWS = {row.name: row for row in (*CAPTURE, *COMMON)}


def renamed(name: str, *flags: str, metavar: str, text: str) -> Setting:
    """Return the row ``name`` of the table with the options that a grammar has for it."""
    return replace(_ROWS[name], flags=flags, metavar=metavar, help=text)


def add_shared(parser: Parser, *, without: Sequence[str] = ()) -> None:
    """Add our long options, except for the rows ``without``."""
    group = parser.add_argument_group("mkinitrd-kdump's own")
    add_settings(group, [row for row in SHARED if row.name not in without])


def add_talk(parser: Parser, *, verbose: Sequence[str] = ("--verbose",)) -> None:
    """Add the options for how much to print, the help and the version."""
    talk = parser.add_argument_group("talk").add_mutually_exclusive_group()
    talk.add_argument(
        *verbose,
        dest="verbose",
        action="store_true",
        help="print each file and why it is in the image",
    )
    talk.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    talk.add_argument(
        "--debug", action="store_true", help="as --verbose, and print tracebacks of errors"
    )
    # Not argparse's actions: they would print before it is known which grammar is meant.
    parser.add_argument("-h", "--help", action="store_true", help="print this help")
    parser.add_argument("--version", action="store_true", help="print the version")


def level(arguments: Arguments) -> int:
    """Return the logging level that was asked for."""
    if arguments.verbose or arguments.debug:
        return logging.DEBUG
    return logging.WARNING if arguments.quiet else logging.INFO
