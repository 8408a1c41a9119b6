# SPDX-License-Identifier: GPL-2.0-or-later
"""What the saver says while it works: lines for the kernel log, or for stderr."""

from __future__ import annotations

import os

_PREFIX = "kdump-initrd: "
#: A record of /dev/kmsg holds about 1000 bytes with its prefix (Linux, kernel/printk/printk.c).
_MAX_LINE = 900
#: Priorities of the kernel log (include/linux/kern_levels.h).
ERROR, WARNING, INFO = 3, 4, 6


class Console:
    """Writes one line a message; a console that does not work is no reason to stop."""

    def __init__(self, path: str) -> None:
        """Open a file as /dev/kmsg, which gets priorities; "" means stderr."""
        self._leveled = bool(path)
        self._fd = 2
        if path:
            try:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC
                self._fd = os.open(path, flags, 0o600)
            except OSError as error:
                self._leveled = False
                self.warning(f"{path}: {error.strerror}")

    def info(self, text: str) -> None:
        """Say what is being done."""
        self.say(INFO, text)

    def warning(self, text: str) -> None:
        """Say what is wrong, but does not stop the work."""
        self.say(WARNING, "warning: " + text)

    def error(self, text: str) -> None:
        """Say what could not be done."""
        self.say(ERROR, "error: " + text)

    def hint(self, text: str) -> None:
        """Say how to mend an error."""
        self.say(ERROR, "hint: " + text)

    def say(self, priority: int, text: str) -> None:
        """Write a line with a priority of the kernel log."""
        start = f"<{priority}>{_PREFIX}" if self._leveled else _PREFIX
        line = (start + " ".join(text.splitlines())).encode("utf-8", "replace")
        if len(line) >= _MAX_LINE:
            line = line[: _MAX_LINE - 4] + b"..."
        try:
            os.write(self._fd, line + b"\n")
        except OSError:
            return
