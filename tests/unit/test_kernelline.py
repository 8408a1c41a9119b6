# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's command line: three readers of it, held against the kernel's own function."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdump_initrd.recipes.firstkernel import rootdevice
from kdump_initrd.saver.low import kernelline

from .shells import REPO, SHELLS

BLANKS = " \t\n\v\f\r"


def next_arg(args: str) -> tuple[str, str | None, str]:
    """Return (param, value, rest): next_arg() of lib/cmdline.c, line by line."""
    in_quote = quoted = args[:1] == '"'
    if quoted:
        args = args[1:]
    equals = at = 0
    while at < len(args):
        if args[at] in BLANKS and not in_quote:
            break
        if equals == 0 and args[at] == "=":
            equals = at
        if args[at] == '"':
            in_quote = not in_quote
        at += 1
    param, value = args[:at], None
    stripped = False
    if equals:
        param, value = args[:equals], args[equals + 1 : at]
        if value[:1] == '"':
            value = value[1:]
            if args[at - 1] == '"':
                value, stripped = value[:-1], True
    if quoted and at > 0 and args[at - 1 : at] == '"' and not stripped:
        if value is None:
            param = param[:-1]
        else:
            value = value[:-1]
    return param, value, args[at + 1 :].lstrip(BLANKS)


def parse(args: str) -> list[tuple[str, str | None]]:
    """Return all (param, value): parse_args() of kernel/params.c, to what is init's."""
    found = []
    args = args.lstrip(BLANKS)
    while args:
        param, value, args = next_arg(args)
        if value is None and param == "--":
            break
        found.append((param, value))
    return found


def shell_words(top: Path, shell: list[str], line: str, call: str) -> list[str]:
    """Return what the shell's reader prints for a line, a word between two bytes that no line has.

    ``call`` is what is called for each word.
    """
    (top / "cmdline").write_bytes(line.encode())
    text = (REPO / "hooks/kernelline.sh").read_text().replace("/proc/cmdline", f"{top}/cmdline")
    script = top / "script"
    script.write_text(f"set -u\n{text}\nshow() {{ {call}; }}\neach_word show\n")
    argv = [*shell, str(script)]
    done = subprocess.run(argv, capture_output=True, timeout=20, check=False, cwd=top,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().split("\1")[:-1]


LINES = (
    "", " ", 'a b="c d" "e=f g" h', 'x="a b', '"x=a b', 'a"b c"d e', '""', '"" a', 'a=""', "a -- b",
    'a "--" b', "--- a", '"a', 'a\t b\n c\v d', 'x.y="1 2"  "p.q=3  4" -', 'a=b"', "é=ü",
    "$HOME * ?", '"a b"c "d', "=", "=x", '"x="a""', '"x="a"', "a\\ b", "'a b'",
)  # fmt: skip
#: What comes of anything that could be between words, in values, and around both.
ODD = st.text(st.sampled_from("ab.=-_\" \t\n$*\\'"), max_size=24)


@pytest.mark.parametrize("line", LINES)
def test_words_are_the_kernels(line: str) -> None:
    check_words(line)


@given(ODD)
def test_words_are_the_kernels_whatever_they_are(line: str) -> None:
    check_words(line)


def check_words(line: str) -> None:
    found = kernelline.words(line)
    wanted = parse(line.removesuffix("\n"))  # that is /proc's
    assert bare(pair for word in found for pair in parse(word)) == bare(wanted)
    if line.count('"') % 2 == 0:
        assert [pair for word in found for pair in parse(word)] == wanted
    # The words can be put together again, and a further one be added: an open quote is closed.
    assert bare(parse(" ".join([*found, "z=1"]))) == bare([*wanted, ("z", "1")])


def as_one(line: str) -> str:
    """Return a line as the shell's reader makes one of several."""
    return line.removesuffix("\n").replace("\n", " ")


def bare(pairs: Iterable[tuple[str, str | None]]) -> list[tuple[str, str]]:
    return [(name.replace('"', ""), (value or "").replace('"', "")) for name, value in pairs]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("line", LINES)
def test_words_of_the_shell(tmp_path: Path, shell: list[str], line: str) -> None:
    found = shell_words(tmp_path, shell, line, "printf '%s\\1' \"$1\"")
    assert found == kernelline.words(as_one(line))


@settings(max_examples=25)
@given(line=ODD, shell=st.sampled_from(SHELLS))
def test_words_of_the_shell_whatever_they_are(tmp_path: Path, line: str, shell: list[str]) -> None:
    """And the names and values of each as the kernel takes them, but for "-" in names."""
    found = shell_words(tmp_path, shell, line, "printf '%s\\1' \"$1\"")
    assert found == kernelline.words(as_one(line))
    call = 'parameter "$1"; printf \'%s\\2%s\\1\' "$name" "$value"'
    names = [tuple(each.split("\2")) for each in shell_words(tmp_path, shell, line, call)]
    wanted = [
        (name.replace("-", "_"), value or "")
        for word in found
        for name, value in parse(word)
        if not name.startswith("=")  # the kernel takes that "=" for a part of the name
    ]
    assert [pair for pair, word in zip(names, found) if word.lstrip('"')[:1] != "="] == wanted


GIVEN = {
    "": "",
    "my_disk.a=1": "a=1",
    "my-disk.a-b=1 my_disk.c": "a-b=1 c",
    'my_disk.a="1 2" "my_disk.b=3  4"': 'a="1 2" "b=3  4"',
    "other.a=1 my_disk2.a=1 xmy_disk.a=1 my_disk": "",
    "my_disk.a=1 other.b=2 my-disk.a=3": "a=1 a=3",
    "my_disk.a.b=c.d": "a.b=c.d",
    "my_disk. .a=1 x=my_disk.a=1": "",
    "a -- my_disk.a=1": "",
    "my_disk.a=$(touch${IFS}x) my_disk.b=* my_disk.c=\\n": "a=$(touch${IFS}x) b=* c=\\n",
}


@pytest.mark.parametrize("line", GIVEN)
def test_parameters_of_a_module(line: str) -> None:
    assert kernelline.parameters(line).get("my_disk", "") == GIVEN[line]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("line", GIVEN)
def test_parameters_of_a_module_in_the_shell(tmp_path: Path, shell: list[str], line: str) -> None:
    """By its file's name, whichever dashes that has."""
    call = """:; }
        for file in /x/my-disk.ko my_disk.ko; do
            find_given $file
            printf '%s\\1' "$given"
        done
        each_word() { :"""
    found = shell_words(tmp_path, shell, line, call)
    assert found == [GIVEN[line]] * 2


def test_the_build_reads_root_as_the_kernel_does() -> None:
    for line in LINES:
        plain = [word.replace('"', "") for word in kernelline.words(line)]
        assert [*rootdevice.words(line)] == plain, line
