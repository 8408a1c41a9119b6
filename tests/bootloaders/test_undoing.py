# SPDX-License-Identifier: GPL-2.0-or-later
"""``reserve --set`` and then ``--unset``: every byte is what it was, whatever the files are."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kdump_initrd.core import exits

from .inprocess import machine, reserve, tree
from .layouts import LAYOUTS, Host
from .originals import FILES

every = pytest.mark.parametrize("name", LAYOUTS)
#: What fails is small as it is.
quickly = settings(max_examples=10, phases=[Phase.explicit, Phase.reuse, Phase.generate])
SIZES = ("160M", "200M", "1G-:256M", "64M 192M,cma")


def originals(host: Host, name: str, data: st.DataObject) -> None:
    """Put files of any sort in the place of those of the root, some of them behind a link."""
    for file, kinds in FILES[name].items():
        path, content = host.root / file, data.draw(kinds, file)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            continue
        if data.draw(st.booleans(), "link"):
            path.symlink_to(f"{'../' * file.count('/')}srv/{path.name}")
            path = host.root / "srv" / path.name
            path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(data.draw(st.sampled_from([0o644, 0o600, 0o664]), "mode"))
        if os.geteuid() == 0:
            os.chown(path, data.draw(st.sampled_from([0, 7])), 8)


@every
@quickly
@given(data=st.data())
def test_what_was_set_is_undone_byte_for_byte(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    """Once or twice, with sizes of all sorts, and even if it could not be set."""
    with machine(tmp_path, name) as host:
        originals(host, name, data)
        before = tree(host)
        for size in data.draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=3), "sizes"):
            status, said = reserve(host, "--set", *size.split())
            if status == exits.DONE:
                after = tree(host)
                assert reserve(host, "--set", *size.split())[0] == exits.DONE
                assert tree(host) == after
            else:
                assert "error: " in said
        status, said = reserve(host, "--unset")
        assert status == exits.DONE, said
        assert tree(host) == before


#: Files that are hard to give back, where the layout's own are not.
HARD: Mapping[str, Mapping[str, bytes | None]] = {
    "grub-mkconfig": {"etc/default/grub": b"GRUB_TIMEOUT=1 # caf\xe9\r\nX='a'"},
    "grub2-mkconfig": {"etc/default/grub": b"GRUB_CMDLINE_LINUX_DEFAULT=\n"},
    "kernel-install": {
        "etc/kernel/cmdline": None,
        "efi/loader/entries/mine.conf": b"linux /x\noptions  a  b ",
    },
    "sdbootutil": {"etc/kernel/cmdline": b"\n"},
    "u-boot-menu-cmdline": {"etc/kernel/cmdline": b" a\tb \n\n"},
    "zipl": {"etc/zipl.conf": b'[a]\nparameters = "root=/dev/dasda1  "'},
}
FOLDER = "var/lib/kdump-initrd"
NOTE = f"{FOLDER}/crashkernel"
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed(host: Host, number: int, *words: str) -> bool:
    """Run ``kdump-initrd reserve``; kill it before its change of that number, if it has so many."""
    pid = os.fork()
    if pid == 0:
        count = itertools.count(1)

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            changes = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod")
            if event == "open" and isinstance(arguments[2], int):
                changes = arguments[2] & _WRITES != 0
            mine = arguments and f"{arguments[0]!s}".startswith((f"{host.root}", "/dev/fd"))
            if changes and (mine or event == "os.chmod") and next(count) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        reserve(host, *words)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("grub", "kernel-install") else pytest.param(name, marks=pytest.mark.full)
        for name in LAYOUTS
    ],
)
@pytest.mark.parametrize("words", ["--set 160M", "--set 200M", "--unset"])
def test_whatever_moment_it_is_killed_at(tmp_path: Path, name: str, words: str) -> None:
    """Either --unset undoes it, or the next --set does all of it, and --unset undoes that."""
    for number in itertools.count(1):
        with machine(tmp_path, name) as host:
            for file, text in HARD.get(name, {}).items():
                path = host.root / file
                path.unlink() if text is None else path.write_bytes(text)
            before = tree(host)
            if words != "--set 160M":
                assert reserve(host, "--set", "160M")[0] == exits.DONE
            if not killed(host, number, *words.split()):
                assert number > 5
                return
            if number % 2:
                status, said = reserve(host, "--set", "1G")
                assert (status, "1G is set" in said) == (exits.DONE, True)
            status, said = reserve(host, "--unset")
            assert status == exits.DONE, said
            # What is left in our own folder before there is a note, --refresh and --remove sweep.
            assert not (host.root / NOTE).exists()
            now = {path: each for path, each in tree(host).items() if not path.startswith(FOLDER)}
            assert now == before, number


ADDED = b"# added\n"


@pytest.mark.parametrize("name", sorted(LAYOUTS.keys() - {"rpm-ostree"}))
@quickly
@given(data=st.data())
def test_what_somebody_has_added_since_stays(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    """A line anywhere in each file, and all else is as before; perhaps another size comes first."""
    with machine(tmp_path, name) as host:
        originals(host, name, data)
        files = {file: host.root / file for file in FILES[name]}
        before = {file: content(path) for file, path in files.items()}
        if reserve(host, "--set", "160M")[0] != exits.DONE:
            return
        for path in files.values():
            lines = (content(path) or b"").splitlines(keepends=True)
            place = data.draw(st.integers(0, len(lines)), f"line of {path.name}")
            head, tail = b"".join(lines[:place]), b"".join(lines[place:])
            end = b"" if head.endswith(b"\n") or not head else b"\n"
            path.write_bytes(head + end + ADDED + tail if lines else b"")
        if data.draw(st.booleans(), "another"):
            assert reserve(host, "--set", "200M")[0] == exits.DONE
        status, said = reserve(host, "--unset")
        assert status == exits.DONE, said
        for file, path in files.items():
            now = content(path) or b""
            assert b"crashkernel=160M" not in now
            assert b"crashkernel=200M" not in now
            if name not in ("pbl", "grubby"):
                assert now.replace(ADDED, b"").rstrip(b"\n") == (before[file] or b"").rstrip(b"\n")
            assert ADDED in now or not now


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
