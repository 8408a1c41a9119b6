# SPDX-License-Identifier: GPL-2.0-or-later
"""Assignments of shell files: compared with shells, and with what no reader may find out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdump_initrd.config.shellwords import Command, read

DEPENDS = "whether it is set depends on a command, and none is run"
NO_END = "a quote that does not end"


def values(text: str) -> dict[str, str]:
    """Return the values that are known in the end."""
    return {each.name: each.value for each in read(text).assignments if not each.problem}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A=1", "1"),
        ("  A=1  # comment", "1"),
        ("# A=2\n\nA=1\n", "1"),
        ("A=1#2", "1#2"),
        ("A=", ""),
        ("A=''", ""),
        ("A='a \"b\" $c `d` \\'", 'a "b" $c `d` \\'),
        ('A="a \'b\' \\"c\\" \\$d \\` \\\\ \\e"', "a 'b' \"c\" $d ` \\ \\e"),
        ("A=a\\ b\\#c\\$d", "a b#c$d"),
        ("A=a'b'\"c\"d", "abcd"),
        ("A=a\\\nb", "ab"),
        ('A="a\\\nb"', "ab"),
        ('A="a\nb"', "a\nb"),
        ("export A=1", "1"),
        ("export A; A=1", "1"),
        ("readonly A=1", "1"),
        ("declare -x A=1", "1"),
        ("A=1 B=2", "1"),
        ("A=1;B=2", "1"),
        ("A=1; B=2 # x", "1"),
        ("A=0; A=1", "1"),
        ("A=1; A+=2", "12"),
        ("A+=1", "1"),
        ('A="$A 1"', " 1"),
        ("B=1; A=$B", "1"),
        ('B=1; A="x${B}y$B"', "x1y1"),
        ("B='a b'; A=$B", "a b"),
        ("A=a$ ; B=2", "a$"),
        ("A=1\r\nB=2\r\n", "1"),
        ("A=http://x/~y", "http://x/~y"),
        ("A=a=b", "a=b"),
        ("A=ü", "ü"),
        ("A=1 ; :", "1"),
    ],
)
def test_value(text: str, wanted: str) -> None:
    assert values(text)["A"] == wanted


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=$(id)", "the output of a command"),
        ("A=`id`", "the output of a command"),
        ('A="x$(echo "a)" \')\')y"', "the output of a command"),
        ("A=$((1+1))", "arithmetic"),
        ("A=${B:-1}", "an expansion other than $NAME and ${NAME}"),
        ("A=${A%x}", "an expansion other than $NAME and ${NAME}"),
        ("A=$B", "$B is not set in this file"),
        ("A=$1", "the shell's parameter $1"),
        ("A=$?", "the shell's parameter $?"),
        ("A=(1 2)", "an array"),
        ("A=$'1'", "bash's $'…'"),
        ("A=~/x", "a ~ that a shell would expand"),
        ("B=$(id); A=$B", "the output of a command"),
        ("A=$(id); A+=1", "the output of a command"),
        ("if true; then A=1; fi", DEPENDS),
        ("if true\nthen\nA=1\nelse\nA=2\nfi", DEPENDS),
        ("case x in\ny) A=1;;\nesac", DEPENDS),
        ("for i in 1; do A=1; done", DEPENDS),
        ("while true; do\nif x; then B=1; fi\nA=1; done", DEPENDS),
        ("f() { A=1; }", DEPENDS),
        ("( A=1 )", DEPENDS),
        ("true && A=1", DEPENDS),
        ("true ||\nA=1", DEPENDS),
        ("A=1 | cat", DEPENDS),
        ("A=1 &", DEPENDS),
        ("A=a\x01b", "it has characters that are not text"),
        ("A=a\udce9", "it has characters that are not text"),
    ],
)
def test_value_that_only_a_shell_could_tell(text: str, problem: str) -> None:
    found = read(text)
    (made,) = [each for each in found.assignments if each.name == "A"][-1:]
    assert (made.value, made.problem) == ("", problem)
    assert not found.problem


def test_doubling_does_not_fill_memory() -> None:
    lines = ["A=aaaaaaaa", *("A=$A$A" for _ in range(64))]
    assert read("\n".join(lines)).assignments[-1].problem == "it is too long"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("A=1\nB='x\nC=2\n", 2, NO_END),
        ('A=1\nB="x\nC=2\n', 2, NO_END),
        ("A=1\nB=$'x", 2, NO_END),
        ("A=1\nB=$(x\n", 2, "$( that does not end"),
        ("A=1\nB=`x\n", 2, "` that does not end"),
        ("A=1\nB=(x\n", 2, "( that does not end"),
        ("A=1\ncat <<E\nB=2\nE\n", 2, "a here-document: what follows is not read"),
    ],
)
def test_what_cannot_be_read_on(text: str, line: int, problem: str) -> None:
    found = read(text)
    assert (found.line, found.problem) == (line, problem)
    assert [(each.name, each.value) for each in found.assignments] == [("A", "1")]


def test_lines_and_commands_are_told() -> None:
    found = read(
        "# one\nA='a\nb'\n. /etc/other\nif x; then\n  echo y\nfi\nB=1 \\\n  C=2\nexport D\nA=1 id\n"
    )
    assert [(each.name, each.line) for each in found.assignments] == [("A", 2), ("B", 8), ("C", 9)]
    assert found.commands == (Command(".", 4), Command("if", 5), Command("A=1", 11))


def test_an_extended_value_is_told_from_one_said_again() -> None:
    found = read('A=1\nA+=2\nA="$A 3"\nA=4\n').assignments
    assert [each.extends for each in found] == [False, True, True, False]


def test_used_variables_are_told() -> None:
    assert read("A=1; B=$A; C=${D}").used == {"A", "D"}


#: What is quoted one way or another; nothing in it can run a program.
_PART = st.one_of(
    st.text("abc/=.,:#%^*?!@[]{}~+-_ü", min_size=1).map(lambda text: text.replace("~", "")),
    st.text('ab $`\\"#;&|<>()\n', max_size=8).map(lambda text: f"'{text}'"),
    st.text("ab #;&|<>()'\n", max_size=8).map(lambda text: f'"{text}"'),
    st.sampled_from("$`\\\" '#;&|<>()ab").map(lambda char: f"\\{char}"),
    st.sampled_from(['"\\$"', '"\\`"', '"\\""', '"\\\\"', '"\\a"', "\\\n", '"\\\n"', '"$V"']),
    st.sampled_from(["$V/", "${V}", "x${W}y"]),
)
_VALUE = st.lists(_PART, max_size=6).map("".join)


@pytest.mark.parametrize("shell", ["dash", "bash"])
@settings(max_examples=60)
@given(lines=st.lists(_VALUE, min_size=1, max_size=8))
def test_values_are_those_of_a_shell(tmp_path: Path, shell: str, lines: list[str]) -> None:
    """Only assignments are run here, and nothing that a shell would expand to a command."""
    names = [f"A{number}" for number in range(len(lines))]
    text = "V='v \"1\"'\nW=w\n" + "".join(f"{n}={v}\n" for n, v in zip(names, lines))
    (tmp_path / "file").write_text(text)
    script = f". {tmp_path}/file; printf '%s\\0' " + " ".join(f'"${name}"' for name in names)
    done = subprocess.run([shell, "-c", script], capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, b""), text
    shells = done.stdout.decode().split("\0")[:-1]
    found = read(text)
    assert not found.problem
    assert not found.commands, text
    assert [values(text)[name] for name in names] == shells
