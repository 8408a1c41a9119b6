# SPDX-License-Identifier: GPL-2.0-or-later
"""A new way to write is one file: the saver does the same with a store that nobody has foreseen."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kdump_initrd.saver import store
from kdump_initrd.saver.__main__ import main
from kdump_initrd.saver.formats.dumpfile import open_dump, pages_of
from kdump_initrd.saver.low.failure import SaverError
from kdump_initrd.saver.params import TargetParams
from kdump_initrd.saver.store import Lines, Part, Store, Text, open_store
from kdump_initrd.saver.store.folder import Folder

from .logged import LOG, logged
from .running import arguments
from .samples import sample
from .vmcore import PAGE

KIND = "drawer"


class Drawer(Store):
    """A store that can do least: nothing is read again, and a dump is a stream."""

    #: What there is of the last crash, by its name.
    things: dict[str, bytes]
    top: Path

    def __init__(self, target: TargetParams) -> None:
        assert target.device == "UUID=1"

    def begin(self, name: str, last: str) -> str:
        Drawer.things = {}
        self.where = f"drawer:{name}"
        return "it is an old one"

    def text(self, name: str, last: str = "") -> Text:
        return Note(name)

    def lines(self, name: str, last: str) -> Lines:
        return Roll(name)

    def dump(self, name: str, last: str) -> Part:
        return Tape(name)


class Note(Text):
    def __init__(self, name: str) -> None:
        self.name = name

    def write(self, text: str, *, last: bool = False) -> None:
        Drawer.things[self.name] = text.encode()


class Roll(Lines):
    def __init__(self, name: str) -> None:
        self.name = name
        Drawer.things[name] = b""

    def write(self, data: bytes) -> None:
        Drawer.things[self.name] += data

    def end(self, data: bytes, *, whole: bool) -> None:
        assert whole
        self.write(data)


class Tape(Part):
    seekable = False

    def __init__(self, name: str) -> None:
        self.name, self.final = f"{name}-incomplete", name

    def create(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._fd = os.open(Drawer.top / self.final, flags)
        return self._fd

    def scratch(self) -> int:
        return os.memfd_create("pages")

    def close(self) -> None:
        os.close(self._fd)

    def commit(self) -> None:
        self.name = self.final


@pytest.fixture
def vmcore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module = ModuleType(KIND)
    vars(module)["STORE"] = Drawer
    monkeypatch.setitem(sys.modules, f"{store.__name__}.{KIND}", module)
    Drawer.top = tmp_path
    return logged(sample()[0]).write(tmp_path / "in")


def words(vmcore: Path, **options: object) -> list[str]:
    found = arguments(vmcore, Path("/nowhere"), dmesg_name="log", **options)
    return [*found, "--target.store", KIND, "--target.device", "UUID=1"]


def test_all_of_a_crash_goes_there(
    vmcore: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    assert main(words(vmcore, readme_name="README", state=state)) == 0
    assert state.read_text() == "drawer:crash\n"
    assert sorted(Drawer.things) == ["README", "log", "report.json"]
    assert all(line in Drawer.things["log"].decode() for line in LOG)
    assert "the dump is complete" in Drawer.things["README"].decode()
    report = json.loads(Drawer.things["report.json"])
    assert (report["result"], report["panic"]) == ("saved", "a test")
    assert report["steps"][1]["detail"] == "drawer:crash; it is an old one"
    # It cannot be written over, nor read back.
    dump = report["dump"]
    assert (dump["name"], dump["format"], dump["verified"]) == ("vmcore", "flat", "none")
    memory, wanted = open_dump(str(tmp_path / "vmcore")), sample()[1]
    pages = pages_of(memory, PAGE)
    assert {pfn: bytes(pages.page(pfn) or b"") for pfn in wanted} == wanted
    memory.close()
    said = capfd.readouterr().err
    assert "warning: it is an old one" in said
    assert "the dump is in drawer:crash (" in said


def test_makedumpfile_writes_to_files_only(vmcore: Path) -> None:
    assert main(words(vmcore, collector="/bin/false")) == 0
    report = json.loads(Drawer.things["report.json"])
    assert [step["detail"] for step in report["steps"] if step["name"] == "collector"] == [
        "makedumpfile: it writes to files only"
    ]


def test_what_takes_no_time_goes_there_too(vmcore: Path) -> None:
    assert main(words(vmcore, emergency="no progress for 9 s")) == 1
    assert sorted(Drawer.things) == ["log", "report.json"]
    assert json.loads(Drawer.things["report.json"])["reason"] == "no progress for 9 s"


@pytest.mark.parametrize("kind", ["", "Folder", "medium", "no.such", "beneath"])
def test_an_unknown_kind(kind: str) -> None:
    with pytest.raises(SaverError) as caught:
        open_store(TargetParams(store=kind))
    assert str(caught.value) == f"store: there is no {kind!r}"


def test_the_known_kind() -> None:
    assert type(open_store(TargetParams())) is Folder
