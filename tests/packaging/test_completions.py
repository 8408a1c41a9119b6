# SPDX-License-Identifier: GPL-2.0-or-later
"""The completions: made from the parsers, whole, and taken by their shells."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kdump_initrd.commands import admin, vmcoresave
from kdump_initrd.commands.grammar import debian, redhat, suse
from kdump_initrd.core.run import run

from .building import REPO, make

FOLDER = REPO / "build/completions"
PARSERS: dict[str, list[Callable[[], argparse.ArgumentParser]]] = {
    "mkinitrd-kdump": [debian.parser, redhat.parser, suse.parser],
    "kdump-initrd": [
        admin.parser,
        *(partial(admin.parser_of, verb) for verb in admin.VERBS.values()),
    ],
    "vmcore-save": [vmcoresave.parser],
}
_BASH = """\
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"_shtab_${1//-/_}" 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
#: zsh completes in a terminal only: one of its own, asked for the list by Tab.
_ZSH = """\
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($1 \\$fpath); autoload -Uz compinit; compinit -u -d $1/dump"
zpty -w shell "echo re''ady"
zpty -r -m shell line '*ready*'
zpty -w -n shell "$2"$'\\t'
zpty -r -m shell line "*$3*"
print -r -- $line
zpty -d shell
"""


@pytest.fixture(scope="module", autouse=True)
def completions() -> None:
    """Make them anew."""
    make("completions")


def complete(shell: str, *words: str) -> list[str]:
    """Return what bash or fish offers for the last of some words."""
    command = words[0]
    if shell == "bash":
        script = ["bash", "-c", _BASH, "bash"]
        done = run([*script, FOLDER / "bash" / command, *words], timeout=30)
        return done.stdout.decode().split()
    line = f"source {FOLDER / 'fish' / command}.fish; complete -C '{' '.join(words)}'"
    out = run(["fish", "--no-config", "-c", line], timeout=30).stdout.decode()
    return [row.split("\t")[0] for row in out.splitlines()]


def shown(action: argparse.Action | None) -> bool:
    """Tell whether help texts show an option."""
    return action is not None and action.help != argparse.SUPPRESS


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("command", PARSERS)
def test_every_option_is_there(shell: str, command: str) -> None:
    (file,) = (file for file in (FOLDER / shell).iterdir() if command in (file.stem, file.name[1:]))
    text = file.read_text()
    for parser in PARSERS[command]:
        for action in parser()._actions:
            for flag in action.option_strings:
                fish = f" -l {flag[2:]} " if flag.startswith("--") else f" -s {flag[1:]} "
                assert not shown(action) or (fish if shell == "fish" else flag) in text, flag


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_take_them(shell: str) -> None:
    for file in (FOLDER / shell).iterdir():
        done = run([shell, "-n", file], timeout=30, check=False)
        assert (done.status, done.stderr) == (0, ""), file.name


def test_zsh_completes_an_option(tmp_path: Path) -> None:
    # The file needs a folder that others cannot write to, else zsh asks whether it may.
    (tmp_path / "_mkinitrd-kdump").write_bytes((FOLDER / "zsh/_mkinitrd-kdump").read_bytes())
    words = ["mkinitrd-kdump --final-a", "--final-action"]
    out = run(["zsh", "-f", "-c", _ZSH, "zsh", tmp_path, *words], timeout=30).stdout.decode()
    assert "--final-action" in out


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_bash_and_fish_offer_options_values_and_files(shell: str, tmp_path: Path) -> None:
    assert complete(shell, "mkinitrd-kdump", "--final-a") == ["--final-action"]
    offered = complete(shell, "mkinitrd-kdump", "--final-action", "")
    assert {"reboot", "poweroff", "halt"} <= set(offered)
    assert "debian" in complete(shell, "mkinitrd-kdump", "--distro", "de")
    (tmp_path / "dump.file").touch()
    offered = complete(shell, "vmcore-save", f"{tmp_path}/du")
    assert offered == [f"{tmp_path}/dump.file"]
