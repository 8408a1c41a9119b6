# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - one case a line: tables
"""kdump-tools' /etc/default/kdump-tools: as it is shipped, with every key, each way to say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.config.peers import PEERS
from tests.aimed import aimed

from .kdump_tools_file import EVERY, NAME, PEER, SHIPPED
from .reading import Outcome, read


def defaults(root: Path, text: str) -> Outcome:
    """Return what the file is read as."""
    return read(root, {NAME: text}, peer=PEER)


def test_shipped_file_says_nothing_that_is_not_done(tmp_path: Path) -> None:
    found = defaults(tmp_path, SHIPPED)
    assert (found.values, found.warnings, found.errors) == ({"path": "/var/crash"}, [], [])
    assert found.origins == {"path": f"/{NAME}:17"}
    assert (found.files, found.source) == ([f"/{NAME}"], PEER)


def test_every_key_is_read_or_named_in_one_line(tmp_path: Path) -> None:
    found = defaults(tmp_path, EVERY)
    urls = ("nfs://remote/var/crash", "ftp://server/path", "ssh://me@server")
    assert found.values == {
        "targets": tuple(target for url in urls for target in aimed(url)),
        "images": (),
        "path": "/srv/crash",
        "dump_format": "flat",
        "dump_compress": "lzo",
        "dump_level": 11,
        "append_cmdline": "reset_devices nr_cpus=1 irqpoll usbcore.nousb",
        "inherit_cmdline": "root=/dev/sda1",
        "failure_action": "shell",
        "keep": 3,
        "capture_kernel": "/boot/vmlinuz-kdump",
    }
    assert found.errors == []
    warned = [text.split(": ")[1] for text in found.warnings]
    quiet = {"USE_KDUMP", "KDUMP_COREDIR", "KDUMP_CMDLINE_APPEND", "NFS", "FTP", "SSH"}
    quiet |= {"KDUMP_KERNEL", "KDUMP_CMDLINE", "KDUMP_FAIL_CMD", "KDUMP_NUM_DUMPS"}
    keys = [key.name for file in PEERS[PEER] for key in file.keys]
    assert sorted(warned) == sorted(set(keys) - quiet)
    assert not [text for text in found.warnings if "s3cret" in text]
    for text in (*found.warnings, *found.errors):
        line, key = text.split(":")[1:3]
        assert EVERY.splitlines()[int(line) - 1].startswith(f"{key.strip()}=")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("USE_KDUMP=0", {"images": ()}),
        ("USE_KDUMP=1", {}),
        (
            "MAKEDUMP_ARGS='-c -d 31'",
            {"dump_format": "kdump", "dump_compress": "zlib", "dump_level": 31},
        ),
        (
            "MAKEDUMP_ARGS=-cd31",
            {"dump_format": "kdump", "dump_compress": "zlib", "dump_level": 31},
        ),
        (
            "MAKEDUMP_ARGS='-d 31'",
            {"dump_format": "kdump", "dump_compress": "none", "dump_level": 31},
        ),
        (
            "MAKEDUMP_ARGS='-z --num-threads 0 --message-level 31 -b4'",
            {"dump_format": "kdump", "dump_compress": "zstd", "dump_level": 0, "jobs": 1},
        ),
        ("MAKEDUMP_ARGS=", {}),
        (
            'KDUMP_CMDLINE_APPEND="$KDUMP_CMDLINE_APPEND  irqpoll  nr_cpus=1"',
            {"append_cmdline": "irqpoll nr_cpus=1"},
        ),
        ("KDUMP_CMDLINE_APPEND=a\nKDUMP_CMDLINE_APPEND+=' b'", {"append_cmdline": "a b"}),
        ("KDUMP_CMDLINE_APPEND=systemd.unit=x", {}),
        ("KDUMP_CMDLINE='console=tty0 rd.shell'", {"inherit_cmdline": "console=tty0"}),
        ("KDUMP_KERNEL=/boot/vmlinuz-plain", {"capture_kernel": "/boot/vmlinuz-plain"}),
        ("KDUMP_KERNEL=/var/lib/kdump/vmlinuz", {}),
        ("KDUMP_DUMP_DMESG=1", {}),
        ("KDUMP_FAIL_CMD='reboot -f'\nKDUMP_NUM_DUMPS=0", {"failure_action": "reboot", "keep": 0}),
        ("KDUMP_FAIL_CMD='echo x; /sbin/halt'", {"failure_action": "halt"}),
        ("NFS=\nSSH=''\nFTP=\"\"\n", {}),
        ("KDUMP_COREDIR=/a\\ b", {"path": "/a b"}),
        ("NFS=remote:/x", {"targets": aimed("nfs://remote/x")}),
        ("FTP=server:/x", {"targets": aimed("ftp://server/x")}),
        ("SSH=me@server", {"targets": aimed("ssh://me@server")}),
    ],
)
def test_ways_to_say_it(tmp_path: Path, text: str, wanted: dict[str, Any]) -> None:
    found = defaults(tmp_path, text)
    assert (found.values, found.warnings, found.errors) == (wanted, [], [])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("KDUMP_KERNEL=/boot/vmlinuz-$(uname -r)", "1: KDUMP_KERNEL: not used: the output of a"),
        (
            "KDUMP_CMDLINE=`cat /proc/cmdline`",
            "1: KDUMP_CMDLINE: not used: the output of a command",
        ),
        ("USE_KDUMP=yes", "1: USE_KDUMP: yes: expected 0 or 1"),
        ("KDUMP_COREDIR=`hostname`", "1: KDUMP_COREDIR: not used: the output of a command; write"),
        ("[ -f /x ] && KDUMP_COREDIR=/x", "1: KDUMP_COREDIR: not used: whether it is set depends"),
        ("MAKEDUMP_ARGS='-d x'", "1: MAKEDUMP_ARGS: expected a level from 0 to 31"),
        ('MAKEDUMP_ARGS="\'"', "1: MAKEDUMP_ARGS: ': no closing quotation"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, error: str) -> None:
    (found,) = defaults(tmp_path, text).errors
    assert found.startswith(f"/{NAME}:{error}")


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("USE_KDUMP=1\nUSE_KDUMP=0", ["1: USE_KDUMP: not used: line 2 sets it again"]),
        ("if [ -f /x ]; then echo; fi\nexit 0", ["1: if: not run, only assignments are read", "2: exit: not run, only assignments are read"]),
    ],
)  # fmt: skip
def test_what_has_another_effect(tmp_path: Path, text: str, warnings: list[str]) -> None:
    found = defaults(tmp_path, text)
    assert found.errors == []
    assert found.warnings == [f"/{NAME}:{text}" for text in warnings]
