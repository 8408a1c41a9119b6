# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that nobody would write: read in a time that grows as they do, and each fault is a line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdump_initrd.config import native, shellwords
from kdump_initrd.config.findings import Findings
from kdump_initrd.config.peers import PEERS, linefile
from kdump_initrd.core.toml import lines_of

FILES = {file.name: file for files in PEERS.values() for file in files}


def ours(text: str) -> Findings:
    findings = Findings()
    native.read_text(findings, Path("ours"), text.encode("utf-8", "surrogateescape"))
    return findings


def theirs(text: str, name: str) -> Findings:
    findings = Findings()
    file = FILES[name]
    file.read(findings, Path("theirs"), text, file.keys)
    return findings


def shell(text: str) -> Findings:
    return theirs(text, "etc/default/kdump-tools")


def lines(text: str) -> Findings:
    return theirs(text, "etc/kdump.conf")


SECTION = "[capture]\n"
#: What is read, the text for a size, and the smaller of two sizes: the other is ten times that.
LARGE: dict[str, tuple[Callable[[str], object], Callable[[int], str], int]] = {
    "a list of lines": (ours, lambda n: SECTION + "path = [\n" + '"a", # ]\n' * n + "]\n", 2000),
    "a text of lines": (ours, lambda n: SECTION + 'path = """\n' + "a\n" * n + '"""\n', 5000),
    "keys": (ours, lambda n: SECTION + "".join(f"key{i} = 1\n" for i in range(n)), 1000),
    "sections": (ours, lambda n: "".join(f"[section{i}]\n" for i in range(n)), 1000),
    "tables": (ours, lambda n: "[[capture]]\n" * n, 1000),
    "a key of parts": (ours, lambda n: SECTION + ".".join("a" * n) + " = 1\n", 5000),
    "a table of parts": (ours, lambda n: f"[{'.'.join('a' * n)}]\n", 5000),
    "a long key": (ours, lambda n: f'{SECTION}"{"a" * n}" = 1\n', 50000),
    "assignments": (shell, lambda n: "".join(f"A{i}=1\n" for i in range(n)), 2000),
    "one name": (shell, lambda n: "A=1\n" * n, 2000),
    "one line": (shell, lambda n: "A=1 " * n, 2000),
    "escapes": (shell, lambda n: "A=" + "\\a" * n + "\n", 5000),
    "quotes": (shell, lambda n: "A=" + "'a'" * n + "\n", 5000),
    "quotes of two kinds": (shell, lambda n: "A=" + "'a'b" * n + "\n", 5000),
    "variables": (shell, lambda n: f"A={'x' * 60000}\nB=" + "$A" * n + "\n", 2000),
    "reserved words": (shell, lambda n: "if " * n + "\n", 5000),
    "commands": (shell, lambda n: "command\n" * n, 2000),
    "nested commands": (shell, lambda n: "A=" + "$(" * n + ")" * n + "\n", 5000),
    "parentheses": (shell, lambda n: "(" * n + "\n", 5000),
    "arrays": (shell, lambda n: "A=(x)" * n + "\n", 2000),
    "unknown keys": (lines, lambda n: "".join(f"key{i} 1\n" for i in range(n)), 1000),
    "a key again": (lines, lambda n: "path /x\n" * n, 2000),
    "a long line": (lines, lambda n: "a" * n + "\n", 50000),
}  # fmt: skip


@pytest.mark.parametrize(("read", "text", "size"), LARGE.values(), ids=LARGE)
def test_ten_times_the_text_takes_ten_times_as_long(
    read: Callable[[str], object], text: Callable[[int], str], size: int
) -> None:
    """Or less than a square's hundred times, by far; processor time, the best of three."""

    def seconds(count: int) -> float:
        whole = text(count)
        best = 1e9
        for _ in range(3):
            lines_of.cache_clear()
            start = time.process_time()
            read(whole)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(10 * size) < 40 * (seconds(size) + 0.005)


def test_only_so_many_complaints() -> None:
    found = ours(SECTION + "".join(f"key{i} = 1\n" for i in range(1000)))
    assert len(found.errors) == 101
    assert found.errors[-1].endswith(" (further ones are not listed)")
    assert found.errors[0].startswith("ours:2: capture.key0: unknown key")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f"{SECTION}{'a.' * 5000}a = 1\n", "ours: not TOML: a key with too many parts"),
        (f"{SECTION}path = {'[' * 5000}", "ours: not TOML: "),
        (f"{SECTION}path = {'{a=' * 5000}", "ours"),
        (f"{SECTION}jobs = {'9' * 5000}\n", "ours"),
        (f"{SECTION}path = '\\n", "ours:"),
        ("\udcff", "ours:1: not UTF-8"),
        ("\0", "ours"),
        (
            f'{SECTION}path = "a\\u001b[2J"\n',
            "ours:2: capture.path: expected one line of printable ",
        ),
        (
            f'{SECTION}path = "/var/crash\\n"\n',
            "ours:2: capture.path: expected one line of printable ",
        ),
        (
            f'{SECTION}path = "/var/crash "\n',
            "ours:2: capture.path: it begins or ends with a blank",
        ),
        (
            f'{SECTION}device = "LABEL=dumps "\n',
            "ours:2: capture.device: it begins or ends with a blank",
        ),
        (
            f'{SECTION}device = " /dev/sda1"\n',
            "ours:2: capture.device: it begins or ends with a blank",
        ),
    ],
    ids=range(12),
)
def test_what_is_wrong_is_one_line(text: str, error: str) -> None:
    (found,) = ours(text).errors
    assert found.startswith(error)
    assert found.isprintable() and len(found) < 1000


GARBAGE = st.one_of(
    st.text(max_size=80),
    st.text("[]{}=.,\"'#\\\n \tab1-$()`&|;<>!~", max_size=80),
    st.lists(
        st.sampled_from([*"[]{}=.,#\\$()`", '"', "'", '"""', "'''", "\n", " ", "capture", "path",
                         "device", "fstype", "image", "hardware", "true", "1", "KDUMP_COREDIR",
                         "ext4", "core_collector", "if", "then", "fi", "case", "<<", "A=", "$A",
                         "\0", "\x1b[2J", "é", "\r\n"]),
        max_size=30,
    ).map("".join),
)  # fmt: skip


@given(GARBAGE)
def test_garbage(text: str) -> None:
    """Nothing is raised, whatever a file holds, and a complaint is a line that can be printed."""
    found = [ours(text), *(theirs(text, name) for name in FILES)]
    for findings in found:
        for line in (*findings.errors, *findings.warnings):
            assert line.isprintable()
            assert re.match(r"(ours|theirs)(:\d+)?: .", line)
    script = shellwords.read(text)
    assert bool(script.problem) == bool(script.line)


def test_the_files_are_read_by_both_readers() -> None:
    assert {file.read for file in FILES.values()} >= {linefile.read}
    assert {"etc/default/kdump-tools", "etc/kdump.conf"} <= set(FILES)
