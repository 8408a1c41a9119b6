# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that is named by its image: where it is, and what tells its release."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.kernel.kernelname import release_of

from .initrdwriter import bzimage
from .kernelimages import elf

LAYOUT = profiles.load("sles", search_path=search_path("distros", root=Root()), root=Root()).kernel
#: An image that does not tell its release: only its name can.
MUTE = elf(21, bits=64, little=True, banner=b"")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a boot directory."""
    (tmp_path / "boot").mkdir()
    return tmp_path


def ask(name: str, root: Path, boot: str = "/boot") -> str:
    return release_of(name, boot=boot, root=Root(root), layout=LAYOUT)


def test_the_header_is_asked_first(root: Path) -> None:
    (root / "boot/vmlinuz-5.14.21-default").write_bytes(bzimage("6.4.0-150600-default"))
    assert ask("vmlinuz-5.14.21-default", root) == "6.4.0-150600-default"


@pytest.mark.parametrize(
    ("path", "release"),
    [
        ("boot/vmlinuz-6.4.0-default", "6.4.0-default"),
        ("boot/vmlinux-6.4.0-default", "6.4.0-default"),
        ("boot/Image-6.4.0-default", "6.4.0-default"),
        ("usr/lib/modules/6.4.0-default/vmlinuz", "6.4.0-default"),
        ("srv/other/vmlinuz-1", "1"),
        ("boot/opensuse/6.4.0-default/linux", "6.4.0-default"),
    ],
)
def test_then_the_name(root: Path, path: str, release: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(MUTE)
    assert ask(str(root / path), root) == release
    # By a link of its boot directory, as that root would follow it.
    (root / "boot/vmlinuz").symlink_to(f"/{path}")
    assert ask("vmlinuz", root) == release


def test_a_link_may_tell_what_its_target_does_not(root: Path) -> None:
    (root / "boot/kernel").write_bytes(MUTE)
    (root / "boot/vmlinuz-6.4").symlink_to("kernel")
    assert ask("vmlinuz-6.4", root) == "6.4"
    assert ask(str(root / "boot/vmlinuz-6.4"), root) == "6.4"


def test_another_boot_directory(root: Path) -> None:
    (root / "srv").mkdir()
    (root / "srv/vmlinuz").write_bytes(bzimage("6.4"))
    assert ask("vmlinuz", root, boot="/srv") == "6.4"


def test_a_path_is_of_the_host(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    kernel = tmp_path_factory.mktemp("host") / "vmlinuz"
    kernel.write_bytes(bzimage("6.4"))
    assert ask(str(kernel), root) == "6.4"


@pytest.mark.parametrize(
    ("name", "boot", "message", "hint"),
    [
        ("vmlinuz", "/boot", "vmlinuz: no such kernel in {}/boot", "present: mute, script; or"),
        ("vmlinuz", "/none", "vmlinuz: no such kernel in {}/none", "present: nothing; or"),
        ("loop", "/boot", "loop: no such kernel in {}/boot", "present: "),
        ("..", "/boot", "..: no such kernel in {}/boot", "present: "),
        ("/no/such", "/boot", "/no/such: No such file", "name a kernel image"),
        ("script", "/boot", "{}/boot/script: not a known kind of kernel image", "name a bzImage"),
        ("mute", "/boot", "{}/boot/mute: neither its header nor its name", "name the file as"),
    ],
)
def test_what_is_no_kernel(root: Path, name: str, boot: str, message: str, hint: str) -> None:
    (root / "boot/script").write_text("#!/bin/sh\n" * (1 << 15))
    (root / "boot/mute").write_bytes(MUTE)
    if name == "loop":
        (root / "boot/loop").symlink_to("loop")
    with pytest.raises(KdumpInitrdError) as caught:
        ask(name, root, boot)
    assert caught.value.message.startswith(message.format(root))
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)
