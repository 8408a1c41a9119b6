# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of the keys of a TOML file."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdump_initrd.core.toml import Key, lines_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("# nothing\n\n", {}),
        ("a = 1\r\nb = 2", {("a",): 1, ("b",): 2}),
        ("# x\n\n  a = 1 # y\n[b]\nc = 2\n", {("a",): 3, ("b",): 4, ("b", "c"): 5}),
        ("a = [\n  1, # ]\n  2,\n]\nb = 3\n", {("a",): 1, ("b",): 5}),
        ('a = """\nb = 1\n[c]\n"""\nd = 2\n', {("a",): 1, ("d",): 5}),
        ("[a.b]\nc = 1\n[a]\nd = 2\n",
         {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2, ("a", "d"): 4}),
        ("a.b = 1\na.c = 2\n", {("a",): 1, ("a", "b"): 1, ("a", "c"): 2}),
        ("[[a]]\nb = 1\n[[a]]\nb = 2\n",
         {("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2, ("a", 1): 3, ("a", 1, "b"): 4}),
        ("[[a]]\n[a.b]\n[[a]]\n[[a.b]]\nc = 1\n",
         {("a",): 1, ("a", 0): 1, ("a", 0, "b"): 2, ("a", 1): 3, ("a", 1, "b"): 4,
          ("a", 1, "b", 0): 4, ("a", 1, "b", 0, "c"): 5}),
        ("a = [{ b = 1 },\n{ b = 2 }]\n", {("a",): 1}),
        ('"a.b" = 1\n[\'c d\']\n"e" = { f = 1 }\n',
         {("a.b",): 1, ("c d",): 2, ("c d", "e"): 3, ("c d", "e", "f"): 3}),
    ],
)  # fmt: skip
def test_lines(text: str, wanted: dict[Key, int]) -> None:
    assert dict(lines_of(text)) == wanted


@given(st.lists(
    st.tuples(st.text("ab \"'#[]=\n", max_size=6), st.integers(0, 3)), max_size=6, unique_by=str
))  # fmt: skip
def test_every_key_is_on_the_line_that_begins_with_it(pairs: list[tuple[str, int]]) -> None:
    """Strings that look like everything else, in one line and in several."""
    parts = []
    for number, (text, blank) in enumerate(pairs):
        quoted = text.replace('"', '\\"')
        value = f'"""{quoted}"""' if "\n" in text else f'[\n"{quoted}",\n]'
        parts.append("\n" * blank + f"key{number} = {value}\n")
    whole = "".join(parts)
    assert set(tomllib.loads(whole)) == {f"key{n}" for n in range(len(pairs))}
    lines = whole.split("\n")
    for key, line in lines_of(whole).items():
        assert lines[line - 1].startswith(f"{key[0]} = ")
    assert len(lines_of(whole)) == len(pairs)
