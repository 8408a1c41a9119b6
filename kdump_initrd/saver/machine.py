# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image without busybox does by Python: load a kernel module, restart or power off."""

from __future__ import annotations

import ctypes
import os
import sys

from .arch import of_uname
from .low.kernelline import parameters as parameters_of

#: reboot(2), include/uapi/linux/reboot.h; glibc's reboot(3) adds the magic numbers.
_COMMANDS = {"reboot": 0x01234567, "poweroff": 0x4321FEDC, "halt": 0xCDEF0123}


def load_module(path: str, parameters: str) -> None:
    """Load a kernel module, unless it is loaded; raises OSError with the kernel's reason."""
    libc = ctypes.CDLL(None, use_errno=True)
    machine = os.uname().machine
    number = of_uname(machine).finit_module
    if not number:
        raise OSError(0, f"finit_module is not known on {machine}")
    with open(path, "rb", buffering=0) as file:
        words = parameters.encode("utf-8", "surrogateescape")
        # No libc wraps finit_module(2).
        if libc.syscall(ctypes.c_long(number), file.fileno(), words, 0) != 0:
            error = ctypes.get_errno()
            if error != 17:  # EEXIST: it is loaded
                raise OSError(error, os.strerror(error))


def load_modules(listing: str, cmdline: str = "/proc/cmdline") -> int:
    """Load the modules of a list in its order, and name those that fail; return how many loaded.

    A line is a path and the module's parameters. Those on the kernel's command line are appended:
    the last value of a parameter counts, as with modprobe. The files are removed: they take memory.
    """
    loaded = 0
    given = parameters_of(_read(cmdline) if os.path.exists(cmdline) else "")
    for line in _read(listing).splitlines():
        path, _, parameters = line.partition(" ")
        file = path.rpartition("/")[2]
        extra = given.get(file.partition(".")[0].replace("-", "_"), "")
        try:
            _load(path, parameters, extra)
            loaded += 1
        except OSError as error:
            print(f"{file}: {error.strerror}")
        if os.path.exists(path):
            os.unlink(path)
    return loaded


def _load(path: str, parameters: str, extra: str) -> None:
    """Load a module; where it refuses what the command line has for it, without that."""
    try:
        load_module(path, f"{parameters} {extra}".strip())
    except OSError:
        if not extra:
            raise
        load_module(path, parameters)
        print(f"{path.rpartition('/')[2]}: refused these parameters of the command line: {extra}")


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def end(action: str) -> None:
    """Restart, power off or halt at once; raises OSError when the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.reboot(ctypes.c_int(_COMMANDS[action] - (1 << 32) * (_COMMANDS[action] >> 31))) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def kernel_log() -> str:
    """Return this kernel's own log, with the priority of each line before it, as dmesg -r.

    (klogctl(3): 3 reads all of the ring buffer, 10 tells its size.)
    """
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(max(libc.klogctl(10, None, 0), 1 << 14))
    size = max(libc.klogctl(3, buffer, len(buffer)), 0)
    return buffer.raw[:size].decode("utf-8", "replace")


def main(argv: list[str]) -> int:
    """``load LIST`` | ``log`` | ``reboot`` | ``poweroff`` | ``halt``; 0 is success."""
    try:
        if argv[:1] == ["load"] and len(argv) == 2:
            print(f"{load_modules(argv[1])} kernel modules loaded")
        elif argv == ["log"]:
            sys.stdout.write(kernel_log())
        elif len(argv) == 1 and argv[0] in _COMMANDS:
            end(argv[0])
        else:
            sys.stderr.write("usage: machine load LIST | log | reboot | poweroff | halt\n")
            return 2
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        return 1
    return 0
