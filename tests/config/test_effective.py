# SPDX-License-Identifier: GPL-2.0-or-later
"""Which file counts, what stops a build, and that nothing in a file is ever run."""

from __future__ import annotations

import builtins
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdump_initrd.config import effective, native
from kdump_initrd.config.findings import ROWS
from kdump_initrd.config.peers import PEERS
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profilekeys
from tests.aimed import aimed

from .reading import outcome, read, write

NFS = "nfs server:/x\n"


def test_our_file_comes_before_the_peers(tmp_path: Path) -> None:
    peers = {"etc/kdump.conf": "path /peer\n", "etc/sysconfig/kdump": "KDUMP_SAVEDIR=/suse\n"}
    peers["etc/default/kdump-tools"] = "KDUMP_COREDIR=/tools\n"
    write(tmp_path, peers)
    for peer, path in (
        ("kdump-utils", "/peer"),
        ("suse-kdump", "/suse"),
        ("kdump-tools", "/tools"),
    ):
        assert read(tmp_path, {}, peer=peer).values == {"path": path}
    assert read(tmp_path, {}, peer="").values == {}
    found = read(tmp_path, {native.NAME: "[capture]\npath = '/ours'\n"}, peer="kdump-utils")
    assert (found.values, found.files) == ({"path": "/ours"}, [f"/{native.NAME}"])
    theirs = outcome(effective.read_peer(Root(tmp_path), peer="kdump-tools"), tmp_path)
    assert (theirs.values, theirs.source) == ({"path": "/tools"}, "kdump-tools")


def test_peers_are_those_that_profiles_can_name() -> None:
    assert list(PEERS) == ["kdump-utils", "suse-kdump", "kdump-tools"]
    with pytest.raises(KdumpInitrdError, match="kdump: unknown kdump configuration") as caught:
        effective.read(Root(Path("/nonexistent")), peer="kdump")
    assert caught.value.hint == "expected one of kdump-utils, suse-kdump, kdump-tools"


def test_a_target_that_cannot_be_used_matters_only_to_who_wants_it(tmp_path: Path) -> None:
    write(tmp_path, {"etc/kdump.conf": "ext4 /mnt\nfinal_action dance\n"})
    found = effective.read(Root(tmp_path), peer="kdump-utils")
    assert found.blocking(()) == found.errors
    assert len(found.errors) == 2
    (blocking,) = found.blocking(("targets",))
    assert ":2: final_action: " in blocking


@pytest.mark.parametrize(
    "text", ["[capture]\ndevice = '/dev/sda1'\n", "[[target]]\nto = '/dev/sda1'\n"]
)
def test_a_file_that_says_a_target_undoes_those_of_earlier_ones(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, {"etc/kdump.conf": f"{NFS}path /x\n"}, peer="kdump-utils")
    assert found.values == {"targets": aimed("nfs://server/x"), "path": "/x"}
    files = {f"{native.DROP_INS}/x.toml": text}
    found = read(tmp_path, files, peer="kdump-utils")
    assert found.values == {"targets": aimed("/dev/sda1"), "path": "/x"}
    assert found.errors == []
    found = read(tmp_path, {f"{native.DROP_INS}/y.toml": "[image]\n"}, peer="kdump-utils")
    assert found.values == {"targets": aimed("/dev/sda1"), "path": "/x"}


#: Words that mean something somewhere, so that what is made of them gets past the first letter.
_WORDS = st.sampled_from(
    [key.name for files in PEERS.values() for file in files for key in file.keys]
    + ["makedumpfile", "-d", "-F", "--num-threads=", "UUID=1", "/dev/sda", "file://", "31", "true"]
    + ["$(touch MARK)", "`touch MARK`", "$KDUMP", "${A:-$(touch MARK)}", "$((1))", "<(touch MARK)"]
    + ["; touch MARK;", "| touch MARK", "&& touch MARK", "\ntouch MARK\n", ". /etc/x", "export"]
    + ["if", "then", "fi", "case", "esac", "{", "}", "(", ")", "<<E", "[capture]", "dump-level"]
    + [*"='\"\\#\n \t;&|$`~", "+=", "\r\n", "\x00", "\udcff", "\u2028", "=\n", '""', "''", '"""']
)
_TEXT = st.lists(st.one_of(_WORDS, st.text(max_size=3)), max_size=40).map("".join)
_FILES = [native.NAME, *(file.name for files in PEERS.values() for file in files)]


def _refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("something was to be run")


@contextmanager
def no_programs() -> Iterator[None]:
    """Let every way to run a program, or text as one, fail."""
    names = ("system", "popen", "execv", "execve", "fork", "posix_spawn", "posix_spawnp")
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(mock.patch.object(os, name, _refuse))
        stack.enter_context(mock.patch.object(subprocess, "Popen", _refuse))
        stack.enter_context(mock.patch.object(builtins, "eval", _refuse))
        stack.enter_context(mock.patch.object(builtins, "exec", _refuse))
        yield


@settings(max_examples=300)
@given(text=_TEXT)
def test_whatever_a_file_holds_is_read_or_told(tmp_path: Path, text: str) -> None:
    """Never a traceback, never a program, and every complaint is one line that names its place."""
    mark = tmp_path / "mark"
    content = text.replace("MARK", str(mark)).encode("utf-8", "surrogateescape")
    for name in _FILES:
        write(tmp_path, {name: content})
        for peer in ("", *PEERS):
            with no_programs():
                found = effective.read(Root(tmp_path), peer=peer)
            for line in (*found.errors, *found.warnings):
                assert line.isprintable()
                paths = (*found.files, *(tmp_path / name for name in _FILES))
                assert line.startswith(tuple(f"{path}:" for path in paths))
            assert set(found.values) == set(found.origins)
            _check_types(found.values)
        (tmp_path / name).unlink()
    assert not mark.exists()


def _check_types(values: Any) -> None:  # noqa: ANN401
    for name, value in values.items():
        if name == "targets":
            assert all(each.to.isprintable() for each in value)
            continue
        default = ROWS[name].default
        wanted = str if default is None else type(default)
        assert isinstance(value, tuple if name == "hardware" else wanted), name
        for word in value if isinstance(value, tuple) else [str(value)]:
            assert word.isprintable()


def test_profiles_name_the_peers_that_are_read() -> None:
    assert set(profilekeys.PEERS) == {*PEERS, ""}


def test_a_file_of_another_tool_is_not_ignored_silently(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc/kdump.conf"
    path.write_text("path /dumps\n")
    found = effective.read(Root(tmp_path), peer="")
    assert found.warnings == (f"{path}: not read: this distribution's profile names another tool",)
    assert effective.read(Root(tmp_path), peer="kdump-utils").warnings == ()
    (tmp_path / "etc/kdump-initrd.toml").touch()
    assert effective.read(Root(tmp_path), peer="").warnings == ()
