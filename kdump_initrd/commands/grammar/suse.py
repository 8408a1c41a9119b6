# SPDX-License-Identifier: GPL-2.0-or-later
"""The grammar of SLES's mkinitrd (1.2): capture initrds, one for each kernel of a list."""

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

USAGE = ("[-v DEV -f FS] -k KERNEL -i IMAGE [OPTION]... [ROOT_DIR]",)

_EPILOG = "mkinitrd-kdump-grammars(7) explains each option, and the other grammars."

_DEVICE = renamed("device", "-v", metavar="DEV", text="save to this device")
_FSTYPE = renamed("fstype", "-f", metavar="FS", text="the file system on it")
_ROWS = (*SHARED, _DEVICE, _FSTYPE)
_BOOT = "/boot"
_TARGET = "-v DEV -f FS"

_NO_ROOT = "a capture initrd mounts no root"
_ONE_FORMAT = "the image is always an initramfs"
RETIRED = (
    Retired("-d", "ROOT_DEVICE", f"{_NO_ROOT}; -v gives the dump device"),
    Retired("-u", "MODULES", "a Xen guest's drivers are in --hardware xen"),
    Retired("-s", "SIZE", "a capture initrd has no splash"),
    Retired("-t", "TMP_DIR", "there is no temporary tree"),
    Retired("-a", "DSDT", "the capture kernel takes the firmware's ACPI tables"),
    Retired("-e", "", "programs come with the libraries that they need"),
    Retired("-P", "", "--hardware generic has the drivers of other machines' disks"),
    Retired("-V", "SCRIPT", "put your own scripts into /etc/kdump-initrd/hooks"),
    Retired("-M", "MAP", "System.map is not needed"),
    Retired("-j", "DEVICE", _NO_ROOT),
    Retired("-S", "", "a capture initrd has no SELinux policy to load"),
    Retired("-r", "", _ONE_FORMAT),
    Retired("-R", "", _ONE_FORMAT),
    Retired("-A", "", "--hardware generic has the drivers of other machines"),
)


def parser() -> Parser:
    """Return the parser."""
    parser = Parser(
        prog=PROGRAM,
        usage=USAGE,
        description="Write capture initrds, with the arguments of SLES's mkinitrd.",
        epilog=_EPILOG,
    )
    parser.add_argument(WORDS, nargs="*", metavar="ROOT_DIR", help=HIDDEN)
    group = parser.add_argument_group("as SLES's mkinitrd")

    def add(flag: str, name: str, metavar: str, text: str) -> None:
        group.add_argument(flag, dest=name, metavar=metavar, help=text)

    add("-k", "kernels", "KERNELS", "the capture kernels: paths, or names in the boot directory")
    add("-i", "images", "IMAGES", "the images to write, one for each kernel, in that order")
    add_settings(group, (_DEVICE, _FSTYPE))
    add("-m", "modules", "MODULES", "add and load these kernel modules too")
    add("-b", "boot", "BOOT_DIR", f"where names without a slash are (default: {_BOOT})")
    add("-D", "dhcp", "IFACE", "refused: the image has no network")
    add("-I", "static", "IFACE", "refused: the image has no network")
    add_shared(parser)
    retired.add_retired(parser, RETIRED)
    add_talk(parser)
    return parser


def requests(arguments: Arguments) -> list[Request]:
    """Return what is asked for, an image for each kernel; raises UsageError."""
    for flag, iface in (("-D", arguments.dhcp), ("-I", arguments.static)):
        if iface is not None:
            raise UsageError(
                f"{flag} {iface}: a capture initrd has no network",
                hint=f"save to a disk of this machine: {_TARGET}",
            )
    kernels, images = _pairs(arguments)
    if arguments.target is None and (arguments.device is None) != (arguments.fstype is None):
        raise UsageError(
            "-v and -f belong together: the dump device, and the file system on it",
            hint="leave both out to save to the configured target; --verbose prints more",
        )
    said = {**values(arguments, _ROWS), **_root(arguments), **_modules(arguments)}
    boot = "/" + (arguments.boot or _BOOT).strip("/")
    captures = (
        Capture({**said, "output": _output(image, boot, said)}, kernel, boot, _TARGET)
        for kernel, image in zip(kernels, images)
    )
    return [Images(tuple(captures))]


def _pairs(arguments: Arguments) -> tuple[list[str], list[str]]:
    kernels = (arguments.kernels or "").split()
    images = (arguments.images or "").split()
    if not kernels or len(kernels) != len(images):
        raise UsageError(
            f"-k and -i belong together: {len(kernels)} kernels, {len(images)} images",
            hint='an image for each kernel, in that order: -k "vmlinuz-A vmlinuz-B" -i "a b"',
        )
    if len(set(images)) != len(images):
        raise UsageError(f"-i {arguments.images}: the same image twice", hint="one for each kernel")
    return kernels, images


def _root(arguments: Arguments) -> dict[str, Any]:
    words: list[str] = arguments.words
    if not words:
        return {}
    if len(words) > 1 or arguments.root is not None or "" in words:
        raise UsageError(f"{' '.join(words)}: expected one ROOT_DIR", hint="or --root DIR")
    return {"root": words[0]}


def _modules(arguments: Arguments) -> dict[str, Any]:
    names = ((arguments.modules or "").split(), arguments.add_modules or ())
    joined = tuple(name for part in names for name in part)
    return {"add_modules": joined} if joined else {}


def _output(image: str, boot: str, said: dict[str, Any]) -> str:
    if "/" in image:
        return image
    if said.get("root", "/").strip("/") and "dry_run" not in said:
        raise UsageError(
            f"-i {image}: with another root, this must be a path: "
            "nothing is written into that root",
            hint=f"-i ./{image}",
        )
    return f"{boot}/{image}"


def warnings(arguments: Arguments) -> Iterator[str]:
    """Yield a warning for each option that no longer has a meaning."""
    return retired.warnings(arguments, RETIRED)


GRAMMAR = Grammar(
    parser=parser,
    marks={"kernels": "-k"},
    requests=requests,
    warnings=warnings,
    hint="-k makes these the arguments of SLES's mkinitrd: see mkinitrd-kdump-grammars(7)",
)
