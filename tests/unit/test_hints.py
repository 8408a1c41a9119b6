# SPDX-License-Identifier: GPL-2.0-or-later
"""Every hint is one that its reader can follow: options that there are, keys to be written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdump_initrd.commands import vmcoresave
from kdump_initrd.commands.grammar import debian, redhat, suse
from kdump_initrd.config import hints
from kdump_initrd.config.native import KEYS
from kdump_initrd.config.settings import COMMON

PACKAGE = Path(hints.__file__).parents[1]
FLAG = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
#: Options of other programs that hints speak of.
FOREIGN = {"lz4 -l", "uname -r"}


def hints_of(path: Path) -> Iterator[str]:
    """Yield the texts of a module's hints, with X for what is put into them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "hint":
            words = [
                str(part.value) if isinstance(part, ast.Constant) else "X"
                for part in ast.walk(node.value)
                if isinstance(part, (ast.Constant, ast.FormattedValue))
            ]
            if isinstance(node.value, (ast.JoinedStr, ast.Constant)):
                yield "".join(words)


def all_hints() -> dict[str, str]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "saver" not in path.parts:
            found.update(dict.fromkeys(hints_of(path), path.name))
    return found


def options(text: str) -> set[str]:
    for words in FOREIGN:
        text = text.replace(words, "")
    return set(FLAG.findall(text))


def test_each_option_in_a_hint_is_one() -> None:
    known = {flag for each in (debian, redhat, suse) for flag in each.parser().flags()}
    known |= {flag for action in vmcoresave.parser()._actions for flag in action.option_strings}
    found = all_hints()
    assert len(found) > 60
    for text, module in found.items():
        assert options(text) <= known, f"{module}: {text}"


def test_refresh_speaks_of_its_own_options_and_of_the_configuration() -> None:
    (verb,) = [each for each in debian.asks() if each.flag == "--refresh"]
    own = {row.flags[0] for row in COMMON if row.name in verb.takes} | {verb.flag}
    for text, module in all_hints().items():
        said = hints.configured(text)
        if said is not None and "mkinitrd-kdump " not in said and module not in GRAMMARS:
            assert options(said) - {"-v", "-c", "-i"} <= own, f"{module}: {text}: {said}"


#: What these complain of are words of a command line, never what is configured.
GRAMMARS = (
    *("debian.py", "redhat.py", "suse.py", "options.py"),
    *("convert.py", "conversion.py", "recipe.py"),
)


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (None, None),
        ("name an initrd", "name an initrd"),
        (
            "install one, or use --dump-compress none",
            'install one, or use dump-compress = "none", in /etc/kdump-initrd.toml',
        ),
        (
            "use another base, or --standalone",
            "use another base, or standalone = true, in /etc/kdump-initrd.toml",
        ),
        ("say -f ext4", "say fstype ext4, in /etc/kdump-initrd.toml"),
        (
            "set where dumps go: -c DEV -f FS, or device and fstype in /etc/kdump-initrd.toml",
            "set where dumps go: device and fstype in /etc/kdump-initrd.toml",
        ),
        ("name one with --base FILE", None),
        ("--refresh --force replaces it", "--refresh --force replaces it"),
        ("mkinitrd-kdump -c DEV -f FS writes one", "mkinitrd-kdump -c DEV -f FS writes one"),
        ("compress it again with lz4 -l", "compress it again with lz4 -l"),
    ],
)
def test_what_is_made_of_a_hint(hint: str | None, said: str | None) -> None:
    assert hints.configured(hint) == said


def test_every_key_it_names_can_be_written() -> None:
    keys = {key for rows in KEYS.values() for key in rows}
    for text in all_hints():
        said = hints.configured(text) or ""
        named = re.findall(r"([\w-]+) = ", said)
        assert set(named) <= keys, said
