# SPDX-License-Identifier: GPL-2.0-or-later
"""Passwords: no message has one, whichever key of whichever tool's file it is written in."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.config.peers import PEERS, linefile
from kdump_initrd.config.peers.keys import Key, PeerFile
from kdump_initrd.core.password import hidden

from .reading import read

KEYS = [(peer, file, key) for peer, files in PEERS.items() for file in files for key in file.keys]
#: As people write the place of dumps on another machine, with a scheme or without.
PLACES = [
    "me:s3cret@host/x",
    "me:s3cret@host:/x",
    "me:a@s3cret@host",
    "me@corp:s3cret@host/x",
    "corp/me:s3cret@host",
    ":s3cret@host/x",
    "me:a s3cret@host/x",
    "ssh://me:s3cret@host/x",
    "ssh:/me:s3cret@host/x",
    "me:/s3cret@host",
    "--mount me:s3cret@host:/x",
    "--mount me:s3cret@host:/x /mnt nfs",
    "/var/crash me:s3cret@host/x",
    "ftp://me:s3cret@host/x me:s3cret@host/y",
]


@pytest.mark.parametrize(("peer", "file", "key"), KEYS, ids=lambda each: getattr(each, "name", ""))
def test_no_message_about_a_key_has_a_password(
    tmp_path: Path, peer: str, file: PeerFile, key: Key
) -> None:
    for place in PLACES:
        line = f"{key.name} {place}" if file.read is linefile.read else f'{key.name}="{place}"'
        found = read(tmp_path, {file.name: f"{line}\n"}, peer=peer)
        assert found.files == [f"/{file.name}"]
        for text in (*found.warnings, *found.errors):
            assert text.startswith(f"/{file.name}:1: {key.name}: ")
            assert "s3cret" not in text


@pytest.mark.parametrize(
    "text",
    [
        "/etc/kdump.conf:3: ssh: me@host: another machine",
        "kdump.conf:3: ssh: me@host: another machine",
        "ssh://me@host/a@b: another machine",
        "/dev/disk/by-path/pci-0000:00:1f.2@1: not there",
        "getty@tty1.service: failed",
        "me@host:22",
    ],
)
def test_what_is_not_a_password_is_printed(text: str) -> None:
    assert hidden(text) == text
