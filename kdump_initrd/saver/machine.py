# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image without busybox does by Python: load a kernel module, end the machine's life."""

from __future__ import annotations

import ctypes
import os
import sys

#: reboot(2), include/uapi/linux/reboot.h; glibc's reboot(3) adds the magic numbers.
_COMMANDS = {"reboot": 0x01234567, "poweroff": 0x4321FEDC, "halt": 0xCDEF0123}
#: finit_module(2) by architecture (arch/*/include/…/unistd*.h): no libc wraps it.
_FINIT_MODULE = {
    "x86_64": 313,
    "i386": 350,
    "i686": 350,
    "ppc64": 353,
    "ppc64le": 353,
    "s390x": 344,
    "armv7l": 379,
    "aarch64": 273,
    "riscv64": 273,
}


def load_module(path: str, parameters: str) -> None:
    """Load a kernel module; raises OSError with the kernel's reason. One that is there is fine."""
    libc = ctypes.CDLL(None, use_errno=True)
    machine = os.uname().machine
    if machine not in _FINIT_MODULE:
        raise OSError(0, f"finit_module is not known on {machine}")
    with open(path, "rb", buffering=0) as file:
        number = ctypes.c_long(_FINIT_MODULE[machine])
        if libc.syscall(number, file.fileno(), parameters.encode(), 0) != 0:
            error = ctypes.get_errno()
            if error != 17:  # EEXIST: it is loaded
                raise OSError(error, os.strerror(error))


def end(action: str) -> None:
    """Restart, power off or halt at once; raises OSError when the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.reboot(ctypes.c_int(_COMMANDS[action] - (1 << 32) * (_COMMANDS[action] >> 31))) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def main(argv: list[str]) -> int:
    """``load FILE [PARAMETER]...`` | ``reboot`` | ``poweroff`` | ``halt``; 0 is success."""
    try:
        if argv[:1] == ["load"] and len(argv) > 1:
            load_module(argv[1], " ".join(argv[2:]))
        elif len(argv) == 1 and argv[0] in _COMMANDS:
            end(argv[0])
        else:
            sys.stderr.write("usage: machine load FILE [PARAMETER]... | reboot | poweroff | halt\n")
            return 2
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        return 1
    return 0
