# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts whose initrd is left alone: from ``--refresh`` to ``load``, and then status says ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.commands.admin import main
from kdump_initrd.core import exits
from kdump_initrd.upkeep.ready.link import YES

from . import machines, refreshroots
from .leftalone import IMAGE, KERNEL, of_ostree, on_read_only_boot, with_one
from .loadhost import LoadHost
from .refreshroots import Host
from .thiskernel import RELEASE

pytestmark = pytest.mark.timeout(300)


def check_loaded(host: Host, kernel: str, image: str) -> None:
    """Check that kexec was called once, and has read these files."""
    (call,) = LoadHost(host.root).calls
    for name, path in (("kernel", kernel), ("initrd", image)):
        assert call[name] == (host.root / path).read_bytes().hex(), name


def arm(host: Host) -> None:
    """Do what the two services do, and ask."""
    LoadHost(host.root).add_kexec()
    assert host.run() == exits.DONE
    machines.start(host, loaded=False)
    words = ["--root", str(host.root)]
    assert main(["status", *words]) == exits.NO
    assert LoadHost(host.root).load().answer == YES
    assert main(["status", *words]) == exits.DONE


def test_a_unified_image(tmp_path: Path) -> None:
    host = with_one(tmp_path)
    arm(host)
    check_loaded(host, KERNEL, f"boot/{host.capture.name}")


def test_ostree(tmp_path: Path) -> None:
    host = of_ostree(tmp_path / "root")
    arm(host)
    check_loaded(host, f"lib/modules/{RELEASE}/vmlinuz", IMAGE)


def test_boot_is_read_only(tmp_path: Path) -> None:
    host = Host(refreshroots.make(tmp_path / "root"))
    LoadHost(host.root).add_kexec()
    assert on_read_only_boot(host, "--refresh").status == exits.DONE
    machines.start(host, loaded=False)
    assert on_read_only_boot(host, "status", program="admin").status == exits.NO
    assert LoadHost(host.root).load().answer == YES
    done = on_read_only_boot(host, "status", program="admin")
    assert done.status == exits.DONE, done.stdout
    check_loaded(host, f"boot/vmlinuz-{RELEASE}", IMAGE)
