# SPDX-License-Identifier: GPL-2.0-or-later
"""A small tree that a package is installed into: its programs write down how they were called.

The scripts of a package run in it, by chroot: busybox is its shell and its tools.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from kdump_initrd.core.run import Result, run
from tests.vm.tools import tool

_APPLETS = ("cat", "chmod", "cp", "dirname", "find", "grep", "id", "ln", "ls", "mkdir", "mktemp",
            "mv", "readlink", "realpath", "rm", "rmdir", "sed", "sh", "sort", "touch", "tr",
            "uname", "xargs")  # fmt: skip
#: Writes its words into /calls.
_RECORDER = """\
#!/bin/sh
echo "${0##*/} $*" >>/calls
"""
#: Their exit status is what /status says: the interpreter stands for our command.
_FAILING = ("usr/bin/python3",)
_PASSING = tuple(
    f"usr/bin/{name}"
    for name in ("deb-systemd-helper", "logger", "py3clean", "py3compile", "systemctl")
)
_COMMAND = re.compile(r"python3 -I (?:/usr)?/sbin/(?:mkinitrd-kdump|kdump-initrd) ")


class SmallRoot:
    """The tree, and what was called in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("usr/bin", "usr/sbin", "usr/lib", "etc", "tmp", "var/lib", "boot", "dev"):
            (path / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib"):
            (path / name).symlink_to(f"usr/{name}")
        (path / "dev/null").touch(mode=0o666)
        shutil.copy(tool("busybox"), path / "usr/bin/busybox")
        for applet in _APPLETS:
            (path / "usr/bin" / applet).symlink_to("busybox")
        for name in (*_PASSING, *_FAILING):
            text = _RECORDER + ('exit "$(cat /status)"\n' if name in _FAILING else "")
            (path / name).write_text(text)
            (path / name).chmod(0o755)
        self.fail(status=0)

    def fail(self, *, status: int = 1) -> None:
        """Let our command end with this exit status from now on."""
        (self.path / "status").write_text(f"{status}\n")

    def calls(self) -> list[str]:
        """Return what was called since the last time."""
        record = self.path / "calls"
        lines = record.read_text().splitlines() if record.exists() else []
        record.unlink(missing_ok=True)
        return lines

    def enter(self, *argv: str) -> Result:
        """Run a program in the tree; raises KdumpInitrdError."""
        # The folder for temporary files is the host's.
        environment = {name: text for name, text in os.environ.items() if name != "TMPDIR"}
        return run([tool("chroot"), self.path, *argv], timeout=60, environment=environment)

    def files(self) -> set[str]:
        """Return the paths of everything in the tree but what package managers keep."""
        own = ("calls", "var/lib/rpm", "var/lib/dpkg", "var/cache/ldconfig", "usr/lib/sysimage")
        names = (path.relative_to(self.path) for path in self.path.rglob("*"))
        return {str(name) for name in names if not any(map(name.is_relative_to, own))}


def ours(calls: Sequence[str]) -> list[str]:
    """Return the words that our commands were called with, once a call."""
    return [call[match.end() :] for call in calls if (match := _COMMAND.match(call))]
