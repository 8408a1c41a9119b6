# SPDX-License-Identifier: GPL-2.0-or-later
"""The declared tables of a TOML file: what is read by them, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from kdump_initrd.core import schema
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.schema import Table, one_of, record, some, text, texts
from kdump_initrd.core.toml import Document, parse


@dataclass(frozen=True)
class Boat:
    """A record of both kinds."""

    name: str
    crew: tuple[str, ...]


DECLARED = Table({
    "port": text(one_of("Cork", "Brest")),
    "boat": record(Boat, crew=some(texts(str.title))),
    "berth": Table({"of": text(), "ropes": Table(others=text())}, needed=("of",), array=True),
})  # fmt: skip
RIGHT = """\
port = "Cork"
[boat]
name = "Ann"
crew = ["eve", "bob"]
[[berth]]
of = "Ann"
[[berth]]
of = "Joy"
ropes = { bow = "new" }
"""


def document(content: str) -> Document:
    return parse(Path("x.toml"), content.encode())


def test_a_file_is_read_as_it_is_declared() -> None:
    assert schema.check(document(RIGHT), DECLARED) == {
        "port": "Cork",
        "boat": {"name": "Ann", "crew": ("Eve", "Bob")},
        "berth": [{"of": "Ann"}, {"of": "Joy", "ropes": {"bow": "new"}}],
    }


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("[[berth]]\nof = ''\n[[berth]]\noff = ''", "4: berth.off: unknown key",
         "did you mean berth.of?"),
        ("[[berth]]\nof = ''\n[[berth]]\n", "3: berth: of is missing", None),
        ("[[berth]]\nof = ''\n[[berth]]\nof = ''\nropes = { a = 1 }",
         "5: berth.ropes.a: expected a string", None),
        ("[[berth]]\nof = ''\n[[berth]]\nof = ''\n[berth.ropes]\na = 1",
         "6: berth.ropes.a: expected a string", None),
        ("berth = [\n{ of = 1 }]", "1: berth.of: expected a string", None),
        ("[berth]", "1: berth: expected [[berth]]", None),
        ("berth = [1]", "1: berth: expected [[berth]]", None),
        ("\n[[boat]]", "2: boat: expected [boat]", None),
        ("[boat]\nport = 'Cork'", "2: boat.port: unknown key", "expected one of name, crew"),
        ("name = 'x'", "1: name: unknown key", "did you mean boat.name?"),
        ("[boat]\ncrew = []", "2: boat.crew: expected at least one", None),
        ("port = 'Brst'", "1: port: 'Brst': did you mean Brest?", None),
        ("port = 'x'", "1: port: 'x': expected one of Cork, Brest", None),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line(content: str, message: str, hint: str | None) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        schema.check(document(content), DECLARED)
    assert (caught.value.message, caught.value.hint) == (f"x.toml:{message}", hint)


def test_all_mistakes_are_told_and_the_rest_is_read() -> None:
    wrong = RIGHT.replace('name = "Ann"', "name = 1").replace('"new"', "2") + "x = 1\n"
    values, mistakes = schema.read(document(wrong).table, DECLARED)
    assert values == {
        "port": "Cork",
        "boat": {"crew": ("Eve", "Bob")},
        "berth": [{"of": "Ann"}, {"of": "Joy", "ropes": {}}],
    }
    assert [each.key for each in mistakes] == [
        ("boat", "name"), ("berth", 1, "ropes", "bow"), ("berth", 1, "x")
    ]  # fmt: skip
