# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts whose /boot cannot be written: images are beside their records."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kdump_initrd.core.run import run
from kdump_initrd.image.archive.segments import read_manifest
from tests.vm.tools import tool

from . import refreshroots
from .leftalone import IMAGE, READ_ONLY, STATE, of_ostree, on_read_only_boot
from .refreshroots import Host
from .thiskernel import RELEASE


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(refreshroots.make(tmp_path / "root"))


def boot(host: Host) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (host.root / "boot").iterdir()}


def test_boot_is_mounted_read_only(host: Host) -> None:
    before = boot(host)
    done = on_read_only_boot(host, "--refresh")
    assert done.status == 0, done.stderr
    assert f"{IMAGE}: written, because there was none" in done.stderr
    manifest = read_manifest(host.root / IMAGE)
    assert manifest and (manifest.kind, manifest.kernel) == ("capture", RELEASE)
    assert boot(host) == before
    record = json.loads((host.root / STATE / f"capture-{RELEASE}.json").read_text())
    assert record["output"] == str(host.root / IMAGE)
    done = on_read_only_boot(host, "--refresh")
    assert (done.status, done.stdout, done.stderr) == (0, b"", "")
    done = on_read_only_boot(host, "--remove")
    assert done.status == 0, done.stderr
    assert not (host.root / STATE).exists()


def test_boot_is_of_ostree(tmp_path: Path) -> None:
    host = of_ostree(tmp_path / "root")
    kept = {path: path.read_bytes() for path in (host.root / "boot").rglob("*") if path.is_file()}
    assert host.run() == 0
    assert (host.root / IMAGE).exists()
    found = {path: path.read_bytes() for path in (host.root / "boot").rglob("*") if path.is_file()}
    assert found == kept
    assert host.remove() == 0
    assert not (host.root / STATE).exists()


def test_nothing_can_be_written_at_all(host: Host) -> None:
    (host.root / "var").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "kdump_initrd", "--refresh", "--root", str(host.root)]
    argv: list[str | Path] = [tool("unshare"), "--mount", "sh", "-ec", READ_ONLY, "sh"]
    done = run([*argv, host.root, *command], timeout=120, check=False)
    assert done.status == 1
    assert "Read-only file system" in done.stderr
    assert "make that folder writable" in done.stderr
    assert " -o" not in done.stderr
