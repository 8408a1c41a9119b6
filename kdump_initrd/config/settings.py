# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of settings: each has its flag, its meaning and its default here, and nowhere else.

The command line's parser is made from it, and a test compares the man page with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..errors import UsageError


class FinalAction(str, Enum):
    """``--final-action``: what ends the capture kernel's life."""

    REBOOT = "reboot"
    POWEROFF = "poweroff"
    HALT = "halt"


class ToolSource(str, Enum):
    """``--tools``: where the image's shell and tools come from."""

    AUTO = "auto"
    BUSYBOX = "busybox"
    ROOT = "root"


@dataclass(frozen=True)
class CaptureSettings:
    """What a capture initrd is to be; None means that the recipe decides.

    Times are in seconds, 0 switches a timer off. ``hardware`` is None, ("host",), ("generic",) or
    names of sets.
    """

    device: str
    fstype: str
    release: str | None = None
    output: str | None = None
    path: str | None = None
    root: str = "/"
    distro: str | None = None
    hardware: tuple[str, ...] | None = None
    add_modules: tuple[str, ...] = ()
    omit_modules: tuple[str, ...] = ()
    tools: ToolSource = ToolSource.AUTO
    python: str | None = None
    compress: str | None = None
    dump_format: str = "kdump"
    dump_compress: str = "auto"
    dump_level: int = 1
    final_action: FinalAction = FinalAction.REBOOT
    setup_timeout: int = 120
    stall_timeout: int = 180
    timeout: int = 0
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Setting:
    """One row of the table: an attribute of CaptureSettings and its flags.

    ``parse`` turns a word into a value and raises ValueError with a reason for a bad one;
    ``metavar`` is "" for a switch; ``many`` collects repeated flags.
    """

    name: str
    flags: tuple[str, ...]
    metavar: str
    help: str
    parse: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    many: bool = False

    @property
    def default(self) -> Any:  # noqa: ANN401 - as varied as the settings
        """The value where nobody says anything; dataclasses.MISSING where one must be said."""
        return {f.name: f.default for f in dataclasses.fields(CaptureSettings)}[self.name]


def _seconds(word: str) -> int:
    value = int(word) if word.isdigit() else -1
    if not 0 <= value <= 7 * 24 * 3600:
        raise ValueError("whole seconds are wanted, 0 to switch it off, at most a week")
    return value


def _dump_level(word: str) -> int:
    value = int(word) if word.isdigit() else -1
    if not 0 <= value <= 31:
        raise ValueError("a dump level from 0 to 31 is wanted")
    if value > 1:
        raise ValueError("levels above 1 need the page filter, which this version does not have")
    return value


def _sets(word: str) -> tuple[str, ...]:
    names = tuple(word.split(","))
    if not all(names):
        raise ValueError("host, generic or a list of sets without spaces is wanted")
    if len(names) > 1 and {"host", "generic"} & set(names):
        raise ValueError("host and generic stand alone")
    return names


def _values(kind: type[Enum]) -> tuple[str, ...]:
    return tuple(str(member.value) for member in kind)


#: Every setting of a capture initrd, in the order of the help text.
SETTINGS: Sequence[Setting] = (
    Setting("device", ("-c",), "DEV", "write a capture initrd that saves to this device: a path, UUID=, LABEL=, PARTUUID= or PARTLABEL="),
    Setting("fstype", ("-f",), "FS", "the file system on it"),
    Setting("output", ("-o",), "OUT", "the image to write (default: the distribution's name in /boot)"),
    Setting("path", ("--path",), "DIR", "directory for the dumps on the dump file system (default: the distribution's, /var/crash)"),
    Setting("root", ("--root",), "DIR", "build from this root instead of /; nothing of it is run or changed"),
    Setting("distro", ("--distro",), "ID", "the distribution's profile (default: from os-release)"),
    Setting("hardware", ("--hardware",), "SET[,SET]", "storage drivers: host, generic, or sets of the profile (default: host where DEV is here, else generic)", _sets),
    Setting("add_modules", ("--add-module",), "M", "add and load this kernel module too", many=True),
    Setting("omit_modules", ("--omit-module",), "M", "leave this kernel module out", many=True),
    Setting("tools", ("--tools",), "SOURCE", "shell and tools of the image: busybox, the root's own, or auto (busybox where there is one)", ToolSource, _values(ToolSource)),
    Setting("python", ("--python",), "PATH", "the interpreter for the image (default: the root's /usr/bin/python3)"),
    Setting("compress", ("--compress",), "CODEC", "compression of the image (default: the one that needs the smallest reservation)", choices=("zstd", "xz", "gzip", "lz4", "none")),
    Setting("dump_format", ("--dump-format",), "FORMAT", "format of the dump: kdump (kdump-compressed) or elf (sparse)", choices=("kdump", "elf")),
    Setting("dump_compress", ("--dump-compress",), "CODEC", "compression of the dump's pages; auto: LZO, else zstd, else zlib", choices=("auto", "zstd", "lzo", "zlib", "none")),
    Setting("dump_level", ("--dump-level",), "N", "pages to leave out, as makedumpfile's -d: 0 none, 1 zero pages", _dump_level),
    Setting("final_action", ("--final-action",), "ACTION", "what to do after the dump", FinalAction, _values(FinalAction)),
    Setting("setup_timeout", ("--setup-timeout",), "SECONDS", "give up when the dump file system is not mounted by then; 0: never", _seconds),
    Setting("stall_timeout", ("--stall-timeout",), "SECONDS", "give up after so long without progress; 0: never", _seconds),
    Setting("timeout", ("--timeout",), "SECONDS", "give up after so long in all; 0: never", _seconds),
    Setting("force", ("--force",), "", "replace an image that is there"),
    Setting("dry_run", ("--dry-run",), "", "write nothing: print the manifest"),
)  # fmt: skip


def parse(setting: Setting, word: str) -> Any:  # noqa: ANN401
    """Return the value of ``word`` for ``setting``; raises UsageError naming the flag."""
    if setting.choices and word not in setting.choices:
        raise UsageError(
            f"{setting.flags[0]} {word}: unknown value", hint=f"use {', '.join(setting.choices)}"
        )
    try:
        return setting.parse(word)
    except ValueError as error:
        raise UsageError(f"{setting.flags[0]} {word}: not a value", hint=str(error)) from error
