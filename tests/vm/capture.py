# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture in a machine: its image built, what it said, what it saved and that this is right."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import disks, product, readers
from .kernels import Kernel
from .machine import Run
from .scenario import Scenario

#: What the saver may keep in memory of its own: RssAnon in KiB.
RSS_ANON_KIB = 14 * 1000 * 1000 // 1024


@dataclass(frozen=True)
class Saved:
    """A crash's folder as read from the disk, and its report."""

    folder: disks.CrashFolder
    report: dict[str, Any]


def saved_on(disk: disks.Disk, into: Path) -> Saved:
    """Read back the one crash of a disk, whose file system must be sound."""
    assert disk.fsck() == ""
    (folder,) = disk.crash_folders(into)
    return with_report(folder)


def with_report(folder: disks.CrashFolder) -> Saved:
    """Return a crash's folder with its report."""
    return Saved(folder, json.loads(folder.file("report.json").copy.read_text()))


def check(saved: Saved, token: str, kernel: Kernel, *, dump_format: str = "kdump") -> None:
    """Check names, modes, the dump by other readers, and what the report says."""
    check_files(saved, kernel, dump_format=dump_format)
    dump, dmesg = (saved.folder.file(name).copy for name in ("dump.", "dmesg."))
    readers.prove(dump=dump, dmesg=dmesg, token=token, release=kernel.release)
    assert 0 < saved.report["rss_anon_kib"] <= RSS_ANON_KIB


def check_files(saved: Saved, kernel: Kernel, *, dump_format: str = "kdump") -> None:
    """Check names, modes, the dump's format, and that the report tells of success."""
    stamp = saved.folder.path.name
    dump = saved.folder.file("dump.")
    dmesg = saved.folder.file("dmesg.")
    assert (dump.name, dmesg.name) == (f"dump.{stamp}", f"dmesg.{stamp}")
    assert saved.folder.mode & 0o077 == 0, f"{saved.folder.path} is open to others"
    for file in saved.folder.files:
        assert file.mode & 0o077 == 0, f"{file.name} is open to others: {file.mode:o}"
    with dump.copy.open("rb") as stream:
        magic = stream.read(8)
    assert magic.startswith(b"\x7fELF" if dump_format == "elf" else b"KDUMP   ")
    assert saved.report["result"] == "saved"
    assert saved.report["kernel_release"] == kernel.release


def built(scenario: Scenario, device: str, *options: str, fstype: str = "ext4") -> Scenario:
    """Build the scenario's image for QEMU's disks."""
    image = product.build(
        scenario.image, scenario.kernel, device, *product.VIRTIO, *options, fstype=fstype
    )
    return replace(scenario, command_line=image.command_line)


def said(run: Run) -> list[str]:
    """Return what the image said on the console."""
    return [line for line in run.console.splitlines() if f"{product.SPEAKER}: " in line]
