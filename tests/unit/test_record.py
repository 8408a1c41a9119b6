# SPDX-License-Identifier: GPL-2.0-or-later
"""What is remembered of a root lies in it, and makes nobody look at, or touch, what does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdump_initrd.core.root import Root
from kdump_initrd.upkeep import inputs, record
from kdump_initrd.upkeep.inputs import Input, collect
from kdump_initrd.upkeep.record import Record


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    return tmp_path / "root"


def test_what_is_behind_a_link_is_nothing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "host").write_text("the host's")
    (root / "link").symlink_to(tmp_path / "host")
    (root / "folder").symlink_to(tmp_path)
    assert inputs.take(root / "link").digest == f"link {tmp_path}/host"
    for name in ("host", "none", "root"):
        assert inputs.take(root / "folder" / name) == Input()


def test_of_another_root_only_its_own_and_this_programs_files(root: Path, tmp_path: Path) -> None:
    (tmp_path / "host").write_text("the host's")
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/x").write_text("")
    (root / "etc/link").symlink_to("/etc/x")
    mine = Path(inputs.__file__)
    there = Root(root)
    for path in (tmp_path / "host", root / "etc/link", mine, Path("/usr/bin/env")):
        assert there.file(path) is not None
    there.entries(tmp_path)
    found = collect(there.asked, root=there)
    assert found.keys() == {str(root / "etc/link"), str(root / "etc/x"), str(mine)}


def test_a_record_does_not_make_anybody_read_the_hosts_files(root: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")  # who reads it waits for ever
    for name in (f"{tmp_path}/fifo", f"{root}/../fifo", f"{root}/a\0b"):
        assert inputs.changed({name: Input("x", (1, 2, 3, 4))}, root=Root(root)) == name
    (root / "link").symlink_to(tmp_path / "fifo")
    assert inputs.changed({f"{root}/link": Input("x")}, root=Root(root)) == f"{root}/link"


def _record(output: Path) -> Record:
    return Record("capture", "6.1", "1", str(output), {}, {}, "", {}, Input(""))


def test_a_record_lies_in_its_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (root / "var/lib").mkdir(parents=True)
    (root / "var/lib/kdump-initrd").symlink_to(tmp_path / "host")
    with record.alone(root=Root(root)):
        _record(root / "boot/x").save("a", root=Root(root))
        assert [*record.every(root=Root(root))] == ["a"]
        record.forget("a", root=Root(root))
    assert not [*(tmp_path / "host").iterdir()]


def test_a_record_of_what_lies_elsewhere_is_none(root: Path, tmp_path: Path) -> None:
    (root / "boot").symlink_to(tmp_path)
    for output in (tmp_path / "x", root / "boot/x", root / "../x"):
        with record.alone(root=Root(root)):
            _record(output).save("a", root=Root(root))
            assert record.load("a", root=Root(root)) is None
            record.forget("a", root=Root(root))


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[1]", '{"inputs": 3}', "\xff", ""])
def test_a_damaged_record_is_none(root: Path, text: str) -> None:
    with record.alone(root=Root(root)):
        path = root / record.FOLDER / "a.json"
        path.write_bytes(text.encode("latin-1"))
        assert record.load("a", root=Root(root)) is None
        path.unlink()
        os.mkfifo(path)
        assert record.every(root=Root(root)) == {}
        path.unlink()
