# SPDX-License-Identifier: GPL-2.0-or-later
"""mkinitrd-kdump's own grammar, which grew from that of Debian's mkinitrd, and all verbs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.settings import CAPTURE, COMMON, FIRST_KERNEL, SETTINGS
from ...core.errors import UsageError
from ..options import Parser, add_settings, values
from . import requests as ask
from . import retired
from .reading import WORDS, Grammar
from .retired import Retired
from .vocabulary import PROGRAM, add_talk

USAGE = """\
mkinitrd-kdump -c DEV [-f FS] [-o OUT] [OPTION]... [KERNEL_VERSION]
       mkinitrd-kdump -o OUT [OPTION]... [KERNEL_VERSION]
       mkinitrd-kdump -i CAPTURE_INITRD -v CAPTURE_KERNEL [-o OUT] [OPTION]... [KERNEL_VERSION]
       mkinitrd-kdump --refresh [--force] [--dry-run] [KERNEL_VERSION]...
       mkinitrd-kdump --remove [KERNEL_VERSION]...
       mkinitrd-kdump --check-config | --import-config [-o FILE] | --show-distro [ID]
       mkinitrd-kdump --strip IMAGE [-o OUT] | --list IMAGE | --print-cmdline IMAGE
  as Red Hat's mkinitrd:
       mkinitrd-kdump [--dump-dev=DEV --dump-fs=FS] [OPTION]... IMAGE KERNEL_VERSION
  as SLES's mkinitrd:
       mkinitrd-kdump [-v DEV -f FS] -k KERNEL -i IMAGE [OPTION]..."""

_EPILOG = """\
KERNEL_VERSION is the release of the kernel that boots the image: with -c the capture kernel, with
-i the regular one; the default is the running one. The path of its image does, too.
Without -c the dump goes where the configuration says.
The options of the other two grammars are in mkinitrd-kdump-grammars(7).
Exit status: 0 done, or yes; 1 error; 2 wrong usage; 3 the answer is no (--refresh --dry-run:
something would be changed); 128 + N: ended by signal N."""

_HINT = f"{PROGRAM} --help lists the options"

#: Debian's mkinitrd (initrd-tools 0.1.8x) had these. Its -k is read as SLES's where a word follows.
RETIRED = (
    Retired("-d", "CONFDIR", "the configuration is /etc/kdump-initrd.toml"),
    Retired("-k", "", "there is no temporary tree to keep; --dry-run prints what would be in it"),
    Retired("-m", "COMMAND", "the image is always a cpio archive; --compress chooses how"),
    Retired("-r", "ROOT", "a capture initrd mounts no root; --root-device is for --standalone"),
    Retired("--supported-host-version", "V", "it runs on every kernel"),
    Retired("--supported-target-version", "V", "the kernel is looked at when an image is built"),
)
#: Those that asked a question instead of building: the answer is yes.
_QUESTIONS = RETIRED[-2:]


@dataclass(frozen=True)
class Verb:
    """One thing to do.

    ``names`` are the values whose presence asks for it, ``takes`` the settings that it knows;
    ``releases`` says how many KERNEL_VERSIONs at most.
    """

    flag: str
    names: tuple[str, ...]
    takes: frozenset[str]
    releases: int
    request: Callable[[argparse.Namespace], ask.Request]


def parser() -> Parser:
    """Return the complete parser, as shell completions are made from, too."""
    parser = Parser(
        prog=PROGRAM,
        usage=USAGE,
        description="Write an initrd that saves a crashed kernel's memory.",
        epilog=_EPILOG,
        reports=True,
    )
    parser.add_argument(WORDS, nargs="*", metavar="KERNEL_VERSION", help=argparse.SUPPRESS)
    groups = {"capture initrd": CAPTURE, "first kernel's initrd": FIRST_KERNEL, "both": COMMON}
    for title, settings in groups.items():
        add_settings(parser.add_argument_group(title), settings)
    _add_verbs(parser)
    retired.add_retired(parser, RETIRED)
    add_talk(parser)
    return parser


def _add_verbs(parser: Parser) -> None:
    group = parser.add_argument_group("other verbs")

    def switch(flag: str, text: str) -> None:
        group.add_argument(flag, action="store_true", help=text)

    def image(flag: str, text: str) -> None:
        group.add_argument(flag, metavar="IMAGE", help=text)

    switch("--refresh", "rebuild the configured images whose inputs changed, and say why")
    switch("--remove", "remove what was built for these kernels, or everything of ours")
    switch("--check-config", "check the configuration and print what is in effect, and from where")
    switch("--import-config", "write our configuration file from the distribution's own")
    group.add_argument(
        "--show-distro",
        nargs="?",
        const="",
        metavar="ID",
        help="print a distribution's profile, and where each value is from (default: the root's)",
    )
    image("--list", "print what any initrd holds")
    image("--strip", "take the segment of ours off again, in place unless -o")
    image("--print-cmdline", "print the command line for the capture kernel of an image")


def requests(arguments: argparse.Namespace) -> list[ask.Request]:
    """Return what is asked for; raises UsageError."""
    verb = _verb(arguments)
    if verb is None:
        return []
    for setting in SETTINGS:
        if getattr(arguments, setting.name) not in (None, False) and setting.name not in verb.takes:
            raise UsageError(f"{setting.flags[0]}: not with {verb.flag}", hint=_way_out(verb))
    if len(arguments.words) > verb.releases:
        wanted = "at most one" if verb.releases else "no"
        raise UsageError(
            f"{arguments.words[verb.releases]}: {verb.flag} takes {wanted} KERNEL_VERSION",
            hint="leave it out",
        )
    return [verb.request(arguments)]


def warnings(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield what has no meaning any more."""
    return retired.warnings(arguments, RETIRED)


def _verb(arguments: argparse.Namespace) -> Verb | None:
    """Return the one verb that is asked for; None where there is nothing to do."""
    said = [verb for verb in VERBS if _said(arguments, verb)]
    if _CAPTURE in said and _FIRST_KERNEL in said:
        raise UsageError(
            "-c and -i (-v) exclude each other",
            hint="-c writes a capture initrd, -i the first kernel's initrd: one at a time",
        )
    if not said and any(getattr(arguments, row.dest) for row in _QUESTIONS):
        return None
    if not said and (arguments.output is not None or arguments.dry_run):
        return _CONFIGURED
    if len(said) > 1:
        first, other = sorted(said[:2], key=lambda verb: verb in (_CAPTURE, _FIRST_KERNEL))
        raise UsageError(f"{other.flag}: not with {first.flag}", hint=_way_out(first))
    if not said:
        flags = [verb.flag for verb in VERBS]
        near = meant(arguments.words)
        raise UsageError(
            f"one of {', '.join(flags[:-1])} and {flags[-1]} is wanted",
            hint=f"did you mean {near}? {_HINT}"
            if near
            else f"{PROGRAM} --refresh builds what is configured; {_HINT}",
        )
    return said[0]


def meant(words: Sequence[str]) -> str:
    """Return the verb that somebody may have meant by the first of ``words``, "" for none."""
    from difflib import get_close_matches

    names = [verb.flag.lstrip("-") for verb in VERBS if verb.flag.startswith("--")]
    near = get_close_matches(words[0], names, 1, 0.8) if words else ()
    return next((f"--{name}" for name in near), "")


def _way_out(verb: Verb) -> str:
    if "refresh" in verb.names:
        return "leave it out: --refresh builds what /etc/kdump-initrd.toml says"
    return "leave it out, or say it alone"


def _said(arguments: argparse.Namespace, verb: Verb) -> bool:
    return any(getattr(arguments, name) not in (None, False) for name in verb.names)


def _release(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"release": arguments.words[0]} if arguments.words else {}


def _capture(arguments: argparse.Namespace) -> ask.Capture:
    if arguments.fstype is not None and arguments.device is None:
        raise UsageError(
            "-f wants -c: the device with that file system", hint="-c DEV, or leave -f out"
        )
    return ask.Capture({**values(arguments, (*CAPTURE, *COMMON)), **_release(arguments)})


def _first_kernel(arguments: argparse.Namespace) -> ask.FirstKernel:
    if arguments.capture_initrd is None or arguments.capture_kernel is None:
        raise UsageError(
            "-i and -v belong together", hint="-i CAPTURE_INITRD -v CAPTURE_KERNEL, both"
        )
    return ask.FirstKernel({**values(arguments, (*FIRST_KERNEL, *COMMON)), **_release(arguments)})


def _strip(arguments: argparse.Namespace) -> ask.Strip:
    return ask.Strip(_image(arguments.strip, "--strip"), arguments.output, arguments.force)


def _list(arguments: argparse.Namespace) -> ask.ListImage:
    return ask.ListImage(_image(arguments.list, "--list"))


def _print_cmdline(arguments: argparse.Namespace) -> ask.PrintCmdline:
    return ask.PrintCmdline(_image(arguments.print_cmdline, "--print-cmdline"))


def _image(word: str, flag: str) -> Path:
    if not word:
        raise UsageError(f"{flag}: the value is empty", hint="name an image")
    return Path(word)


def _show_distro(arguments: argparse.Namespace) -> ask.ShowDistro:
    if arguments.show_distro and arguments.distro:
        raise UsageError("--show-distro ID and --distro exclude each other", hint="say it once")
    return ask.ShowDistro(_root(arguments), arguments.show_distro or _distro(arguments))


def _check_config(arguments: argparse.Namespace) -> ask.CheckConfig:
    return ask.CheckConfig(_root(arguments), _distro(arguments))


def _import_config(arguments: argparse.Namespace) -> ask.ImportConfig:
    output = Path(arguments.output) if arguments.output is not None else None
    return ask.ImportConfig(_root(arguments), _distro(arguments), output, arguments.force)


def _refresh(arguments: argparse.Namespace) -> ask.Refresh:
    return ask.Refresh(
        *(_root(arguments), _distro(arguments), tuple(arguments.words)),
        force=arguments.force,
        dry_run=arguments.dry_run,
    )


def _remove(arguments: argparse.Namespace) -> ask.Remove:
    return ask.Remove(_root(arguments), _distro(arguments), tuple(arguments.words))


def _root(arguments: argparse.Namespace) -> Path:
    return Path(values(arguments, _HOST).get("root", "/"))


def _distro(arguments: argparse.Namespace) -> str | None:
    distro: str | None = values(arguments, _HOST).get("distro")
    return distro


def _names(*groups: Sequence[Any]) -> frozenset[str]:
    return frozenset(setting.name for group in groups for setting in group)


_HOST = tuple(row for row in COMMON if row.name in ("root", "distro"))
_MANY = 1000
_WHERE = _names(_HOST)
_CAPTURE = Verb("-c", ("device",), _names(CAPTURE, COMMON), 1, _capture)
_CONFIGURED = Verb("-o", (), _names(CAPTURE, COMMON), 1, _capture)
_FIRST_KERNEL = Verb(
    "-i",
    ("capture_initrd", "capture_kernel"),
    _names(FIRST_KERNEL, COMMON),
    1,
    _first_kernel,
)
#: What can be asked for: one of them at a time.
VERBS: Sequence[Verb] = (
    _CAPTURE,
    _CONFIGURED,
    _FIRST_KERNEL,
    Verb("--refresh", ("refresh",), _WHERE | {"force", "dry_run"}, _MANY, _refresh),
    Verb("--remove", ("remove",), _WHERE, _MANY, _remove),
    Verb("--check-config", ("check_config",), _WHERE, 0, _check_config),
    Verb("--import-config", ("import_config",), _WHERE | {"output", "force"}, 0, _import_config),
    Verb("--show-distro", ("show_distro",), _WHERE, 0, _show_distro),
    Verb("--list", ("list",), frozenset(), 0, _list),
    Verb("--strip", ("strip",), frozenset({"output", "force"}), 0, _strip),
    Verb("--print-cmdline", ("print_cmdline",), frozenset(), 0, _print_cmdline),
)

GRAMMAR = Grammar(
    parser=parser,
    marks={"device": "-c", "output": "-o"},
    requests=requests,
    warnings=warnings,
    hint=_HINT,
)
