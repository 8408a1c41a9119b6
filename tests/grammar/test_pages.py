# SPDX-License-Identifier: GPL-2.0-or-later
"""The man pages against the parsers: usage lines, every option, every option without a meaning."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from kdump_initrd.commands.grammar import debian, redhat, suse
from kdump_initrd.commands.grammar.vocabulary import SHARED
from tests.unit.manpage import PAGES, option_paragraph

COMMAND = PAGES / "mkinitrd-kdump.8"
GRAMMARS = PAGES / "mkinitrd-kdump-grammars.7"
#: Where the page of the grammars has the options of each that have no meaning any more.
SECTIONS = {debian: "Debian's initrd-tools", redhat: "Red Hat's", suse: "SLES's"}


def source(page: Path) -> str:
    """Return a page's text with plain hyphens, without fonts."""
    return re.sub(r"\\f.", "", page.read_text(encoding="utf-8").replace("\\-", "-"))


def synopsis(page: Path) -> set[str]:
    """Return the lines of the synopsis, as man shows them."""
    done = subprocess.run(
        ["man", "--local-file", page],
        env={"MANWIDTH": "200", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "PAGER": "cat"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    part = done.stdout.partition("SYNOPSIS")[2].partition("DESCRIPTION")[0]
    lines = (" ".join(line.split()) for line in part.splitlines())
    return {line for line in lines if line.startswith("mkinitrd-kdump ") and "-" in line[15:]}


def usages(grammar: ModuleType) -> set[str]:
    """Return the usage lines of a grammar's parser."""
    lines = (line.strip() for line in grammar.parser().usage.splitlines())
    return {line for line in lines if line.startswith("mkinitrd-kdump ")}


def test_the_commands_synopsis_is_the_usage() -> None:
    assert synopsis(COMMAND) == usages(debian)


def test_the_grammars_synopsis_is_the_usage_of_each() -> None:
    builds = {line for line in usages(debian) if re.match("mkinitrd-kdump -[coi] ", line)}
    assert synopsis(GRAMMARS) == builds | usages(redhat) | usages(suse)


def test_the_command_page_has_every_option_of_the_own_grammar() -> None:
    text = source(COMMAND)
    retired = {row.flag for row in debian.RETIRED}
    notes = text.partition("\n.SH NOTES\n")[2].partition("\n.SH")[0]
    for flag in debian.parser().flags():
        if flag in retired:
            assert re.search(rf"(?<![\w-]){flag}(?![\w-])", notes), flag
        elif flag != "-h":  # stands behind --help
            assert len(option_paragraph(text, flag)) > len(flag) + 20, flag
    assert re.search(r"^\.BR --help .* -h$", text, re.MULTILINE)


@pytest.mark.parametrize("grammar", [redhat, suse])
def test_the_grammars_page_has_every_option_of_the_others(grammar: ModuleType) -> None:
    text = source(GRAMMARS).partition('\n.SH "THE SAME THING')[2].partition('\n.SH "OPTIONS W')[0]
    ours = {flag for row in SHARED for flag in row.flags}
    ours |= {"--quiet", "--debug", "--help", "-h", "--version"}
    for flag in grammar.parser().flags():
        if flag not in ours | {row.flag for row in grammar.RETIRED}:
            assert re.search(rf"(?<![\w-]){flag}(?![\w-])", text), flag


@pytest.mark.parametrize("grammar", [debian, redhat, suse])
def test_the_grammars_page_says_what_has_no_meaning_and_why(grammar: ModuleType) -> None:
    text = source(GRAMMARS).partition('\n.SH "OPTIONS WITHOUT A MEANING"\n')[2]
    part = text.partition(f"\n.SS {SECTIONS[grammar]}\n")[2].partition("\n.S")[0]
    table = part.partition(".TS\n")[2].partition("\n.TE")[0].replace("\nT}", "")
    rows = [f"{row.flag} {row.metavar}".strip() + f"\tT{{\n{row.why}" for row in grammar.RETIRED]
    assert table == "l lx.\n" + "\n".join(rows)


def test_letters_with_two_meanings_are_in_the_table_of_them() -> None:
    text = source(GRAMMARS).partition('ANOTHER MEANING"\n')[2].partition("\n.TE")[0]
    letters = [
        {flag for flag in grammar.parser().flags() if len(flag) == 2}
        for grammar in (debian, redhat, suse)
    ]
    shared = {flag for flag in set().union(*letters) if sum(flag in each for each in letters) > 1}
    assert set(re.findall(r"^(-\w)\t", text, re.MULTILINE)) == shared - {"-h"}
