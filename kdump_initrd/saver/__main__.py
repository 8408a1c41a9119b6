# SPDX-License-Identifier: GPL-2.0-or-later
"""The saver's main(): no exception leaves it, only an exit status."""

from __future__ import annotations

import os
import sys

from .commandline import help_text, parse
from .low.console import Console
from .low.failure import describe
from .params import ParamsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .commandline import Request

#: Exit statuses, see main; the image's shell adds 64 to all but 0 (templates/python.j2).
SAVED, INCOMPLETE, USAGE, FAILED, REFUSED = 0, 1, 2, 3, 4


def main(argv: list[str]) -> int:
    """Do what the arguments (without the program's name) ask for; return the exit status.

    0: the dump is complete under its final name and safe on the disk (or the log was printed, or
       saved where nothing else was asked for);
    1: the dump is incomplete, but it is there, readable and marked, and the report says why;
    2: the arguments or parameters are wrong, nothing was done;
    3: no dump at all could be saved (or no log printed), whatever the reason;
    4: there is no room for a dump (besides what must stay free) at any level: nothing is wrong
       with the saver, and no other tool should fill the disk.
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
        console = Console(request.params.talk.console)
        if request.emergency:
            from .emergency import save_little

            return INCOMPLETE if save_little(request, console) else FAILED
        return _save(request, console)
    except BaseException as error:
        console.error(describe(error))
        return FAILED


def _save(request: Request, console: Console) -> int:
    from .save import Save

    save = Save(request, console)
    try:
        save.run()
        save.close()
    except BaseException as error:  # what is on the disk by now stays there
        console.error(describe(error))
    results = {"saved": SAVED, "log": SAVED, "incomplete": INCOMPLETE, "refused": REFUSED}
    return results.get(save.result, FAILED)


def _print_log(path: str) -> None:
    from .crash.kernellog import save_log
    from .crash.panic import LogFacts
    from .formats.dumpfile import open_dump
    from .memory.vmcoreinfo import VmcoreInfo
    from .store.stream import StreamLines

    memory = open_dump(path)
    save_log(memory, VmcoreInfo(memory.notes.vmcoreinfo), LogFacts(), StreamLines(1))
    memory.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
