# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the commands start: a Ctrl-C is heard before their modules are imported, which takes long.

And where they end: what was printed has arrived, or it is said that it has not. Nothing is imported
here that is not needed for that.
"""

from __future__ import annotations

import errno
import os
import sys
from types import FrameType

from ..core import exits


def mkinitrd() -> int:
    """Run ``mkinitrd-kdump``, and return its exit status."""
    return _start("kdump-initrd", "mkinitrd")


def vmcore() -> int:
    """Run ``vmcore-save``, and return its exit status."""
    return _start("vmcore-save", "vmcoresave")


def _start(name: str, module: str) -> int:
    def leave(number: int, frame: FrameType | None) -> None:
        # At once: an exception could come in the middle of an import that makes something of it.
        os.write(2, f"{name}: error: interrupted: nothing was written\n".encode())
        os._exit(exits.by_signal(number))

    _open_streams()
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
        # What was to be done is done, and the exit status tells it.
        signal.signal(number, signal.SIG_IGN)
    return status


def _open_streams() -> None:
    """Open /dev/null where a standard stream is closed: an image would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def _finish(name: str, status: int) -> int:
    """Return the exit status: an error instead of none where what was printed has not arrived."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # The interpreter would try it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno != errno.EPIPE and not status:  # `| head`: nobody wants more of it
            os.write(2, f"{name}: error: standard output: {error.strerror}\n".encode())
            return exits.ERROR
    return status
