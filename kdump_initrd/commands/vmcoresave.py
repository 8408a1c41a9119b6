# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``vmcore-save``: the saver on a host, from a vmcore or a dump to another dump."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from .. import __version__
from ..config.settings import CAPTURE
from ..core.errors import KdumpInitrdError, UsageError
from ..saver.low.failure import SaverError, SpaceError, describe
from ..saver.low.jsontext import dumps
from ..saver.params import SaverParams
from ..saver.report import SAVED
from ..saver.store.folder import write_all
from .conversion import STDOUT, Conversion, Wishes
from .interrupts import Interrupts
from .options import Parser, add_settings, values
from .output import Talk

_PROGRAM = "vmcore-save"
#: The rows of mkinitrd-kdump's table that mean the same here.
_NAMES = ("dump_format", "dump_compress", "dump_level", "jobs", "keep_free", "verify")
SETTINGS = tuple(setting for setting in CAPTURE if setting.name in _NAMES)

_USAGE = """\
vmcore-save VMCORE DUMPFILE [OPTION]...
       vmcore-save VMCORE - [OPTION]... | PROGRAM
       vmcore-save --dmesg[=FILE] VMCORE"""

_DESCRIPTION = """\
Write the memory in VMCORE (/proc/vmcore, an ELF core, or a kdump-compressed dump, flattened or
not) to DUMPFILE: filtered, compressed, in another format, and verified."""

_EPILOG = """\
DUMPFILE is called DUMPFILE-incomplete until it is whole, and stays so if it does not get whole.
Exit status: 0 all is well, 1 the dump is incomplete or there is none, 2 wrong usage,
128 and the number of the signal that ended it: 130 Ctrl-C, 143 kill."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``vmcore-save`` and return its exit status: 0, 1 (error), 2 (usage) or 128 + a signal."""
    talk = Talk(_PROGRAM)
    with Interrupts() as interrupts:
        try:
            words = list(sys.argv[1:] if argv is None else argv)
            arguments = parser().parse_intermixed_args(list(_split(words)))
            talk = Talk(_PROGRAM, quiet=arguments.quiet, verbose=arguments.verbose)
            wishes = _wishes(arguments)
            status = _convert(wishes, talk, json=arguments.json)
        except KdumpInitrdError as error:
            _complain(talk, error.message, error.hint)
            status = error.exit_status
        except KeyboardInterrupt:
            talk.error("interrupted: nothing was written")
            status = 1
        except Exception as error:
            _complain(talk, describe(error), _hint(error))
            status = 1
    return interrupts.status if status and interrupts.number else status


def _split(words: Sequence[str]) -> Iterator[str]:
    """Yield the words so that --dmesg takes no value but by "=": a name may follow it."""
    options = True
    for word in words:
        options = options and word != "--"
        yield "--dmesg=" if options and word == "--dmesg" else word


def parser() -> argparse.ArgumentParser:
    """Return the complete parser of the command, as shell completions are made from, too."""
    command = Parser(prog=_PROGRAM, usage=_USAGE, description=_DESCRIPTION, epilog=_EPILOG)
    command.add_argument("files", nargs="*", metavar="FILE", help=argparse.SUPPRESS)
    add_settings(command.add_argument_group("the dump"), SETTINGS)
    more = command.add_argument_group("besides")
    more.add_argument(
        "--dmesg",
        metavar="[FILE]",
        help="split out the kernel log: to FILE, to DUMPFILE.dmesg, or to stdout without DUMPFILE",
    )
    more.add_argument("--force", action="store_true", help="replace files that are there")
    more.add_argument("--json", action="store_true", help="print the report on stdout, as JSON")
    talk = command.add_argument_group("talk").add_mutually_exclusive_group()
    talk.add_argument("--verbose", action="store_true", help="say more of what is done")
    talk.add_argument("--quiet", action="store_true", help="say warnings and errors only")
    command.add_argument("--help", action="help", help="print this text")
    version = f"{_PROGRAM} (kdump-initrd) {__version__}"
    command.add_argument("--version", action="version", version=version)
    return command


def _wishes(arguments: argparse.Namespace) -> Wishes:
    """Make sense of the words; raises UsageError."""
    files: list[str] = arguments.files
    log: str | None = arguments.dmesg
    if not files or len(files) > 2 or "" in files or (len(files) == 1 and log is None):
        raise UsageError(
            "VMCORE and DUMPFILE are wanted, or --dmesg and VMCORE",
            hint=f"{_PROGRAM} --help lists the options",
        )
    dump = files[1] if len(files) == 2 else None
    if log == "":
        log = f"{dump}.dmesg" if dump not in (None, STDOUT) else STDOUT
    takers = [dump == STDOUT, log == STDOUT, arguments.json]
    if sum(takers) > 1:
        raise UsageError(
            "two things for stdout: the dump, the log or the report",
            hint="give the dump or the log a file: DUMPFILE, --dmesg=FILE",
        )
    given = values(arguments, SETTINGS)
    if dump == STDOUT:
        _check_stream(given)
        given["dump_format"] = "flat"
    params = SaverParams(vmcore=files[0], **given)
    return Wishes(params, dump=dump, log=log, force=arguments.force)


def _check_stream(given: dict[str, Any]) -> None:
    if given.get("dump_format", "flat") != "flat":
        raise UsageError(
            f"--dump-format {given['dump_format']}: not to stdout",
            hint="a stream can be flat only; or name a DUMPFILE",
        )
    if given.get("verify", "none") != "none":
        raise UsageError(
            f"--verify {given['verify']}: not with stdout", hint="a stream cannot be read back"
        )
    if os.isatty(1):
        raise UsageError(
            "a dump is nothing for a terminal",
            hint=f"{_PROGRAM} VMCORE - | PROGRAM, or name a file",
        )


def _convert(wishes: Wishes, talk: Talk, *, json: bool) -> int:
    """Do it; say what went wrong, and what there is now. Returns the exit status."""
    wishes.check()
    work = Conversion(wishes, talk)
    try:
        work.run()
    except (SaverError, OSError, KeyboardInterrupt) as error:
        hint = _hint(error) if work.report["dump"] is None else None
        _complain(talk, describe(error), hint)
    finally:
        work.close()
    if not work.incomplete:
        for line in work.summary():
            talk.plain(line)
    elif work.incomplete != STDOUT:
        talk.hint(f"what could be saved is in {work.incomplete}")
    if json:
        _print(dumps(work.report, 2))
    return 0 if work.result == SAVED else 1


def _print(text: str) -> None:
    try:
        write_all(1, text.encode() + b"\n")
    except BrokenPipeError:
        return  # nobody listens any more


def _complain(talk: Talk, message: str, hint: str | None) -> None:
    talk.error(message)
    if hint:
        talk.hint(hint)


def _hint(error: BaseException) -> str | None:
    if isinstance(error, SpaceError) and error.code == errno.ENOSPC:
        return "say a higher --dump-level, a lower --keep-free, or another file system"
    return None


if __name__ == "__main__":
    sys.exit(main())
