# SPDX-License-Identifier: GPL-2.0-or-later
"""The saver's main(): nothing gets past it but an exit status."""

from __future__ import annotations

import os
import sys

from .commandline import help_text, parse
from .console import Console
from .failure import describe
from .params import ParamsError

#: Exit statuses: the dump is saved; something could not be done and was said; wrong usage.
SAVED, FAILED, USAGE = 0, 1, 2


def main(argv: list[str]) -> int:
    """Do what the arguments (without the program's name) ask for; return the exit status.

    0: the dump is complete under its final name (or the log was printed); 1: it is not, the
    report and the console say why; 2: the arguments or parameters are wrong, nothing was done.
    Raises nothing.
    """
    console = Console("")
    try:
        request = parse(argv)
    except ParamsError as error:
        console.error(str(error))
        console.hint("--help lists the options")
        return USAGE
    except BaseException as error:
        console.error(describe(error))
        return FAILED
    try:
        if request.help:
            os.write(1, help_text().encode())
            return SAVED
        if request.dmesg:
            _print_log(request.dmesg)
            return SAVED
        console = Console(request.params.console)
        from .save import Save

        save = Save(request.params, console)
        save.run()
        save.close()
        return SAVED if save.is_complete else FAILED
    except BaseException as error:
        console.error(describe(error))
        return FAILED


def _print_log(path: str) -> None:
    from .dmesg import log_lines
    from .dumpfile import open_dump
    from .folder import write_all
    from .vmcoreinfo import VmcoreInfo

    memory = open_dump(path)
    for line in log_lines(memory, VmcoreInfo(memory.notes.vmcoreinfo)):
        write_all(1, line)
    memory.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
