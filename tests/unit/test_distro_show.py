# SPDX-License-Identifier: GPL-2.0-or-later
"""--show-distro: the effective profile as a file, and which line says each value."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.commands.profiletext import lines
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = search_path("distros", root=Root(Path("/nonexistent")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc/kdump-initrd/distros").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text("ID=rocky\nID_LIKE='rhel centos fedora'\n")
    return tmp_path


@pytest.mark.parametrize("name", profiles.known(SHIPPED, root=Root()))
def test_what_is_printed_is_the_profile(root: Path, name: str) -> None:
    """It can be read as a profile that inherits from nothing, and is the same."""
    text = "\n".join(lines(root, name))
    (root / "copy.toml").write_text(text)
    copy = profiles.load("copy", search_path=(root,), root=Root())
    assert replace(copy, id=name) == profiles.load(name, search_path=SHIPPED, root=Root())


@pytest.mark.parametrize("name", profiles.known(SHIPPED, root=Root()))
def test_every_origin_is_the_line_that_says_it(root: Path, name: str) -> None:
    """Each assignment, kind of initrd and boot loader has one; the line there has the key."""
    section, seen = "", 0
    for line in lines(root, name):
        header = re.match(r"\[([\w.-]+)\]", line)
        section = header[1] if header else section
        key = re.match(r"([\w-]+) = ", line)
        if line.startswith("#") or not (key or header):
            continue
        is_kind = section.startswith(("initrd.", "bootloader."))
        if bool(key) == is_kind:
            continue
        file, number = line.rpartition("  # ")[2].rsplit(":", 1)
        *above, said = Path(file).read_text().splitlines()[: int(number)]
        if key and file.endswith("/architectures.toml"):
            assert [each for each in above if each.startswith("[")][-1] == f"[{key[1]}]"
            assert (section, said[:10]) == ("cmdline", "cmdline = ")
        else:
            assert said.startswith(f"{key[1]} = " if key else f"[{section}]")
        seen += 1
    assert seen > 40


def test_the_distribution_of_the_root(root: Path) -> None:
    first, *rest = lines(root, None)
    assert first == "# The profile rocky, from these files, each overriding those before it:"
    files = [line.removeprefix("#   ") for line in rest if line.startswith("#")]
    names = ("linux", "redhat", "rhel", "rocky")
    assert files == [str(SHIPPED[-1] / f"{name}.toml") for name in names]


def test_an_override_is_named_by_file_and_line(root: Path) -> None:
    own = root / "etc/kdump-initrd/distros/rocky.toml"
    own.write_text('# ours\n\n[dump]\npath = "/srv/crash"\n\n[hardware]\nodd = ["a", "b"]\n')
    found = list(lines(root, None))
    assert f'path = "/srv/crash"  # {own}:4' in found
    assert f'odd = ["a", "b"]  # {own}:7' in found
    assert f"#   {own}" in found
    assert f'name = "Rocky Linux"  # {SHIPPED[-1] / "rocky.toml"}:2' in found
    assert tomllib.loads("\n".join(found))["dump"]["dump"] == "vmcore"


def test_odd_names_are_quoted(root: Path) -> None:
    text = (
        '[hardware]\n"my card" = ["x"]\n[cmdline]\ncommon = [\'a="b c"\', "d\\\\e"]\n'
        "[initrd.'k i']\nmarks = []\nfiles = { 'a b' = 'c' }\nfeatures = { 'w w' = 'ü' }\n"
    )
    (root / "etc/kdump-initrd/distros/rocky.toml").write_text(text)
    found = tomllib.loads("\n".join(lines(root, "rocky")))
    said = tomllib.loads(text)
    assert found["hardware"]["my card"] == ["x"]
    assert found["cmdline"]["common"] == said["cmdline"]["common"]
    assert found["initrd"]["k i"] == said["initrd"]["k i"]


def test_lists_are_broken_into_lines(root: Path) -> None:
    long = [line for line in lines(root, "linux") if len(line) > 100 and "  # " not in line]
    # A table in one line is TOML's rule.
    assert all(line.startswith("files = { ") for line in long)


@pytest.mark.parametrize(
    ("name", "message"),
    [("beos", "beos: unknown distribution"), ("../rhel", "../rhel: unknown distribution")],
)
def test_an_unknown_one(root: Path, name: str, message: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        list(lines(root, name))
    assert caught.value.message == message
    assert "rocky" in str(caught.value.hint)


def test_a_wrong_override_is_named(root: Path) -> None:
    own = root / "etc/kdump-initrd/distros/rhel.toml"
    own.write_text("[dump]\npth = '/x'\n")
    with pytest.raises(KdumpInitrdError) as caught:
        list(lines(root, None))
    assert caught.value.message == f"{own}:2: dump.pth: unknown key"
    assert caught.value.hint == "did you mean dump.path?"


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KdumpInitrdError, match="no such directory"):
        list(lines(tmp_path / "nothing", None))
