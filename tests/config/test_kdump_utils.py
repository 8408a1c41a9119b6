# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - one case a line: tables
"""kdump-utils' two files: as they are shipped, with every key, and each way to say a thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.config.peers import PEERS
from tests.aimed import aimed

from .kdump_utils_files import (
    CONF,
    EVERY_CONF,
    EVERY_SYSCONFIG,
    PEER,
    SHIPPED_CONF,
    SHIPPED_SYSCONFIG,
    SYSCONFIG,
)
from .reading import Outcome, read

#: Keys that are an error, or a second target, in a file that has the others.
ALONE = ("ext2", "ext3", "xfs", "btrfs", "minix", "raw", "nfs", "ssh", "virtiofs", "net")


def conf(root: Path, text: str) -> Outcome:
    """Return what a kdump.conf is read as."""
    return read(root, {CONF: text}, peer=PEER)


def test_shipped_files_say_nothing_that_is_not_done(tmp_path: Path) -> None:
    found = read(tmp_path, {CONF: SHIPPED_CONF, SYSCONFIG: SHIPPED_SYSCONFIG}, peer=PEER)
    assert (found.errors, found.warnings) == ([], [])
    assert found.values == {
        "path": "/var/crash",
        "automatic": True,
        "dump_format": "kdump",
        "dump_compress": "lzo",
        "dump_level": 31,
        "append_cmdline": "irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off panic=10 acpi_no_memhotplug transparent_hugepage=never nokaslr hest_disable novmcoredd cma=0 hugetlb_cma=0 pcie_ports=compat",
        "remove_cmdline": "hugepages hugepagesz slub_debug quiet log_buf_len swiotlb hugetlb_cma ignition.firstboot cma",
    }
    assert found.origins["dump_level"] == f"/{CONF}:12"
    assert found.origins["append_cmdline"] == f"/{SYSCONFIG}:5"
    assert (found.files, found.source) == ([f"/{CONF}", f"/{SYSCONFIG}"], PEER)


def test_every_key_is_read_or_named_in_one_warning(tmp_path: Path) -> None:
    found = read(tmp_path, {CONF: EVERY_CONF, SYSCONFIG: EVERY_SYSCONFIG}, peer=PEER)
    assert found.errors == []
    assert found.values == {
        "targets": aimed("UUID=03138356-5e61-4ab3-b58e-27507ac41937", "ext4"),
        "path": "/crash dumps",
        "dump_format": "kdump",
        "dump_compress": "zlib",
        "dump_level": 17,
        "jobs": 4,
        "add_modules": ("ext2", "ext3", "tg3", "gfs2", "bnx2"),
        "omit_modules": ("cfg80211", "snd"),
        "final_action": "poweroff",
        "failure_action": "poweroff",
        "hooks": (
            *("pre-save:/usr/local/bin/pre", "post-save:/usr/local/bin/post"),
            "emergency:/usr/local/bin/emergency",
        ),
        "programs": ("/usr/bin/lftp",),
        "setup_timeout": 30,
        "append_cmdline": "irqpoll panic=60",
        "remove_cmdline": "quiet zfcp.allow_lun_scan console",
        "inherit_cmdline": "ro root=LABEL=/",
        "capture_kernel": "6.1.0",
    }
    warned = [text.split(": ")[1] for text in found.warnings]
    quiet = ["ext4", "path", "extra_modules", "default", "failure_action", "final_action"]
    quiet += ["kdump_pre", "kdump_post", "kdump_emergency", "extra_bins", "disk_timeout"]
    quiet += ["KDUMP_COMMANDLINE", "KDUMP_COMMANDLINE_REMOVE", "KDUMP_KERNELVER"]
    quiet += ["KDUMP_COMMANDLINE_APPEND", "FADUMP_COMMANDLINE_APPEND"]
    keys = [key.name for file in PEERS[PEER] for key in file.keys]
    assert sorted(warned) == sorted(set(keys) - {*ALONE, *quiet})
    for text in found.warnings:
        path, line, key = text.split(":")[:3]
        lines = {f"/{CONF}": EVERY_CONF, f"/{SYSCONFIG}": EVERY_SYSCONFIG}[path].splitlines()
        assert lines[int(line) - 1].split("=")[0].split()[0] == key.strip()
        assert ": not used: " in text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("xfs /dev/vg/lv_kdump", {"targets": aimed("/dev/vg/lv_kdump", "xfs")}),
        ("ext3 LABEL=/boot", {"targets": aimed("LABEL=/boot", "ext3")}),
        ('ext2 UUID="1-2"', {"targets": aimed("UUID=1-2", "ext2")}),
        ('btrfs "PARTUUID=1"', {"targets": aimed("PARTUUID=1", "btrfs")}),
        ("minix /dev/sda1", {"targets": aimed("/dev/sda1", "minix")}),
        (
            'dracut_args --mount "/dev/sda1 /mnt/crash xfs defaults"',
            {"targets": aimed("/dev/sda1", "xfs")},
        ),
        ("nfs my.server.com:/export/tmp", {"targets": aimed("nfs://my.server.com/export/tmp")}),
        ("nfs [fe80::1]:/export", {"targets": aimed("nfs://[fe80::1]/export")}),
        ("ssh user@my.server.com", {"targets": aimed("ssh://user@my.server.com")}),
        ("net user@my.server.com", {"targets": aimed("ssh://user@my.server.com")}),
        ("net my.server.com:/export", {"targets": aimed("nfs://my.server.com/export")}),
        ("raw /dev/vg/lv_kdump", {"targets": aimed("/dev/vg/lv_kdump", "raw")}),
        ("virtiofs myfs", {"targets": aimed("virtiofs:myfs")}),
        (
            "ext4 /dev/sda1\nxfs /dev/sdb1",
            {"targets": (*aimed("/dev/sda1", "ext4"), *aimed("/dev/sdb1", "xfs"))},
        ),
        (
            'ext4 /dev/sda1\ndracut_args --mount "/dev/sdb1 /x xfs"',
            {"targets": (*aimed("/dev/sda1", "ext4"), *aimed("/dev/sdb1", "xfs"))},
        ),
        ("path /x#y", {"path": "/x"}),
        ("path /x\r", {"path": "/x"}),
        ("core_collector cp --sparse=always", {"dump_format": "elf", "dump_level": 0}),
        ("core_collector /usr/sbin/makedumpfile -E -d 1", {"dump_format": "elf", "dump_level": 1}),
        ("final_action halt", {"final_action": "halt"}),
        ("failure_action reboot", {"failure_action": "reboot"}),
        ("failure_action shell", {"failure_action": "shell"}),
        ("failure_action dump_to_rootfs", {"targets": (*aimed(""), *aimed("root"))}),
        (
            "default dump_to_rootfs\next4 LABEL=a",
            {"targets": (*aimed("LABEL=a", "ext4"), *aimed("root"))},
        ),
        (
            "final_action poweroff\ndefault halt",
            {"final_action": "poweroff", "failure_action": "halt"},
        ),
        ("force_rebuild 0\nforce_no_rebuild 0\noverride_resettable 1", {}),
    ],
)
def test_ways_to_say_it(tmp_path: Path, text: str, wanted: dict[str, Any]) -> None:
    found = conf(tmp_path, text)
    assert (found.values, found.warnings, found.errors) == (wanted, [], [])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ext4 /dev/sda1\next4 /dev/sdb1", "2: ext4: line 1 already sets this key"),
        (
            "ext4 /mnt",
            "1: ext4: /mnt: expected a device below /dev, or one of UUID, LABEL, PARTUUID, PARTLABEL with =",
        ),
        ("ext4 UUID=", "1: ext4: UUID=: expected a device below /dev"),
        (
            'dracut_args --mount "/dev/sda1 /mnt"',
            "1: dracut_args: --mount /dev/sda1 /mnt: expected a device, a folder and a type",
        ),
        ("dracut_args --mount '", "1: dracut_args: --mount ': no closing quotation"),
        ("path /x\npath /y", "2: path: line 1 already sets this key"),
        ("path", "1: path: the value is empty"),
        ('path ""', "1: path: the value is empty"),
        ("path crash", "1: path: crash: expected a path that begins with /"),
        ("path /a\x07b", "1: path: expected one line of printable characters"),
        ("pth /x", "1: pth: unknown key, did you mean path?"),
        ("KDUMP=1", "1: KDUMP=1: unknown key"),
        (
            "core_collector makedumpfile -d 32",
            "1: core_collector: expected a level from 0 to 31",
        ),
        (
            "core_collector makedumpfile -d",
            "1: core_collector: expected a level from 0 to 31",
        ),
        (
            "core_collector makedumpfile --num-threads many",
            "1: core_collector: expected a number of workers from 0 (one per processor) to 4096",
        ),
        (
            "core_collector makedumpfile '",
            "1: core_collector: makedumpfile ': no closing quotation",
        ),
        ("final_action shell", "1: final_action: use reboot, poweroff, halt"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, error: str) -> None:
    (found,) = conf(tmp_path, text).errors
    assert found.startswith(f"/{CONF}:{error}")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "core_collector scp",
            "core_collector: not used: scp is not run, the saver writes the dump",
        ),
        (
            "core_collector makedumpfile -X -l -d 31 --split extra",
            "core_collector: not used: -X, --split, extra: the saver has no such option",
        ),
        (
            "core_collector makedumpfile -E -F",
            "core_collector: not used: -F: an ELF dump is not flattened",
        ),
        (
            "dracut_args -o plymouth --no-hostonly",
            "dracut_args: not used: -o plymouth, --no-hostonly: the image is not made by dracut",
        ),
        (
            "sshkey /x",
            "sshkey: not used: the image has no network",
        ),
        (
            "sshkey /x\x1b[2J",
            "sshkey: not used: the image has no network",
        ),
    ],
)
def test_what_has_another_effect(tmp_path: Path, text: str, warning: str) -> None:
    found = conf(tmp_path, text)
    assert found.errors == []
    assert found.warnings == [f"/{CONF}:{len(text.splitlines())}: {warning}"]


def test_a_file_of_junk_is_told_line_by_line(tmp_path: Path) -> None:
    junk = b"\x00\xff\n[capture]\n= 1\n\\\n\x1b[31mred\nKEY VALUE\n'\n"
    found = read(tmp_path, {CONF: junk}, peer=PEER)
    assert [text.split(":")[1] for text in found.errors] == [str(n) for n in range(1, 8)]
    assert all(text.isprintable() for text in found.errors)
    assert found.values == {}


def test_one_file_is_enough_and_none_is_no_configuration(tmp_path: Path) -> None:
    found = read(tmp_path, {}, peer=PEER)
    assert (found.values, found.files, found.source) == ({}, [], "")
    found = read(tmp_path, {SYSCONFIG: "KDUMP_COMMANDLINE_APPEND=a\n"}, peer=PEER)
    assert (found.values, found.files, found.source) == (
        {"append_cmdline": "a"}, [f"/{SYSCONFIG}"], PEER
    )  # fmt: skip
