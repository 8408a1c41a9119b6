# SPDX-License-Identifier: GPL-2.0-or-later
"""crashkernel= words: which there are, what the kernel takes of several, and files with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.bootloaders import crashwords, editing
from kdump_initrd.bootloaders.crashwords import Demand
from kdump_initrd.core.errors import KdumpInitrdError, UsageError
from kdump_initrd.core.root import Root

MIB, GIB = 1 << 20, 1 << 30
WORD = "crashkernel=144M"


@pytest.mark.parametrize(
    ("text", "demand"),
    [
        ("256M", Demand(256 * MIB)),
        ("1G", Demand(GIB)),
        ("268435456", Demand(256 * MIB)),
        ("256m@16M", Demand(256 * MIB)),
        ("1G-4G:160M,4G-64G:192M,64G-:256M", Demand(192 * MIB)),
        ("64G-:256M", Demand(0)),
        ("0-:300M@1G", Demand(300 * MIB)),
        ("512M,high", Demand(512 * MIB)),
        ("512M,high 72M,low", Demand(512 * MIB, low=72 * MIB)),
        ("64M 192M,cma", Demand(64 * MIB, cma=192 * MIB)),
        ("crashkernel=64M crashkernel=192M,cma", Demand(64 * MIB, cma=192 * MIB)),
    ],
)
def test_what_words_reserve(text: str, demand: Demand) -> None:
    """On a machine with 8 GiB."""
    assert crashwords.demand(crashwords.parse(text), memory=8 * GIB) == demand


@pytest.mark.parametrize(
    "text",
    ["", "auto", "lots", "M", "256M,", "256M,low", "1-:", "1G-4G", "-1M", "1M 2M", "1M 2M,high",
     "256M;reboot", "256M,high,cma", "1G-4G:160M,", "256M$(x)"],
)  # fmt: skip
def test_what_is_no_reservation(text: str) -> None:
    with pytest.raises(UsageError):
        crashwords.parse(text)


def test_the_last_word_counts() -> None:
    """As in kernel/crash_reserve.c: of each kind; beside a plain size, high and low do not."""
    found = crashwords.words_of(
        "a crashkernel=1M crashkernel=2M,high b crashkernel=3M x=crashkernel=9"
    )
    assert found == ["crashkernel=1M", "crashkernel=2M,high", "crashkernel=3M"]
    assert crashwords.demand(found, memory=GIB) == Demand(3 * MIB)
    assert crashwords.demand([], memory=GIB) is None
    assert crashwords.demand(["crashkernel=auto"], memory=GIB) == Demand(None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('X="quiet"\n', f'X="quiet {WORD}"\n'),
        ("X='a b'  # why\n", f"X='a b {WORD}'  # why\n"),
        ("X=quiet\n", f'X="quiet {WORD}"\n'),
        ("X=\n", f'X="{WORD}"\n'),
        ('X=""', f'X="{WORD}"'),
        ('X="a"\nX="$X b"\nY=1\n', f'X="a"\nX="$X b {WORD}"\nY=1\n'),
        ('export X="a \\"b\\" "\n', f'export X="a \\"b\\" {WORD}"\n'),
        ("Y=1", f'Y=1\nX="{WORD}"\n'),
        ("", f'X="{WORD}"\n'),
        ("#X=1\n", f'#X=1\nX="{WORD}"\n'),
    ],
)
def test_an_assignment_gets_words_and_loses_them(before: str, after: str) -> None:
    assert editing.in_assignment(before, "X", [WORD]) == after
    if before.startswith("X=") and before.count('"') == 2:
        assert editing.without(after, [WORD], sourced=True) == before


@pytest.mark.parametrize("text", ['X="a\nb"\n', 'X="a"b"c"\n', "X=$(cat x)\n", "X=`y`z'\n"])
def test_an_assignment_that_only_a_person_understands(text: str) -> None:
    with pytest.raises(KdumpInitrdError, match="not one text in quotes"):
        editing.in_assignment(text, "X", [WORD])


@pytest.mark.parametrize(
    "text",
    [
        'X+=" b"\n',
        'X="a"\nX+=" b"\n',
        'if true; then X="a"; fi\n',
        'Y=1; X="a"\n',
        '[ "$Y" ] || X=a\n',
    ],
)
def test_an_assignment_that_is_not_alone_on_its_line_stays(text: str) -> None:
    """Another one behind it would drop its value."""
    with pytest.raises(KdumpInitrdError, match="in a way that is not known here"):
        editing.in_assignment(text, "X", [WORD])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"root=x {WORD} quiet\n", "root=x quiet\n"),
        (f"root=x {WORD}\n", "root=x\n"),
        (f"{WORD} quiet", "quiet"),
        (f'X="{WORD}"\n', 'X=""\n'),
        (f'X="{WORD} quiet"\n', 'X="quiet"\n'),
        (f"root=x {WORD},high my.{WORD} {WORD}@1M\n", None),
        (f"# {WORD}\n", None),
    ],
)
def test_a_word_is_taken_out_and_nothing_else(before: str, after: str | None) -> None:
    expected = before if after is None else after
    assert editing.without(before, [WORD], sourced=False) == expected
    assert editing.without(before, [WORD], sourced=True) == expected


#: What is a comment to a shell, with "|" where it begins.
SHELL_COMMENTS = (
    f'X="a" | # {WORD}\n',
    f"X=a;|#{WORD}\n",
    f"X='# {WORD}' Y=\"\\\" # {WORD}\" | # {WORD} '\n",
    f"X=a# \\# {WORD} | # {WORD}\n",
    f'X="a\n# {WORD}\nb" Y=${{Z#a}} | # {WORD}\n',
    f"| # it's {WORD}\nX='{WORD}'\n",
)


@pytest.mark.parametrize("text", SHELL_COMMENTS)
def test_comments_behind_a_line_of_a_shell_are_no_words(tmp_path: Path, text: str) -> None:
    code, _, rest = text.partition("|")
    comment, _, more = rest.partition("\n")
    path = tmp_path / "grub"
    path.write_text(text.replace("|", ""))
    assert len(editing.find(path, Root(), sourced=True)) == (code + more).count(WORD)
    left = editing.without(path.read_text(), [WORD], sourced=True)
    assert (comment in left, left.count(WORD)) == (True, comment.count(WORD))


def test_where_no_shell_reads_only_lines_are_comments(tmp_path: Path) -> None:
    """The kernel gets all words of an entry, that with a number sign among them."""
    path = tmp_path / "x.conf"
    path.write_text(f"# {WORD}\noptions a # {WORD}\n")
    assert [each.line for each in editing.find(path, Root(), sourced=False)] == [2]
    assert editing.without(path.read_text(), [WORD], sourced=False) == f"# {WORD}\noptions a #\n"


@pytest.mark.parametrize("blanks", ["  ", "\t", " \t "])
def test_blanks_of_other_people_stay(blanks: str) -> None:
    text = f"root=x{blanks}quiet"
    assert editing.without(f"root=x {WORD}{blanks}quiet", [WORD], sourced=False) == text
    assert editing.without(f"root=x{blanks}{WORD} quiet", [WORD], sourced=False) == (
        f"root=x{blanks[:-1]} quiet"
    )


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("root=x quiet\n", "", f"root=x quiet {WORD}\n"),
        ("root=x\n# no\n\n", "", f"root=x {WORD}\n# no\n\n"),
        ("root=x", "", f"root=x {WORD}"),
        ("", "", f"{WORD}\n"),
        (
            "options a\noptions\tb \nlinux /x\n",
            "options",
            f"options a\noptions\tb {WORD}\nlinux /x\n",
        ),
        ("linux /x", "options", f"linux /x\noptions {WORD}\n"),
    ],
)
def test_a_line_gets_words(before: str, key: str, after: str) -> None:
    assert editing.in_line(before, [WORD], key=key) == after


def test_where_words_are(tmp_path: Path) -> None:
    path = tmp_path / "grub"
    path.write_text(f'# {WORD}\nX="a {WORD}"\n\nY=crashkernel=1G-:2M,3M # crashkernel=4M\n')
    found = editing.find(path, Root(), sourced=True)
    assert [(each.line, each.word) for each in found] == [
        (2, WORD), (4, "crashkernel=1G-:2M,3M")
    ]  # fmt: skip
    assert str(found[0]) == f"{path}:2"
