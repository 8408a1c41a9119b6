# SPDX-License-Identifier: GPL-2.0-or-later
"""A FIFO, a device, a link out, an endless file, garbage in a root: one line, in time, inside."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fuzz import Fuzzer, systems
from .oddities import odd
from .trial import run

pytestmark = pytest.mark.timeout(300)
#: How many combinations of each command are tried, the same ones in each run.
COUNTS = {"check": 60, "show": 60, "list": 40, "first": 40, "plan": 30, "refresh": 15, "build": 5}


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    """A root like Debian's, and what is read of it."""
    with pytest.MonkeyPatch.context() as patch:
        top = tmp_path_factory.mktemp("roots")
        patch.setenv("XDG_CACHE_HOME", str(top / "cache"))
        yield Fuzzer(top, *systems(["debian"]))


@pytest.mark.parametrize("command", COUNTS)
def test_some_of_each_command(fuzzer: Fuzzer, command: str) -> None:
    cases = fuzzer.cases_of(command)
    assert len(cases) > 300
    chosen = random.Random(command).sample(cases, COUNTS[command])
    assert [line for case in chosen for line in fuzzer.one(case)] == []


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("profile", ["debian", "fedora", "suse"])
def test_more_of_all(tmp_path: Path, profile: str) -> None:
    fuzzer = Fuzzer(tmp_path, *systems([profile]))
    chosen = random.Random(profile).sample(fuzzer.cases(), 1000)
    assert [line for case in chosen for line in fuzzer.one(case)] == []


@pytest.mark.parametrize(
    ("path", "kind", "command", "said"),
    [
        ("etc/kdump-initrd.toml", "fifo", "check", "is not a regular file"),
        ("etc/kdump-initrd.toml", "endless", "check", "is larger than 4 MB"),
        ("etc/kdump-initrd.toml", "device", "plan", "is not a regular file"),
        ("etc/kdump-initrd/templates/init.j2", "fifo", "plan", "is not a regular file"),
        ("etc/kdump-initrd/templates/init.j2", "folder", "plan", "Is a directory"),
        ("etc/kdump-initrd/hooks/save/60-mine", "socket", "plan", "is not a regular file"),
        ("etc/kdump-initrd/distros/debian.toml", "huge", "show", "is larger than 4 MB"),
        ("boot/initrd.img-6.1.0-28-amd64", "fifo", "list", "is not a regular file"),
        ("boot/initrd.img-6.1.0-28-amd64", "endless", "list", "is larger than 8 GB"),
        ("boot/vmlinuz-6.1.0-28-amd64", "endless", "first", "is larger than 128 MB"),
    ],
)
def test_what_is_said(fuzzer: Fuzzer, path: str, kind: str, command: str, said: str) -> None:
    with odd(fuzzer.root / path, kind, fuzzer.host):
        done = run(fuzzer.commands[command])
    assert done.status == 1
    assert f"{fuzzer.root / path}: {said}" in done.said


def test_a_template_of_another_root_does_nothing_to_the_host(fuzzer: Fuzzer) -> None:
    path = fuzzer.root / "etc/kdump-initrd/templates/init.j2"
    before = path.read_text()
    secret = fuzzer.host / "file"
    try:
        path.write_text(f'{{{{ site.root.joinpath("{secret}").read_text() }}}}')
        done = run(fuzzer.commands["plan"])
    finally:
        path.write_text(before)
    assert done.status == 1
    assert done.said.count("error: ") == 1
    assert "'dict object' has no attribute 'root'" in done.said
    assert f"in {path}:1" in done.said
    assert secret.read_text() not in done.said
    assert str(secret) not in done.opened
