# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of settings: each has its flag, its meaning and its default here, and only here.

(A setting that the image must know has its default and range in the contract.) The command line's
parser is made from the table, and a test compares the man page with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..core.compression import PACKED, Codec
from ..core.errors import UsageError
from ..saver.params import CHOICES, DumpParams, LimitParams, TargetParams
from . import settingvalues
from .targetsettings import LAYERS, TargetSettings


class ToolSource(str, Enum):
    """``--tools``: where the image's shell and tools come from."""

    AUTO = "auto"
    BUSYBOX = "busybox"
    ROOT = "root"


@dataclass(frozen=True)
class CommonSettings:
    """The settings that all images share; None means that the recipe decides.

    ``hardware`` is None, ("host",), ("generic",) or names of sets.
    """

    release: str | None = None
    output: str | None = None
    root: str = "/"
    distro: str | None = None
    hardware: tuple[str, ...] | None = None
    add_modules: tuple[str, ...] = ()
    omit_modules: tuple[str, ...] = ()
    tools: ToolSource = ToolSource.AUTO
    compress: str | None = None
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class CaptureSettings(CommonSettings):
    """The settings of a capture initrd; None means that the recipe decides.

    Times are in seconds; 0 switches a timer off. ``targets`` are tried in their order.
    """

    targets: tuple[TargetSettings, ...] = (TargetSettings(),)
    python: str | None = None
    collector: str = "saver"
    dump_format: str = DumpParams.format
    dump_compress: str = DumpParams.compress
    dump_level: int = DumpParams.level
    jobs: int = DumpParams.jobs
    keep_free: int = TargetParams.keep_free
    keep: int = TargetParams.keep
    max_age: int = TargetParams.max_age
    max_use: int = TargetParams.max_use
    loop_crashes: int = LimitParams.loop_crashes
    loop_minutes: int = LimitParams.loop_minutes
    verify: str = DumpParams.verify
    fsck: bool = False
    hooks: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    final_action: str = LimitParams.final_action
    failure_action: str = LimitParams.failure_action
    setup_timeout: int = TargetParams.deadline
    stall_timeout: int = LimitParams.stall
    timeout: int | None = None
    floor_rate: int = LimitParams.floor_rate


@dataclass(frozen=True)
class FirstKernelSettings(CommonSettings):
    """The settings of the first kernel's initrd; None means that the recipe decides.

    ``capture_kernel`` is a path or a release. ``base`` is the initrd to which a segment is
    appended; ``standalone`` makes a whole initrd instead, for the root on ``root_device``, which
    has a file system of type ``fstype``. ``remove_cmdline`` are names of parameters that are not
    taken over from the running kernel, ``inherit_cmdline`` words in place of all that would be.
    """

    fstype: str | None = None
    capture_initrd: str = ""
    capture_kernel: str = ""
    base: str | None = None
    in_place: bool = False
    append_cmdline: str = ""
    remove_cmdline: str = ""
    inherit_cmdline: str = ""
    standalone: bool = False
    root_device: str | None = None


@dataclass(frozen=True)
class HostSettings:
    """What is kept current on a host: which images, for which kernels, and the reservation.

    ``kernels`` is ("all",), ("newest",), ("running",) or kernel releases; ``crashkernel`` is "auto"
    or what ``reserve --set`` takes, which ``automatic`` lets ``--refresh`` do; with ``shrink`` the
    rest is given back when it is loaded.
    """

    images: tuple[str, ...] = ("capture", "first-kernel")
    kernels: tuple[str, ...] = ("all",)
    crashkernel: str = "auto"
    shrink: bool = False
    automatic: bool = False


@dataclass(frozen=True)
class Setting:
    """One row of the table: an attribute of the settings and its flags.

    ``parse`` turns a word into a value, and raises ValueError with a reason for a bad one;
    ``written`` turns a value into what a file has for it; ``metavar`` is "" for a switch; ``many`` collects repeated flags. A row without flags can only
    be configured.
    """

    name: str
    flags: tuple[str, ...]
    metavar: str
    help: str
    parse: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    many: bool = False
    written: Callable[[Any], Any] = settingvalues.as_it_is

    @property
    def is_text(self) -> bool:
        """Whether the value is the word itself, which must not be empty then."""
        return self.parse in (str, settingvalues.plain, settingvalues.place)

    @property
    def is_number(self) -> bool:
        """Whether the value is a number."""
        return self.metavar in ("N", "SECONDS", "MINUTES", "DAYS", "PERCENT", "MIB")

    @property
    def default(self) -> Any:  # noqa: ANN401 - as varied as the settings
        """The value if nothing sets it."""
        kinds = (CaptureSettings, FirstKernelSettings, TargetSettings, HostSettings)
        rows = (row for kind in kinds for row in dataclasses.fields(kind))
        return {row.name: row.default for row in rows}.get(self.name)


#: What the formats of a dump are.
FORMATS = (
    "format of the dump: kdump (kdump-compressed), elf (sparse) or flat (kdump-compressed, "
    "flattened for streams)"
)
#: The settings of a capture initrd alone, in the order of the help text.
CAPTURE: Sequence[Setting] = (
    Setting("device", ("-c",), "DEV", "write a capture initrd that saves to this device: a path, UUID=, LABEL=, PARTUUID= or PARTLABEL=", settingvalues.place),
    Setting("target", ("--target",), "TO", "the same of any target: such a device, or file:///DIR for the one that holds a folder", settingvalues.place),
    Setting("path", ("--path",), "DIR", "directory for the dumps on the dump file system (default: the distribution's, /var/crash)", settingvalues.plain),
    Setting("deadline", ("--deadline",), "SECONDS", "give up a target that is not mounted after this time; 0: never (default: as --setup-timeout)", settingvalues.number("deadline")),
    Setting("layers", ("--layer",), "LAYER", "what a device that is not on this host lies on; the image assembles what it finds of that; may be repeated", choices=LAYERS, many=True),
    Setting("python", ("--python",), "PATH", "the interpreter for the image (default: the root's /usr/bin/python3)"),
    Setting("collector", ("--collector",), "WHAT", "what writes the dump: the saver, or makedumpfile; if makedumpfile fails, the saver takes over", choices=("saver", "makedumpfile")),
    Setting("dump_format", ("--dump-format",), "FORMAT", f"{FORMATS}; none: save the kernel log only", choices=CHOICES["format"]),
    Setting("dump_compress", ("--dump-compress",), "CODEC", "compression of the dump's pages; auto: the fastest whose library is installed and that the distribution's dump readers support", choices=CHOICES["compress"]),
    Setting("dump_level", ("--dump-level",), "N", "pages to leave out, as makedumpfile's -d, the sum of: 1 zero pages, 2 page cache, 4 page cache with private data, 8 user data, 16 free pages", settingvalues.number("level")),
    Setting("jobs", ("--jobs",), "N", "workers that save in parallel; 0: one per processor", settingvalues.number("jobs")),
    Setting("keep_free", ("--keep-free",), "PERCENT", "how much of the dump file system stays free: per cent, or a size as 512M", settingvalues.kept_free, written=settingvalues.kept_free_text),
    Setting("keep", ("--keep",), "N", "where there is no room for the dump, remove older crashes, except for so many of the newest; 0: keep all", settingvalues.number("keep")),
    Setting("max_age", ("--max-age",), "DAYS", "where there is no room for the dump, remove crashes that are older; 0: none", settingvalues.number("max_age")),
    Setting("max_use", ("--max-use",), "MIB", "remove older crashes where all of them would take more; 0: any size", settingvalues.number("max_use")),
    Setting("loop_crashes", ("--loop-crashes",), "N", "save only the kernel log if there were so many crashes in the time of --loop-minutes; 0: save each", settingvalues.number("loop_crashes")),
    Setting("loop_minutes", ("--loop-minutes",), "MINUTES", "the time for --loop-crashes", settingvalues.number("loop_minutes")),
    Setting("verify", ("--verify",), "HOW", "compare the finished dump with memory: none, a sample of its pages, or the full dump", choices=CHOICES["verify"]),
    Setting("fsck", ("--fsck",), "", "if a dump file system cannot be mounted, repair it by its own tool, as long as its deadline allows"),
    Setting("hooks", ("--hook",), "STAGE:FILE", "run this program of the root in a stage of the capture, with what it needs; may be repeated", settingvalues.hook, many=True),
    Setting("programs", ("--add-program",), "FILE", "add this program or file of the root to the image, with its libraries; may be repeated", settingvalues.plain, many=True),
    Setting("final_action", ("--final-action",), "ACTION", "what to do after the dump", choices=CHOICES["final_action"]),
    Setting("failure_action", ("--failure-action",), "ACTION", "what to do if no target has taken the whole dump; final: the final action; shell: start a shell on the console, and do the final action when it ends", choices=CHOICES["failure_action"]),
    Setting("setup_timeout", ("--setup-timeout",), "SECONDS", "give up if the dump file system is not mounted after this time; 0: never", settingvalues.number("deadline")),
    Setting("stall_timeout", ("--stall-timeout",), "SECONDS", "give up after this time without progress; 0: never", settingvalues.number("stall")),
    Setting("timeout", ("--timeout",), "SECONDS", "give up after this total time; 0: never (default: the deadlines of all targets and the time of the dump at the floor rate, at least 600)", settingvalues.number("overall")),
    Setting("floor_rate", ("--floor-rate",), "MIB", "give up a target where saving is slower than this, in MiB of memory a second; 0: never", settingvalues.number("floor_rate")),
)  # fmt: skip
#: The settings of the first kernel's initrd alone.
FIRST_KERNEL: Sequence[Setting] = (
    Setting("capture_initrd", ("-i",), "CAPTURE_INITRD", "write an initrd for the regular kernel that loads this capture initrd"),
    Setting("capture_kernel", ("-v",), "CAPTURE_KERNEL", "and this capture kernel: a path, or a release in /boot"),
    Setting("base", ("--base",), "FILE", "the initrd to append to (default: the distribution's own for KERNEL_VERSION)"),
    Setting("in_place", ("--in-place",), "", "replace the base with the result; --strip undoes it"),
    Setting("append_cmdline", ("--append-cmdline",), "WORDS", "additional parameters for the capture kernel's command line", settingvalues.words),
    Setting("remove_cmdline", ("--remove-cmdline",), "NAMES", "parameters of the running kernel that the capture kernel does not get, with * for any end of a name", settingvalues.names),
    Setting("inherit_cmdline", ("--inherit-cmdline",), "WORDS", "parameters that the capture kernel gets in place of the running kernel's", settingvalues.words),
    Setting("standalone", ("--standalone",), "", "write a complete initrd, without a base"),
    Setting("root_device", ("--root-device",), "DEV", "with --standalone: the root device, whose drivers the image needs (default: root= of the running kernel, else /etc/fstab)", settingvalues.plain),
)  # fmt: skip
#: The settings of both.
COMMON: Sequence[Setting] = (
    Setting("fstype", ("-f",), "FS", "the type of the file system on the device (with -i: of the root, if it cannot be detected)", settingvalues.plain),
    Setting("output", ("-o",), "OUT", "the image to write (default: the distribution's name)"),
    Setting("root", ("--root",), "DIR", "build from this root instead of /; nothing of it is run or changed"),
    Setting("distro", ("--distro",), "ID", "the distribution's profile (default: from os-release)", settingvalues.plain),
    Setting("hardware", ("--hardware",), "SET[,SET]", "storage drivers: host, generic, or sets of the profile (default: host if the device is present here, else generic)", settingvalues.sets),
    Setting("add_modules", ("--add-module",), "M", "add and load this kernel module too", settingvalues.plain, many=True),
    Setting("omit_modules", ("--omit-module",), "M", "leave this kernel module out", settingvalues.plain, many=True),
    Setting("tools", ("--tools",), "SOURCE", "shell and tools of the image: busybox, the root's own, or auto (busybox if the root has it)", ToolSource, settingvalues.values(*ToolSource)),
    Setting("compress", ("--compress",), "CODEC", "compression of the image (default: the one that needs the smallest reservation)", choices=settingvalues.values(*PACKED, Codec.NONE)),
    Setting("force", ("--force",), "", "replace an existing image; with -i: also accept a capture initrd of another tool"),
    Setting("dry_run", ("--dry-run",), "", "print the manifest; do not write anything"),
)  # fmt: skip
#: What is kept current on a host; these can only be configured.
HOST: Sequence[Setting] = (
    Setting("images", (), "IMAGE[,IMAGE]", "the images that --refresh keeps current", settingvalues.images),
    Setting("kernels", (), "WHICH", "the kernels that --refresh builds images for: all, newest, running, or a list of releases", settingvalues.kernels),
    Setting("crashkernel", (), "SIZE", "what kdump-initrd reserve --set puts on the kernel's command line: auto, or sizes as behind crashkernel=", settingvalues.words),
    Setting("shrink", (), "", "kdump-initrd load gives back what is reserved beyond what the image needs"),
    Setting("automatic", (), "", "--refresh, and so the package, does what kdump-initrd reserve --set does, where that is missing"),
)  # fmt: skip
#: Settings that the image gets unchanged, and their fields in the contract (saver/params.py); fields
#: of a target are the same for all targets.
FIELDS: Mapping[str, str] = {
    "dump_format": "dump.format",
    "dump_compress": "dump.compress",
    "dump_level": "dump.level",
    "jobs": "dump.jobs",
    "verify": "dump.verify",
    "keep_free": "target.keep_free",
    "keep": "target.keep",
    "max_age": "target.max_age",
    "max_use": "target.max_use",
    "loop_crashes": "limits.loop_crashes",
    "loop_minutes": "limits.loop_minutes",
    "final_action": "limits.final_action",
    "failure_action": "limits.failure_action",
    "stall_timeout": "limits.stall",
    "floor_rate": "limits.floor_rate",
}
#: Every setting that has a flag.
SETTINGS: Sequence[Setting] = (*CAPTURE, *FIRST_KERNEL, *COMMON)


def parse(setting: Setting, word: str) -> Any:  # noqa: ANN401
    """Return the value of ``word`` for ``setting``; raises UsageError naming the flag."""
    name = setting.flags[0] if setting.flags else setting.name
    if setting.choices and word not in setting.choices:
        raise UsageError(f"{name} {word}: unknown value", hint=f"use {', '.join(setting.choices)}")
    try:
        return setting.parse(word)
    except ValueError as error:
        # A terminal executes some unprintable characters.
        shown = "".join(c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in word)
        raise UsageError(f"{name} {shown}: not a value", hint=str(error)) from error
