# SPDX-License-Identifier: GPL-2.0-or-later
"""A verb that comes new is one file and a row in one list: the command does the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from kdump_initrd.commands import verbs
from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core import exits

from .commandline import complain

COMMAND = "mkinitrd-kdump"
#: The whole of it.
FILE = '''
"""``--is-ready``: whether a host is."""

from __future__ import annotations

from dataclasses import dataclass

from ...core import exits
from ..options import Arguments, Parser
from ..verb import HostVerb, add_option, host_of


@dataclass(frozen=True)
class IsReady(HostVerb):
    """Say whether a host is ready for some kernels."""

    releases: tuple[str, ...] = ()

    name = "is-ready"
    usage = ("--is-ready [KERNEL_VERSION]",)
    summary = "say whether a crash would be saved"
    kernels = 1

    @classmethod
    def configure(cls, parser: Parser) -> None:
        add_option(parser, cls)

    @classmethod
    def read(cls, arguments: Arguments) -> IsReady:
        return cls(*host_of(arguments), tuple(arguments.words))

    def run(self) -> int:
        print(f"{self.root} is not: {self.releases}")
        return exits.NO
'''


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the file beside the others, and its row into the list."""
    (tmp_path / "isready.py").write_text(FILE)
    monkeypatch.setattr(verbs, "__path__", [*verbs.__path__, str(tmp_path)])
    name = f"{verbs.__name__}.isready"
    monkeypatch.setitem(verbs.VERBS, COMMAND, (*verbs.VERBS[COMMAND], import_module(name).IsReady))
    yield
    del sys.modules[name]


def test_it_runs_and_its_exit_status_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--is-ready", "--root", "/mnt", "6.1"]) == exits.NO
    assert capsys.readouterr().out == "/mnt is not: ('6.1',)\n"


def test_the_help_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == exits.DONE
    text = capsys.readouterr().out
    assert f"\n       {COMMAND} --is-ready [KERNEL_VERSION]\n" in text
    assert "\n  --is-ready            say whether a crash would be saved\n" in text


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("--is-ready --force", "--force: not with --is-ready", "leave it out, or use it alone"),
        ("--is-ready 1 2", "2: --is-ready takes at most one KERNEL_VERSION", "leave it out"),
        ("--list x --is-ready", "--is-ready: not with --list", "leave it out, or use it alone"),
        ("--is-ready --root ''", "--root: the value is empty", "give one"),
        ("is-redy", "expected one of -c, ", "did you mean --is-ready? "),
        ("--is-redy", "unrecognized arguments: --is-redy", "did you mean --is-ready? "),
    ],
)
def test_what_is_wrong_with_its_words(
    capsys: pytest.CaptureFixture[str], words: str, message: str, hint: str
) -> None:
    status, error, way_out = complain(capsys, *words.replace("''", "").split(" "))
    assert status == exits.USAGE
    assert error.startswith(message)
    assert way_out.startswith(hint)
