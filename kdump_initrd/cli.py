# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: words become a request, errors become lines and an exit status."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from . import __version__, log
from .config.settings import (
    CAPTURE,
    COMMON,
    FIRST_KERNEL,
    CaptureSettings,
    CommonSettings,
    FirstKernelSettings,
    Setting,
)
from .errors import KdumpInitrdError, UsageError
from .options import Parser, add_settings, values

_USAGE = """\
mkinitrd-kdump -c DEV -f FS [-o OUT] [OPTION]... [KERNEL_VERSION]
       mkinitrd-kdump -i CAPTURE_INITRD -v CAPTURE_KERNEL [-o OUT] [OPTION]... [KERNEL_VERSION]
       mkinitrd-kdump --strip IMAGE [-o OUT]
       mkinitrd-kdump --list IMAGE
       mkinitrd-kdump --print-cmdline IMAGE"""

_EPILOG = """\
KERNEL_VERSION is the release of the kernel that boots the image: with -c the capture kernel, with
-i the regular one; the default is the running one.
Exit status: 0 done or nothing to do, 1 error, 2 wrong usage."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mkinitrd-kdump`` and return its exit status: 0, 1 (error) or 2 (usage)."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        _check_text(words)
        arguments = _parser().parse_args(words)
        log.set_up(_level(arguments))
        _run(arguments)
    except KdumpInitrdError as error:
        _complain(error.message, error.hint, debug=debug)
        return error.exit_status
    except BrokenPipeError:
        # `--list IMAGE | head`: nobody listens any more, and the interpreter must not either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _complain(str(error), None, debug=debug)
        return 1
    except ModuleNotFoundError as error:
        _complain(f"Python module {error.name}: not installed", "pip install .", debug=debug)
        return 1
    except KeyboardInterrupt:
        _complain("interrupted: nothing was written", None, debug=debug)
        return 1
    return 0


def _complain(message: str, hint: str | None, *, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"kdump-initrd: error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)


def _check_text(words: Sequence[str]) -> None:
    """Refuse what is no text: it would have to be written into scripts and JSON."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{word!a}: not UTF-8", hint="use a name that is") from None


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="mkinitrd-kdump",
        usage=_USAGE,
        description="Write an initrd that saves a crashed kernel's memory.",
        epilog=_EPILOG,
    )
    parser.add_argument("release", nargs="?", metavar="KERNEL_VERSION", help=argparse.SUPPRESS)
    groups = {"capture initrd": CAPTURE, "first kernel's initrd": FIRST_KERNEL, "both": COMMON}
    for title, settings in groups.items():
        add_settings(parser.add_argument_group(title), settings)
    other = parser.add_argument_group("other verbs")
    other.add_argument("--list", metavar="IMAGE", help="print what any initrd holds")
    other.add_argument(
        "--strip", metavar="IMAGE", help="take the segment of ours off again, in place unless -o"
    )
    other.add_argument(
        "--print-cmdline",
        metavar="IMAGE",
        help="print the command line for the capture kernel of an image",
    )
    talk = parser.add_argument_group("talk").add_mutually_exclusive_group()
    talk.add_argument("--verbose", action="store_true", help="say each file and why it is in")
    talk.add_argument("--quiet", action="store_true", help="say warnings and errors only")
    talk.add_argument(
        "--debug", action="store_true", help="as --verbose, and where errors are from"
    )
    parser.add_argument("--help", action="help", help="print this text")
    parser.add_argument("--version", action="version", version=f"kdump-initrd {__version__}")
    return parser


def _level(arguments: argparse.Namespace) -> int:
    if arguments.verbose or arguments.debug:
        return logging.DEBUG
    return logging.WARNING if arguments.quiet else logging.INFO


def _run(arguments: argparse.Namespace) -> None:
    """Do the one verb that the command line names."""
    first = arguments.capture_initrd or arguments.capture_kernel
    if first and arguments.device:
        raise UsageError(
            "-c and -i (-v) exclude each other",
            hint="-c writes a capture initrd, -i the first kernel's initrd: one at a time",
        )
    verbs = [arguments.device, first, arguments.list, arguments.print_cmdline, arguments.strip]
    if sum(map(bool, verbs)) != 1:
        raise UsageError(
            "one of -c, -i, --list, --strip and --print-cmdline is wanted",
            hint="mkinitrd-kdump --help",
        )
    if arguments.release and not (arguments.device or first):
        raise UsageError(f"{arguments.release}: only -c and -i take a KERNEL_VERSION")
    # Imported here: --help and usage errors need none of the libraries.
    if arguments.list:
        from .image.listing import list_image

        for line in list_image(Path(arguments.list)):
            print(line)
        sys.stdout.flush()
    elif arguments.print_cmdline:
        print(_cmdline_of(Path(arguments.print_cmdline)))
    elif arguments.strip:
        from .appended import strip

        _refuse(arguments, (*CAPTURE, *FIRST_KERNEL), "--strip")
        strip(Path(arguments.strip), arguments.output, force=arguments.force)
    elif first:
        _first_kernel(arguments)
    else:
        _capture(arguments)


def _capture(arguments: argparse.Namespace) -> None:
    if arguments.fstype is None:
        raise UsageError("-c wants -f: the file system on the device", hint="-f ext4, for example")
    _refuse(arguments, FIRST_KERNEL, "-c")
    from . import capture

    given = values(arguments, (*CAPTURE, *COMMON))
    settings = CaptureSettings(release=arguments.release, **given)
    _build(capture.plan(settings), settings)


def _first_kernel(arguments: argparse.Namespace) -> None:
    if not (arguments.capture_initrd and arguments.capture_kernel):
        raise UsageError(
            "-i and -v belong together", hint="-i CAPTURE_INITRD -v CAPTURE_KERNEL, both"
        )
    _refuse(arguments, CAPTURE, "-i")
    from . import firstkernel

    given = values(arguments, (*FIRST_KERNEL, *COMMON))
    settings = FirstKernelSettings(release=arguments.release, **given)
    _build(firstkernel.plan(settings), settings)


def _refuse(arguments: argparse.Namespace, settings: Sequence[Setting], verb: str) -> None:
    for setting in settings:
        if getattr(arguments, setting.name) not in (None, False):
            raise UsageError(f"{setting.flags[0]}: not with {verb}", hint="leave it out")


class _Plan(Protocol):
    # What the recipes have in common.
    def lines(self) -> Iterator[str]: ...
    def write(self, *, force: bool) -> int: ...
    def summary(self, stored: int) -> Iterator[str]: ...


def _build(plan: _Plan, settings: CommonSettings) -> None:
    if settings.dry_run:
        for line in plan.lines():
            print(line)
        return
    stored = plan.write(force=settings.force)
    logger = log.get_logger(__name__)
    for line in plan.summary(stored):
        logger.info("%s", line)


def _cmdline_of(image: Path) -> str:
    from .image.segments import read_manifest

    manifest = read_manifest(image)
    if manifest is None:
        raise KdumpInitrdError(
            f"{image}: not an image of kdump-initrd", hint="mkinitrd-kdump -c DEV -f FS writes one"
        )
    return manifest.cmdline
