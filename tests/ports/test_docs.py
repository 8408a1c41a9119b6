# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of docs/ports.md says what records can say, of each port."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from . import record
from .docs import BEGIN, COLUMNS, END, NOTHING, PAGE, NotProven, cells, row, table
from .record import Proof, Record
from .table import PORTS, Port

RECORD = Record("x", "x86_64", "7.2.12+deb14-amd64", 4096, Proof.CYCLE, "kexec_load", 31, "drgn 0")
#: What a cell of each column is, for a port.
CELLS: dict[str, Callable[[Port], str]] = {
    "Machine": lambda port: re.escape(machine(port)),
    "Kernel": lambda port: r"\d+\.\d+\.\d+[\w+.-]*",
    "Pages": lambda port: f"{port.page >> 10} KiB",
    "Loaded by": lambda port: f"kexec_load|kexec_file_load|{NOTHING}",
    "Dump level": lambda port: f"{port.level}|{NOTHING}",
    "Read back by": lambda port: rf"(drgn|makedumpfile) [\d.]+|{NOTHING}",
    "Levels compared": lambda port: rf"\d+(, \d+)*|{NOTHING}",
    "With": lambda port: rf"{judge(port)}|{NOTHING}",
}


def judge(port: Port) -> str:
    if port.rival:
        return r"makedumpfile [\d.]+"
    return r"a walk by drgn [\d.]+, the vmcore" if port.level > 1 else "the vmcore"


def machine(port: Port) -> str:
    variant = port.architecture.variant.upper()
    return f"{port.architecture.name} ({variant})" if variant else port.architecture.name


def test_each_row_says_what_records_of_a_port_say() -> None:
    header, *rows = cells(PAGE.read_text())
    assert header == COLUMNS == tuple(CELLS)
    assert rows
    ports = iter(PORTS.values())
    for found in rows:
        # In the order of the table of ports, of which some may not have been proven yet.
        assert any(fits(found, port) for port in ports), found


def fits(found: tuple[str, ...], port: Port) -> bool:
    pairs = zip(COLUMNS, found)
    return all(re.fullmatch(CELLS[column](port), cell) for column, cell in pairs)


def test_the_page_tells_why_a_level_is_lower() -> None:
    text = " ".join(PAGE.read_text().split())
    for port in PORTS.values():
        assert port.why in text
        assert bool(port.why) == (port.level != 31)


def test_a_row_is_made_from_records() -> None:
    port = next(iter(PORTS.values()))
    pages = [replace(RECORD, proof=Proof.PAGES, level=level, reader="other") for level in (1, 31)]
    start = ("x86_64", "7.2.12+deb14-amd64", "4 KiB")
    made = row("x", port, [RECORD, *pages])
    assert made == (*start, "kexec_load", "31", "drgn 0", "1, 31", "other")
    assert cells(BEGIN + table([made]) + END) == [COLUMNS, made]
    assert row("x", port, pages) == (*start, *(NOTHING,) * 3, "1, 31", "other")
    assert row("x", port, [RECORD]) == (*start, "kexec_load", "31", "drgn 0", *(NOTHING,) * 2)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([replace(RECORD, level=1)], "its dump is of level 1, not 31"),
        ([RECORD, replace(RECORD, proof=Proof.PAGES, kernel="6")], "is not of 7"),
        ([replace(RECORD, page=65536)], "is not of 7"),
    ],
)
def test_records_that_contradict_make_no_row(records: list[Record], why: str) -> None:
    port = Port(next(iter(PORTS.values())).source)
    with pytest.raises(NotProven, match=why):
        row("x", port, records)


def test_a_record_is_read_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "FOLDER", tmp_path / "records")
    pages = replace(RECORD, proof=Proof.PAGES, level=8)
    for each in (pages, RECORD, replace(RECORD, port="y")):
        each.write()
    assert record.read("x") == [RECORD, pages]
