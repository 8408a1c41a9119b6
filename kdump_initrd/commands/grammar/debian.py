# SPDX-License-Identifier: GPL-2.0-or-later
"""mkinitrd-kdump's own grammar, which grew from that of Debian's mkinitrd; a verb is an option."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...config.settings import CAPTURE, COMMON, FIRST_KERNEL, SETTINGS, Setting
from ...config.targetsettings import WHERE
from ...core import exits
from ...core.errors import UsageError
from ..options import HIDDEN, Arguments, Parser, add_settings, values
from ..verb import Request, Verb
from ..verbs import VERBS
from ..verbs.build import Capture, FirstKernel, Images
from . import redhat, retired, suse
from .reading import WORDS, Grammar
from .retired import Retired
from .vocabulary import PROGRAM, add_talk

_IMAGES = (
    "-c DEV [-f FS] [-o OUT] [OPTION]... [KERNEL_VERSION]",
    "-o OUT [OPTION]... [KERNEL_VERSION]",
    "-i CAPTURE_INITRD -v CAPTURE_KERNEL [-o OUT] [OPTION]... [KERNEL_VERSION]",
)

_EPILOG = """\
KERNEL_VERSION is the release of the kernel that boots the image, or the path of its kernel image:
with -c the capture kernel, with -i the regular kernel; the default is the running kernel.
Without -c, the dump goes to the configured target.
mkinitrd-kdump-grammars(7) describes the options of the other two grammars.
--refresh --dry-run tells whether all images are current."""

_HINT = f"{PROGRAM} --help lists the options"

#: Debian's mkinitrd (initrd-tools 0.1.8x) had these. If a word follows -k, it is read as SLES's.
RETIRED = (
    Retired("-d", "CONFDIR", "the configuration is /etc/kdump-initrd.toml"),
    Retired("-k", "", "there is no temporary tree to keep; --dry-run prints what would be in it"),
    Retired("-m", "COMMAND", "the image is always a cpio archive; --compress chooses how"),
    Retired("-r", "ROOT", "a capture initrd mounts no root; --root-device is for --standalone"),
    Retired("--supported-host-version", "V", "it runs on every kernel"),
    Retired("--supported-target-version", "V", "the kernel is checked when an image is built"),
)
#: Those that asked a question and built nothing: the answer is always yes.
_QUESTIONS = RETIRED[-2:]


@dataclass(frozen=True)
class Ask:
    """One of the things that a command line can ask for.

    It is asked for if one of the values ``names`` is present. ``takes`` are the settings that it
    knows, ``kernels`` is the largest number of KERNEL_VERSIONs, and ``way_out`` is the hint for
    other options.
    """

    flag: str
    names: tuple[str, ...]
    takes: Collection[str]
    kernels: int
    read: Callable[[Arguments], Request]
    way_out: str = Verb.way_out


def parser() -> Parser:
    """Return the complete parser; shell completions are made from it, too."""
    parser = Parser(
        prog=PROGRAM,
        usage=usage(),
        description="Write an initrd that saves a crashed kernel's memory.",
        epilog=_EPILOG,
        statuses=(*exits.MEANINGS,),
    )
    parser.add_argument(WORDS, nargs="*", metavar="KERNEL_VERSION", help=HIDDEN)
    groups = {"capture initrd": CAPTURE, "first kernel's initrd": FIRST_KERNEL, "both": COMMON}
    for title, settings in groups.items():
        add_settings(parser.group(title), settings)
    for verb in VERBS[PROGRAM]:
        verb.configure(parser)
    retired.add_retired(parser, RETIRED)
    add_talk(parser)
    return parser


def usage() -> list[str]:
    """Return the usage lines of this grammar and of the others."""
    verbs = (line for verb in VERBS[PROGRAM] for line in verb.usage)
    others = ("as Red Hat's mkinitrd:", *redhat.USAGE, "as SLES's mkinitrd:", *suse.USAGE)
    return [*_IMAGES, *verbs, *others]


def requests(arguments: Arguments) -> list[Request]:
    """Return what is asked for; raises UsageError."""
    ask = _asked(arguments)
    if ask is None:
        return []
    for setting in SETTINGS:
        if _has(arguments, setting.name) and setting.name not in ask.takes:
            raise UsageError(f"{setting.flags[0]}: not with {ask.flag}", hint=ask.way_out)
    if len(arguments.words) > ask.kernels:
        wanted = "at most one" if ask.kernels else "no"
        raise UsageError(
            f"{arguments.words[ask.kernels]}: {ask.flag} takes {wanted} KERNEL_VERSION",
            hint="leave it out",
        )
    return [ask.read(arguments)]


def warnings(arguments: Arguments) -> Iterator[str]:
    """Yield a warning for each option that no longer has a meaning."""
    return retired.warnings(arguments, RETIRED)


def asks() -> list[Ask]:
    """Return the things that can be asked for, one at a time."""
    verbs = (
        Ask(
            f"--{verb.name}",
            (verb.name.replace("-", "_"),),
            verb.takes,
            verb.kernels,
            verb.read,
            verb.way_out,
        )
        for verb in VERBS[PROGRAM]
    )
    return [_CAPTURE, _CONFIGURED, _FIRST_KERNEL, *verbs]


def _asked(arguments: Arguments) -> Ask | None:
    """Return the one that is asked for; None if there is nothing to do."""
    said = [ask for ask in asks() if _said(arguments, ask)]
    if _CAPTURE in said and _FIRST_KERNEL in said:
        raise UsageError(
            "-c and -i (-v) are mutually exclusive",
            hint="-c writes a capture initrd, -i the first kernel's initrd: one at a time",
        )
    if not said and any(getattr(arguments, row.dest) for row in _QUESTIONS):
        return None
    if not said and (arguments.output is not None or arguments.dry_run):
        return _CONFIGURED
    if len(said) > 1:
        first, other = sorted(said[:2], key=lambda ask: ask in (_CAPTURE, _FIRST_KERNEL))
        rows = (row for row in SETTINGS if row.name in other.names and _has(arguments, row.name))
        flag = next((row.flags[0] for row in rows), other.flag)
        raise UsageError(f"{flag}: not with {first.flag}", hint=first.way_out)
    if not said:
        flags = [ask.flag for ask in asks()]
        near = meant(arguments.words)
        raise UsageError(
            f"expected one of {', '.join(flags[:-1])} and {flags[-1]}",
            hint=f"did you mean {near}? {_HINT}"
            if near
            else f"{PROGRAM} --refresh builds the configured images; {_HINT}",
        )
    return said[0]


def meant(words: Sequence[str]) -> str:
    """Return the verb that the first of ``words`` may stand for, "" for none."""
    from difflib import get_close_matches

    names = [verb.name for verb in VERBS[PROGRAM]]
    near = get_close_matches(words[0], names, 1, 0.8) if words else ()
    return next((f"--{name}" for name in near), "")


def _said(arguments: Arguments, ask: Ask) -> bool:
    return any(_has(arguments, name) for name in ask.names)


def _has(arguments: Arguments, name: str) -> bool:
    return getattr(arguments, name) not in (None, False)


def _release(arguments: Arguments) -> dict[str, Any]:
    return {"release": arguments.words[0]} if arguments.words else {}


def _capture(arguments: Arguments) -> Images:
    if arguments.fstype is not None and arguments.device is None and arguments.target is None:
        raise UsageError(
            "-f requires -c, the device with that file system", hint="add -c DEV, or leave -f out"
        )
    said = {**values(arguments, (*CAPTURE, *COMMON)), **_release(arguments)}
    return Images((Capture(said),))


def _first_kernel(arguments: Arguments) -> Images:
    if arguments.capture_initrd is None or arguments.capture_kernel is None:
        raise UsageError(
            "-i and -v belong together", hint="give both: -i CAPTURE_INITRD -v CAPTURE_KERNEL"
        )
    said = {**values(arguments, (*FIRST_KERNEL, *COMMON)), **_release(arguments)}
    return Images((FirstKernel(said),))


def _names(*groups: Sequence[Setting]) -> frozenset[str]:
    return frozenset(setting.name for group in groups for setting in group)


_CAPTURE = Ask("-c", WHERE, _names(CAPTURE, COMMON), 1, _capture)
_CONFIGURED = Ask("-o", (), _names(CAPTURE, COMMON), 1, _capture)
_FIRST_KERNEL = Ask(
    "-i",
    ("capture_initrd", "capture_kernel"),
    _names(FIRST_KERNEL, COMMON),
    1,
    _first_kernel,
)

GRAMMAR = Grammar(
    parser=parser,
    marks={"device": "-c", "output": "-o"},
    requests=requests,
    warnings=warnings,
    hint=_HINT,
)
