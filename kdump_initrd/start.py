# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the commands start: a Ctrl-C is heard before their modules are imported, which takes long.

Nothing is imported here that is not needed for that.
"""

from __future__ import annotations

import os
from types import FrameType


def mkinitrd() -> int:
    """Run ``mkinitrd-kdump``, and return its exit status."""
    return _start("kdump-initrd", "cli")


def vmcore() -> int:
    """Run ``vmcore-save``, and return its exit status."""
    return _start("vmcore-save", "vmcoresave")


def _start(name: str, module: str) -> int:
    def leave(number: int, frame: FrameType | None) -> None:
        # At once: an exception could come in the middle of an import that makes something of it.
        os.write(2, f"{name}: error: interrupted: nothing was written\n".encode())
        os._exit(128 + number)

    try:
        import signal

        from .interrupts import SIGNALS

        heard = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
        for number in heard:
            signal.signal(number, leave)
    except KeyboardInterrupt:
        leave(2, None)
    from importlib import import_module

    status: int = import_module(f".{module}", __package__).main()
    for number in heard:
        # What was to be done is done, and the exit status tells it.
        signal.signal(number, signal.SIG_IGN)
    return status
