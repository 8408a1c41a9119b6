# SPDX-License-Identifier: GPL-2.0-or-later
"""The grammar of Red Hat's mkinitrd (4.2, and its later relatives): always a capture initrd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...core.errors import UsageError
from ..options import HIDDEN, Arguments, Parser, add_settings, values
from ..verb import Request
from ..verbs.build import Capture, Images
from . import retired
from .reading import WORDS, Grammar
from .retired import Retired
from .vocabulary import PROGRAM, SHARED, add_shared, add_talk, renamed

USAGE = ("[--dump-dev=DEV --dump-fs=FS] [OPTION]... IMAGE KERNEL_VERSION",)

_EPILOG = "mkinitrd-kdump-grammars(7) explains each option, and the other grammars."

_DEVICE = renamed("device", "--dump-dev", metavar="DEV", text="save to this device")
_FSTYPE = renamed("fstype", "--dump-fs", metavar="FS", text="the file system on it")
_FORCE = renamed("force", "-f", "--force", metavar="", text="replace an existing image")
_ROWS = (*(row for row in SHARED if row.name != _FORCE.name), _DEVICE, _FSTYPE, _FORCE)

_TARGET = "--dump-dev=DEV --dump-fs=FS"
_NO_LAYERS = "a capture initrd assembles what the dump device lies on, and nothing else"
_NO_ROOT = "a capture initrd mounts no root"
_NO_PROBE = "the drivers are those of the dump device, or of --hardware"
#: The first are in the manual of 4.2, the others in later releases or in their successors.
RETIRED = (
    Retired("--omit-scsi-modules", "", "SATA and USB disks are SCSI disks now; --hardware chooses"),
    Retired("--omit-raid-modules", "", _NO_LAYERS),
    Retired("--omit-lvm-modules", "", _NO_LAYERS),
    Retired("--fstab", "FILE", "--dump-fs gives the file system"),
    Retired("--nopivot", "", _NO_ROOT),
    Retired("--omit-dmraid", "", _NO_LAYERS),
    Retired("--omit-ide-modules", "", _NO_PROBE),
    Retired("--force-scsi-probe", "", _NO_PROBE),
    Retired("--force-ide-probe", "", _NO_PROBE),
    Retired("--force-raid-probe", "", _NO_LAYERS),
    Retired("--force-lvm-probe", "", _NO_LAYERS),
    Retired(
        "--allow-missing", "", "a module of a set that the kernel does not have is not an error"
    ),
    Retired("--without", "MODULE", "--omit-module leaves a module out"),
    Retired("--net-dev", "IFACE", "a dump is saved to a disk, and the image has no network"),
    Retired("--rootdev", "DEV", _NO_ROOT),
    Retired("--rootfs", "FS", _NO_ROOT),
    Retired("--rootopts", "OPTIONS", _NO_ROOT),
    Retired("--thawdev", "DEV", "a capture initrd does not resume"),
    Retired("--noresume", "", "a capture initrd does not resume"),
    Retired("--loopdev", "DEV", _NO_ROOT),
    Retired("--dsdt", "FILE", "the capture kernel takes the firmware's ACPI tables"),
)
_PRELOAD = "--preload: the module is loaded after the disk's drivers, not before them"


def parser() -> Parser:
    """Return the parser."""
    parser = Parser(
        prog=PROGRAM,
        usage=USAGE,
        description="Write a capture initrd, with the arguments of Red Hat's mkinitrd.",
        epilog=_EPILOG,
    )
    parser.add_argument(WORDS, nargs="*", metavar="IMAGE KERNEL_VERSION", help=HIDDEN)
    group = parser.add_argument_group("as Red Hat's mkinitrd")
    add_settings(group, (_DEVICE, _FSTYPE, _FORCE))
    group.add_argument(
        "--with",
        dest="with_modules",
        metavar="MODULE",
        action="append",
        help="add and load this kernel module too",
    )
    group.add_argument(
        "--preload", metavar="MODULE", action="append", help="as --with, but loaded before those"
    )
    group.add_argument(
        "--builtin", metavar="MODULE", action="append", help="leave this kernel module out"
    )
    group.add_argument("--image-version", action="store_true", help="append -KERNEL_VERSION")
    group.add_argument("--nocompress", action="store_true", help="as --compress none")
    add_shared(parser, without=(_FORCE.name,))
    retired.add_retired(parser, RETIRED)
    add_talk(parser, verbose=("-v", "--verbose"))
    return parser


def requests(arguments: Arguments) -> list[Request]:
    """Return what is asked for; raises UsageError."""
    if len(arguments.words) != 2 or "" in arguments.words:
        raise UsageError(
            "IMAGE and KERNEL_VERSION are both required",
            hint=f"{PROGRAM} {_TARGET} IMAGE KERNEL_VERSION",
        )
    if arguments.target is None and (arguments.device is None) != (arguments.fstype is None):
        raise UsageError(
            "--dump-dev and --dump-fs belong together",
            hint="leave both out to save to the configured target",
        )
    image, release = arguments.words
    said = {**values(arguments, _ROWS), **_modules(arguments)}
    if arguments.nocompress and said.setdefault("compress", "none") != "none":
        raise UsageError("--nocompress and --compress are mutually exclusive", hint="say one")
    said["output"] = f"{image}-{release}" if arguments.image_version else image
    said["release"] = release
    return [Images((Capture(said, target=_TARGET),))]


def _modules(arguments: Arguments) -> dict[str, Any]:
    words = {
        "add_modules": (arguments.preload, arguments.with_modules, arguments.add_modules),
        "omit_modules": (arguments.builtin, arguments.omit_modules),
    }
    joined = {
        name: tuple(word for part in parts for word in part or ()) for name, parts in words.items()
    }
    if any("" in names for names in joined.values()):
        raise UsageError("--with, --preload, --builtin: the value is empty", hint="name a module")
    return {name: names for name, names in joined.items() if names}


def warnings(arguments: Arguments) -> Iterator[str]:
    """Yield a warning for each option that no longer has a meaning, or has another one."""
    yield from retired.warnings(arguments, RETIRED)
    if arguments.preload:
        yield _PRELOAD


GRAMMAR = Grammar(
    parser=parser,
    marks={
        "device": "--dump-dev",
        "fstype": "--dump-fs",
        "with_modules": "--with",
        "preload": "--preload",
        "builtin": "--builtin",
        "image_version": "--image-version",
        "nocompress": "--nocompress",
        **{row.dest: row.flag for row in RETIRED},
    },
    requests=requests,
    warnings=warnings,
    hint="read as the arguments of Red Hat's mkinitrd: see mkinitrd-kdump-grammars(7)",
)
