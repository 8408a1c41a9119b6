# SPDX-License-Identifier: GPL-2.0-or-later
"""The .deb in a whole Debian: apt installs it, and kernels come, are made anew, and go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kdump_initrd.core.run import Result, run
from kdump_initrd.image.listing import list_image
from tests.vm.rootfs import GUEST, debian
from tests.vm.tools import tool

from .building import Packages, newer_deb

pytestmark = [pytest.mark.full, pytest.mark.timeout(1500)]

_ENTER = Path(__file__).parent / "enter-overlay"
_CONFIGURATION = """\
[capture]
device = "UUID=4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"
fstype = "ext4"

[image]
hardware = ["generic"]
"""
#: What package managers keep of packages that are gone, and what their work leaves; and findfs's
#: cache of the devices that the host happens to have, in a /run that is not in memory here.
_TRACES = ("usr/lib/python3", "var/cache/apt", "var/cache/debconf", "var/lib/apt", "var/lib/dpkg",
           "var/log", "var/lib/systemd", "tmp", "mnt", "etc/ld.so.cache",
           "var/cache/ldconfig", "run/blkid")  # fmt: skip


@dataclass(frozen=True)
class DebianRoot:
    """A Debian whose changes are in ``state``; ``out`` is its /mnt."""

    lower: Path
    state: Path
    out: Path

    def enter(self, *argv: str) -> Result:
        """Run a program in it; raises KdumpInitrdError."""
        words = [str(tool("unshare")), "--mount", "--pid", "--fork", "--kill-child"]
        words += map(str, (_ENTER, GUEST / "enter", self.lower, self.state, self.out))
        return run([*words, "env", "DEBIAN_FRONTEND=noninteractive", *argv], timeout=600)

    def apt(self, *words: str) -> Result:
        """Run apt-get for good."""
        return self.enter("apt-get", "-y", "-q", "--no-install-recommends", *words)

    def boot(self) -> set[str]:
        """Return the names in /boot."""
        return set(self.enter("ls", "/boot").stdout.decode().split())

    def ours(self, release: str) -> set[str]:
        """Return the images in /boot for a kernel that hold something of ours."""
        images = (self.state / "upper/boot").glob(f"initrd*{release}*")
        return {path.name for path in images if "kdump-initrd/" in "\n".join(list_image(path))}

    def files(self) -> set[str]:
        """Return all files that nobody else's work explains."""
        skip = [word for name in _TRACES for word in ("-path", f"/{name}", "-prune", "-o")]
        argv = ["find", "/", "-xdev", *skip, "-type", "f", "-print"]
        return set(self.enter(*argv).stdout.decode().splitlines())


@pytest.fixture
def root(tmp_path: Path, packages: Packages) -> Iterator[DebianRoot]:
    """A Debian without a kernel, with the packages at hand and a configured target."""
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(packages.deb, out / "kdump-initrd.deb")
    newer_deb(packages.deb, out / "newer.deb")
    made = DebianRoot(debian().path, tmp_path / "state", out)
    made.apt("update")
    made.apt("purge", "linux-image-amd64", "linux-image-*-amd64")
    (out / "kdump-initrd.toml").write_text(_CONFIGURATION)
    made.enter("cp", "/mnt/kdump-initrd.toml", "/etc/kdump-initrd.toml")
    yield made
    shutil.rmtree(tmp_path / "state", ignore_errors=True)


def releases(root: DebianRoot) -> list[str]:
    """Return the releases of the kernels that the root's suite has, oldest first."""
    names = root.enter("apt-cache", "pkgnames", "linux-image-6.1.0-").stdout.decode().split()
    found = [name[len("linux-image-") :] for name in names if name.count("-") == 4]
    return sorted(name for name in found if name.endswith("-amd64"))


def both(release: str) -> set[str]:
    """Return the names of what a kernel has: the capture initrd, and its own with our segment."""
    return {f"initrd.img-{release}-kdump", f"initrd.img-{release}"}


def test_kernels_come_and_go(root: DebianRoot) -> None:
    before = root.files()
    old, new = releases(root)[-2:]
    root.apt("install", "/mnt/kdump-initrd.deb", "linux-image-amd64")
    assert root.ours(new) == both(new)

    root.apt("install", f"linux-image-{old}")
    assert (root.ours(old), root.ours(new)) == (both(old), both(new))

    # The same kernel again: its initrd is made anew, and ours with it.
    root.apt("install", "--reinstall", f"linux-image-{new}")
    root.enter("update-initramfs", "-u", "-k", old)
    root.apt("install", "/mnt/newer.deb")
    assert (root.ours(old), root.ours(new)) == (both(old), both(new))

    root.apt("purge", f"linux-image-{old}")
    assert not [name for name in root.boot() if old in name]
    assert root.ours(new) == both(new)

    root.apt("remove", "kdump-initrd")
    assert root.ours(new) == set()
    assert f"initrd.img-{new}" in root.boot()
    # Its hooks are still there, as configuration, and do nothing.
    root.enter("update-initramfs", "-u", "-k", new)
    assert root.ours(new) == set()

    root.apt("purge", "kdump-initrd", "linux-image-*-amd64")
    root.apt("autoremove", "--purge")
    left = root.files() - before
    assert {name for name in left if "kdump" in name or "__pycache__" not in name} == set()


def test_without_a_target_the_package_is_installed_all_the_same(root: DebianRoot) -> None:
    # / is an overlay here, which no device is known for.
    root.enter("rm", "/etc/kdump-initrd.toml")
    done = root.apt("install", "/mnt/kdump-initrd.deb", "linux-image-amd64")
    assert "no image was refreshed" in done.stdout.decode() + done.stderr
    state = root.enter("dpkg-query", "-W", "-f", "${Status}", "kdump-initrd").stdout.decode()
    assert state == "install ok installed"
    assert not [name for name in root.boot() if "kdump" in name]


def test_a_minimal_system_says_what_it_lacks(root: DebianRoot) -> None:
    """Nothing that is only recommended, no zstd, and a kernel that has reserved no memory."""
    root.enter("sh", "-c", "dpkg-query -W zstd && apt-get -y -q purge zstd || true")
    done = root.apt("install", "/mnt/kdump-initrd.deb", "linux-image-amd64")
    said = done.stdout.decode() + done.stderr
    new = releases(root)[-1]
    assert root.ours(new) == both(new)
    assert "zstd: program not found: the image is compressed by " in said
    lines = [line.strip() for line in said.splitlines()]
    at = next(
        number for number, line in enumerate(lines)
        if line.startswith("kdump-initrd: warning: not armed: no memory is reserved")
    )  # fmt: skip
    assert lines[at + 1] == "kdump-initrd reserve --set"
    assert lines[at + 2].startswith(
        "then restart, and test it, which crashes this machine immediately"
    )
