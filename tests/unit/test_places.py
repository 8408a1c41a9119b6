# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts whose /boot cannot be written: images are beside their records."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from kdump_initrd.core.run import Result, run
from kdump_initrd.image.archive.segments import read_manifest
from tests.vm.tools import tool

from . import refreshroots
from .refreshroots import Host
from .thiskernel import RELEASE

STATE = "var/lib/kdump-initrd"
IMAGE = f"{STATE}/initrd.img-{RELEASE}-kdump"
_READ_ONLY = """\
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
shift
exec "$@"
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(refreshroots.make(tmp_path / "root"))


def on_read_only_boot(host: Host, *words: str) -> Result:
    """Run mkinitrd-kdump for a root whose /boot is mounted read-only meanwhile."""
    command = [sys.executable, "-m", "kdump_initrd", *words, "--root", str(host.root)]
    argv: list[str | Path] = [tool("unshare"), "--mount", "sh", "-ec", _READ_ONLY, "sh"]
    return run([*argv, host.root / "boot", *command], timeout=120, check=False)


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


def test_boot_is_of_ostree(host: Host) -> None:
    """/usr/lib/modules has the kernel; /boot has deployments, each with a folder of its own."""
    host.write("run/ostree-booted", "")
    deployment = host.root / "boot/ostree/debian-0123"
    deployment.mkdir(parents=True)
    modules = host.root / "lib/modules" / RELEASE
    shutil.copy(host.root / f"boot/vmlinuz-{RELEASE}", modules / "vmlinuz")
    shutil.copy(host.root / f"boot/config-{RELEASE}", modules / "config")
    for path in (host.root / "boot").glob(f"*-{RELEASE}"):
        path.rename(deployment / path.name)
    names = {key: f"/ostree/{deployment.name}/{name}-{RELEASE}" for key, name in
             (("linux", "vmlinuz"), ("initrd", "initrd.img"))}  # fmt: skip
    lines = "".join(f"{key} {path}\n" for key, path in names.items())
    host.write("boot/loader/entries/ostree-1.conf", f"title Debian\nversion 1\n{lines}")
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
    argv: list[str | Path] = [tool("unshare"), "--mount", "sh", "-ec", _READ_ONLY, "sh"]
    done = run([*argv, host.root, *command], timeout=120, check=False)
    assert done.status == 1
    assert "Read-only file system" in done.stderr
    assert "make that folder writable" in done.stderr
    assert " -o" not in done.stderr
