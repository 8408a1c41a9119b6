# SPDX-License-Identifier: GPL-2.0-or-later
"""One kernel saves the crashes of all (capture-kernel): what is written, and what status sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.config import effective
from kdump_initrd.core import exits
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image.archive.segments import read_manifest
from kdump_initrd.probe.distro import profiles
from kdump_initrd.upkeep.loading.loadplan import capture_release
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


@pytest.mark.parametrize(
    ("distro", "regular", "saving"),
    [("redhat", "5.14.0-1.el9.x86_64+debug", "5.14.0-1.el9.x86_64"),
     ("redhat", "5.14.0-1.el9.x86_64", "5.14.0-1.el9.x86_64"),
     ("redhat", "6.0.0+debug", "6.0.0+debug"),
     ("debian", "5.14.0-1.el9.x86_64+debug", "5.14.0-1.el9.x86_64+debug")],
    ids=["debug", "plain", "without-a-sibling", "elsewhere"],
)  # fmt: skip
def test_the_plain_sibling_of_a_debug_kernel(
    tmp_path: Path, distro: str, regular: str, saving: str
) -> None:
    root = Root(tmp_path)
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-5.14.0-1.el9.x86_64").write_text("")
    folders = search_path("distros", root=root)
    profile = profiles.load(distro, search_path=folders, root=root)
    configured = effective.read(root, peer="")
    assert capture_release(regular, configured, root=root, profile=profile) == saving
