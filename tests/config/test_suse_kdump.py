# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - one case a line: tables
"""SUSE's /etc/sysconfig/kdump: as it is shipped, with every key, and each way to say a thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.config.peers import PEERS
from tests.aimed import aimed

from .reading import Outcome, read
from .suse_kdump_file import EVERY, NAME, PEER, SHIPPED


def sysconfig(root: Path, text: str) -> Outcome:
    """Return what the file is read as."""
    return read(root, {NAME: text}, peer=PEER)


def test_shipped_file_says_nothing_that_is_not_done(tmp_path: Path) -> None:
    found = sysconfig(tmp_path, SHIPPED)
    assert (found.errors, found.warnings) == ([], [])
    assert found.values == {
        "path": "/var/crash",
        "dump_format": "kdump",
        "dump_compress": "zlib",
        "dump_level": 31,
        "keep": 0,
        "keep_free": 64 << 20,
        "final_action": "reboot",
        "crashkernel": "auto",
        "shrink": False,
        "automatic": True,
    }
    line = SHIPPED.splitlines().index('KDUMP_SAVEDIR="/var/crash"') + 1
    assert found.origins["path"] == f"/{NAME}:{line}"
    assert (found.files, found.source) == ([f"/{NAME}"], PEER)


def test_every_key_is_read_or_named_in_one_warning(tmp_path: Path) -> None:
    found = sysconfig(tmp_path, EVERY)
    assert found.errors == []
    assert found.values == {
        "path": "/srv/crash",
        "dump_format": "kdump",
        "dump_compress": "lzo",
        "dump_level": 1,
        "jobs": 2,
        "append_cmdline": "net_delay=20",
        "inherit_cmdline": "root=/dev/sda1",
        "capture_kernel": "6.4.0-default",
        "crashkernel": "256M",
        "shrink": True,
        "failure_action": "shell",
        "programs": ("/usr/bin/lftp", "/bin/true"),
        "hooks": ("pre-save:/bin/true", "post-save:/bin/true"),
        "keep_free": 1024 << 20,
    }
    warned = [text.split(": ")[1] for text in found.warnings]
    quiet = {"KDUMP_SAVEDIR", "KDUMP_DUMPLEVEL", "KDUMP_DUMPFORMAT", "KDUMP_COMMANDLINE_APPEND"}
    quiet |= {"FADUMP_COMMANDLINE_APPEND", "KDUMP_COMMANDLINE", "KDUMP_KERNELVER"}
    quiet |= {"KDUMP_CRASHKERNEL", "KDUMP_AUTO_RESIZE", "KDUMP_CONTINUE_ON_ERROR"}
    quiet |= {"KDUMP_FREE_DISK_SIZE", "KDUMP_REQUIRED_PROGRAMS"}
    quiet |= {"KDUMP_PRESCRIPT", "KDUMP_POSTSCRIPT"}
    keys = [key.name for file in PEERS[PEER] for key in file.keys]
    assert sorted(warned) == sorted(set(keys) - quiet)
    assert not [text for text in found.warnings if "s3cret" in text]
    for text in found.warnings:
        line, key = text.split(":")[1:3]
        assert EVERY.splitlines()[int(line) - 1].startswith(f"{key.strip()}=")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("KDUMP_SAVEDIR=/var/log/dump", {"path": "/var/log/dump"}),
        ("KDUMP_SAVEDIR='/var/my crash'", {"path": "/var/my crash"}),
        ("KDUMP_SAVEDIR=FILE:///x", {"path": "/x"}),
        ("KDUMP_SAVEDIR=/a\nKDUMP_SAVEDIR=$KDUMP_SAVEDIR/b", {"path": "/a/b"}),
        ("KDUMP_SAVEDIR=nfs://a/x", {"targets": aimed("nfs://a/x")}),
        ("KDUMP_SAVEDIR=ftp://b:dontsay@s.de:123/x", {"targets": aimed("ftp://b@s.de:123/x")}),
        ("KDUMP_SAVEDIR=sftp://dump@c:22/x", {"targets": aimed("sftp://dump@c:22/x")}),
        ("KDUMP_SAVEDIR=scp://dump@c/x", {"targets": aimed("scp://dump@c/x")}),
        ("KDUMP_SAVEDIR=SSH://kdump@c/x", {"targets": aimed("ssh://kdump@c/x")}),
        ("KDUMP_SAVEDIR=cifs://b:dontsay@n/x", {"targets": aimed("cifs://b@n/x")}),
        ("KDUMP_SAVEDIR=smb://b@192.168.0.70/x", {"targets": aimed("smb://b@192.168.0.70/x")}),
        ("KDUMP_SAVEDIR=http://x/y", {"targets": aimed("http://x/y")}),
        (
            "KDUMP_SAVEDIR='/var/crash ftp://x/y'",
            {"targets": (*aimed("", path="/var/crash"), *aimed("ftp://x/y"))},
        ),
        ("KDUMP_DUMPFORMAT=ELF", {"dump_format": "elf"}),
        ("KDUMP_DUMPFORMAT=none", {"dump_format": "none"}),
        ("KDUMP_DUMPFORMAT=snappy", {"dump_format": "kdump", "dump_compress": "snappy"}),
        ("KDUMP_DUMPFORMAT=zstd", {"dump_format": "kdump", "dump_compress": "zstd"}),
        ("KDUMP_DUMPFORMAT=raw\nKDUMP_DUMPLEVEL=31", {"dump_format": "elf", "dump_level": 0}),
        (
            "KDUMP_DUMPFORMAT=lzo\nMAKEDUMPFILE_OPTIONS=-Fd3",
            {"dump_format": "flat", "dump_compress": "lzo", "dump_level": 3},
        ),
        ("KDUMP_CPUS=1", {"jobs": 1}),
        ("KDUMP_CPUS=0", {}),
        ("KDUMP_IMMEDIATE_REBOOT=yes", {"final_action": "reboot"}),
        ("KDUMP_CONTINUE_ON_ERROR=no", {"failure_action": "shell"}),
        ("KDUMP_CONTINUE_ON_ERROR=yes", {}),
        ("KDUMP_KEEP_OLD_DUMPS=5", {"keep": 5}),
        ("KDUMP_FREE_DISK_SIZE=64", {"keep_free": 64 << 20}),
        ("KDUMP_FREE_DISK_SIZE=0", {"keep_free": 0}),
        ("export KDUMP_DUMPLEVEL=3 # few", {"dump_level": 3}),
        ("KDUMP_DUMPLEVEL=''", {}),
        ("", {}),
    ],
)
def test_ways_to_say_it(tmp_path: Path, text: str, wanted: dict[str, Any]) -> None:
    found = sysconfig(tmp_path, text)
    assert (found.values, found.warnings, found.errors) == (wanted, [], [])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("KDUMP_SAVEDIR=crash", "1: KDUMP_SAVEDIR: crash: expected a path that begins with /"),
        (
            "KDUMP_SAVEDIR=file://crash",
            "1: KDUMP_SAVEDIR: crash: expected a path that begins with /",
        ),
        ("\nKDUMP_DUMPLEVEL=32", "2: KDUMP_DUMPLEVEL: expected a level from 0 to 31"),
        (
            "KDUMP_DUMPFORMAT=elf",
            "1: KDUMP_DUMPFORMAT: elf: expected one of raw, none, ELF, compressed, lzo, snappy, zstd",
        ),
        (
            "KDUMP_IMMEDIATE_REBOOT=maybe",
            "1: KDUMP_IMMEDIATE_REBOOT: maybe: expected true or false",
        ),
        (
            "KDUMP_SAVEDIR=$(cat /x)",
            "1: KDUMP_SAVEDIR: not used: the output of a command; write the value itself",
        ),
        (
            "KDUMP_SAVEDIR=$HOME/x",
            "1: KDUMP_SAVEDIR: not used: $HOME is not set in this file; write the value itself",
        ),
        (
            "if x; then\nKDUMP_DUMPLEVEL=1\nfi",
            "2: KDUMP_DUMPLEVEL: not used: whether it is set depends on a command",
        ),
        ("A=1\nKDUMP_SAVEDIR='/x", "2: a quote that does not end"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, error: str) -> None:
    found = sysconfig(tmp_path, text)
    assert found.values == {}
    assert len(found.errors) == 1
    assert found.errors[0].startswith(f"/{NAME}:{error}")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "KDUMP_DUMPLEVLE=1",
            "1: KDUMP_DUMPLEVLE: unknown, and not used: did you mean KDUMP_DUMPLEVEL?",
        ),
        ("MINE=1", "1: MINE: unknown, and not used"),
        (
            "KDUMP_DUMPLEVEL=1\nKDUMP_DUMPLEVEL=1",
            "1: KDUMP_DUMPLEVEL: not used: line 2 sets it again",
        ),
        (". /etc/other", "1: .: not run, only assignments are read"),
        ("KDUMP_TRANSFER=$(x)", "1: KDUMP_TRANSFER: not used: the saver writes the dump"),
        (
            "MAKEDUMPFILE_OPTIONS=-X",
            "1: MAKEDUMPFILE_OPTIONS: not used: -X: the saver has no such option",
        ),
        (
            "KDUMP_CPUS=8",
            "1: KDUMP_CPUS: not used: the profile says how many processors start (nr_cpus=)",
        ),
        (
            "KDUMP_IMMEDIATE_REBOOT=no",
            "1: KDUMP_IMMEDIATE_REBOOT: not used: a shell is started only where no dump could be saved: failure-action shell; final-action can be halt",
        ),
    ],
)
def test_what_has_another_effect(tmp_path: Path, text: str, warning: str) -> None:
    found = sysconfig(tmp_path, text)
    assert found.errors == []
    assert found.warnings == [f"/{NAME}:{warning}"]


def test_a_variable_that_another_is_made_of_is_no_mistake(tmp_path: Path) -> None:
    found = sysconfig(tmp_path, "BASE=/srv\nKDUMP_SAVEDIR=$BASE/crash\n")
    assert (found.values, found.warnings) == ({"path": "/srv/crash"}, [])


def test_comments_of_any_encoding(tmp_path: Path) -> None:
    found = read(tmp_path, {NAME: b"# gr\xfc\xdfe\nKDUMP_DUMPLEVEL=1\n"}, peer=PEER)
    assert (found.values, found.errors, found.warnings) == ({"dump_level": 1}, [], [])
    found = read(tmp_path, {NAME: b"KDUMP_SAVEDIR=/gr\xfc\xdfe\n"}, peer=PEER)
    assert found.errors == [
        f"/{NAME}:1: KDUMP_SAVEDIR: not used: it has characters that are not text; write the value itself"
    ]
