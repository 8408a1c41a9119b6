# SPDX-License-Identifier: GPL-2.0-or-later
"""Write the shell completions of all commands, made from their parsers: completions.py FOLDER.

It wants shtab 1.13 or newer. ``make completions`` runs it; nothing of it is installed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
# An installed copy, however new, is another one.
sys.path.insert(0, str(CHECKOUT))

import shtab  # noqa: E402

from kdump_initrd.commands import admin, vmcoresave  # noqa: E402
from kdump_initrd.commands.grammar import debian, redhat, suse  # noqa: E402
from kdump_initrd.config.settings import SETTINGS  # noqa: E402

#: Shell → the name of a command's file where that shell looks for it.
SHELLS = {"bash": "{0}", "zsh": "_{0}", "fish": "{0}.fish"}
_FOLDERS = {"BOOT_DIR", "DIR"}
_FILES = {
    *("CAPTURE_INITRD", "CAPTURE_KERNEL", "DEV", "FILE", "[FILE]", "IMAGE", "IMAGES"),
    *("KERNEL", "KERNELS", "OUT", "PATH"),
}
_RELEASES = "KERNEL_VERSION"


def generator() -> argparse.ArgumentParser:
    """Return mkinitrd-kdump's parser; options of the other grammars stand behind those of ours."""
    whole = debian.parser()
    for grammar in (redhat, suse):
        for action in grammar.parser()._actions:
            if action.help != argparse.SUPPRESS:
                _add(whole, action)
    return whole


def _add(whole: argparse.ArgumentParser, action: argparse.Action) -> None:
    known = whole._option_string_actions
    new = [flag for flag in action.option_strings if _hidden(known.get(flag))]
    for flag in known.keys() & {*new}:
        del known[flag]
    if new and action.nargs == 0:
        whole.add_argument(*new, action="store_true", help=action.help)
    elif new:
        whole.add_argument(*new, metavar=action.metavar, help=action.help)


def _hidden(action: argparse.Action | None) -> bool:
    # Our grammar remembers flags of old tools that another grammar still uses.
    return action is None or action.help == argparse.SUPPRESS


def annotate(parser: argparse.ArgumentParser) -> None:
    """Tell shtab what the value of each option is; our parsers leave that to the settings."""
    choices = {flag: row.choices for row in SETTINGS if row.choices for flag in row.flags}
    distros = sorted(file.stem for file in (CHECKOUT / "distros").glob("*.toml"))
    for action in parser._actions:
        if action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == _RELEASES:
            action.complete = shtab.cmd("ls /lib/modules")  # type: ignore[attr-defined]
        elif action.metavar == "ID":
            action.choices = distros
        elif action.option_strings:
            action.choices = choices.get(action.option_strings[0])
        if not action.option_strings:
            action.help = str(action.metavar)  # help texts hide them: the usage lines have them


def main(folder: Path) -> None:
    """Write a file for each shell and command into ``folder``/SHELL."""
    for parser in (generator(), admin.whole(), vmcoresave.parser()):
        annotate(parser)
        for shell, name in SHELLS.items():
            target = folder / shell / name.format(parser.prog)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(shtab.complete(parser, shell=shell), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
