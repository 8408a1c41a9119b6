# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the commands start and end.

A Ctrl-C is handled before their modules are imported, because that takes long. At the end, an error
says so if not all output could be written. Nothing is imported here that this does not need.
"""

from __future__ import annotations

import os
import sys
from types import FrameType

from ..core import exits
from . import standardoutput


def mkinitrd() -> int:
    """Run ``mkinitrd-kdump``, and return its exit status."""
    return _start("kdump-initrd", "mkinitrd")


def admin() -> int:
    """Run ``kdump-initrd``, and return its exit status."""
    return _start("kdump-initrd", "admin")


def vmcore() -> int:
    """Run ``vmcore-save``, and return its exit status."""
    return _start("vmcore-save", "vmcoresave")


def _start(name: str, module: str) -> int:
    def leave(number: int, frame: FrameType | None) -> None:
        # At once: an exception might be caught by an import that is under way.
        os.write(2, f"{name}: error: interrupted: nothing was written\n".encode())
        os._exit(exits.by_signal(number))

    _open_streams()
    standardoutput.name_errors()
    try:
        import signal

        from .interrupts import SIGNALS

        heard = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
        for number in heard:
            signal.signal(number, leave)
    except KeyboardInterrupt:
        leave(2, None)
    from importlib import import_module

    try:
        status: int = import_module(f".{module}", __package__).main()
    except SystemExit as leaving:  # argparse has printed a text that was asked for
        status = int(leaving.code or exits.DONE)
    status = _finish(name, status)
    for number in heard:
        # The work is done, and the exit status tells how it ended.
        signal.signal(number, signal.SIG_IGN)
    return status


def _open_streams() -> None:
    """Open /dev/null for each closed standard stream: an image would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def _finish(name: str, status: int) -> int:
    """Return the exit status: that of an error if an answer could not be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.write(2, f"{name}: error: {error.filename}: {error.strerror}\n".encode())
        return exits.ERROR
    return status
