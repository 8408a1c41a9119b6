# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``vmcore-save`` does: from a vmcore or a dump to another dump, or to its kernel log."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...config.settings import CAPTURE, FIELDS, FORMATS
from ...core import exits
from ...core.errors import UsageError
from ..options import HIDDEN, STDOUT, Arguments, Parser, add_settings, values
from ..verb import Verb

_NAMES = ("dump_format", "dump_compress", "dump_level", "jobs", "keep_free", "verify")
#: The rows of mkinitrd-kdump's table that mean the same here.
SETTINGS = tuple(
    # A dump is what is asked for; its format is not "none".
    replace(row, help=FORMATS, choices=tuple(each for each in row.choices if each != "none"))
    if row.name == "dump_format"
    else row
    for row in CAPTURE
    if row.name in _NAMES
)


@dataclass(frozen=True)
class Convert(Verb):
    """Rewrite ``vmcore`` as ``dump``, and its kernel log as ``log``; None for neither.

    ``said`` are values by the names of settings; ``force`` replaces existing files. ``json`` prints
    the report; ``quiet`` and ``verbose`` say how much is printed about the work.
    """

    vmcore: str
    dump: str | None
    log: str | None
    said: Mapping[str, Any]
    force: bool = False
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    name = "convert"
    usage = (
        "VMCORE DUMPFILE [OPTION]...",
        "VMCORE - [OPTION]... | PROGRAM",
        "--dmesg[=FILE] VMCORE",
    )
    summary = """\
Write the memory in VMCORE (/proc/vmcore, an ELF core, or a kdump-compressed dump, flattened or
not) to DUMPFILE: filtered, compressed, in another format, and verified."""

    @classmethod
    def configure(cls, parser: Parser) -> None:
        """See Verb."""
        parser.add_argument("files", nargs="*", metavar="FILE", help=HIDDEN)
        add_settings(parser.group("the dump"), SETTINGS)
        more = parser.group("besides")
        more.add_argument(
            "--dmesg",
            metavar="[FILE]",
            help="split out the kernel log: to FILE, to DUMPFILE.dmesg, or to stdout without "
            "DUMPFILE",
        )
        more.add_argument("--force", action="store_true", help="replace existing files")
        more.add_argument("--json", action="store_true", help="print the report on stdout, as JSON")

    @classmethod
    def read(cls, arguments: Arguments) -> Convert:
        """See Verb."""
        files: list[str] = arguments.files
        log: str | None = arguments.dmesg
        if not files or len(files) > 2 or "" in files or (len(files) == 1 and log is None):
            raise UsageError(
                "expected VMCORE and DUMPFILE, or --dmesg and VMCORE",
                hint="vmcore-save --help lists the options",
            )
        dump = files[1] if len(files) == 2 else None
        if log == "":
            log = f"{dump}.dmesg" if dump not in (None, STDOUT) else STDOUT
        takers = [dump == STDOUT, log == STDOUT, arguments.json]
        if sum(takers) > 1:
            raise UsageError(
                "more than one of the dump, the log and the report for stdout",
                hint="give the dump or the log a file: DUMPFILE, --dmesg=FILE",
            )
        said = values(arguments, SETTINGS)
        if dump == STDOUT:
            _check_stream(said)
        flags = {name: getattr(arguments, name) for name in ("force", "json", "quiet", "verbose")}
        return cls(files[0], dump, log, said, **flags)

    def run(self) -> int:
        """See Verb. It reports what went wrong, and which files there are now."""
        from ...saver.low.failure import SaverError
        from ...saver.low.jsontext import dumps
        from ...saver.params import Params
        from ...saver.report import SAVED
        from ..conversion import Conversion, Wishes
        from ..output import Talk

        talk = Talk("vmcore-save", quiet=self.quiet, verbose=self.verbose)
        fields = {FIELDS[name]: value for name, value in self.said.items()}
        params = Params(vmcore=self.vmcore).changed(fields)
        wishes = Wishes(params, dump=self.dump, log=self.log, force=self.force)
        wishes.check()
        work = Conversion(wishes, talk)
        try:
            work.run()
        except (SaverError, OSError, KeyboardInterrupt) as error:
            talk.complain(error, hint=work.report["dump"] is None)
        finally:
            work.close()
        if not work.incomplete:
            for line in work.summary():
                talk.plain(line)
        elif work.incomplete != STDOUT:
            talk.hint(f"what could be saved is in {work.incomplete}")
        if self.json:
            _print(dumps(work.report, 2))
        return exits.DONE if work.result == SAVED else exits.ERROR


def _check_stream(said: dict[str, Any]) -> None:
    if said.get("dump_format", "flat") != "flat":
        raise UsageError(
            f"--dump-format {said['dump_format']}: not to stdout",
            hint="use --dump-format flat, or name a DUMPFILE",
        )
    if said.get("verify", "none") != "none":
        raise UsageError(
            f"--verify {said['verify']}: not with stdout", hint="a stream cannot be read back"
        )
    if os.isatty(1):
        raise UsageError(
            "a dump is not written to a terminal",
            hint="vmcore-save VMCORE - | PROGRAM, or name a file",
        )


def _print(text: str) -> None:
    from ...saver.store.diskfile import write_all

    try:
        write_all(1, text.encode() + b"\n")
    except BrokenPipeError:
        return  # nobody reads it any more
