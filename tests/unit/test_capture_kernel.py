# SPDX-License-Identifier: GPL-2.0-or-later
"""One kernel saves the crashes of all (capture-kernel): what is written, and what status sees."""

from __future__ import annotations

from pathlib import Path

from kdump_initrd.core import exits
from kdump_initrd.image.archive.segments import read_manifest
from kdump_initrd.upkeep.ready import view

from . import refreshroots
from .refreshroots import CONFIGURATION, NEWER, Host, kind_of
from .thiskernel import RELEASE


def configure(host: Host, kernel: str) -> None:
    text = f'{CONFIGURATION}[first-kernel]\ncapture-kernel = "{kernel}"\n'
    host.write("etc/kdump-initrd.toml", text)


def test_every_initrd_loads_it_and_only_its_image_is_written(tmp_path: Path) -> None:
    host = Host(refreshroots.make(tmp_path / "root"))
    host.add_kernel()
    for kernel in (NEWER, str(host.root / f"boot/vmlinuz-{NEWER}")):
        configure(host, kernel)
        assert host.run() == exits.DONE
        assert not host.capture.exists()
        assert kind_of(host.root / f"boot/initrd.img-{NEWER}-kdump") == "capture"
        for release in (RELEASE, NEWER):
            segment = read_manifest(host.root / f"boot/initrd.img-{release}")
            assert segment is not None
            assert (segment.kernel, segment.capture) == (release, NEWER)
    host.write("proc/sys/kernel/osrelease", f"{RELEASE}\n")
    seen = view.take(host.root, None)
    assert (seen.release, seen.saving) == (RELEASE, NEWER)
    assert seen.made is not None and seen.made.release == NEWER


def test_one_that_is_not_there(tmp_path: Path) -> None:
    host = Host(refreshroots.make(tmp_path / "root"))
    configure(host, NEWER)
    assert host.run() == exits.ERROR
    assert not host.capture.exists()
