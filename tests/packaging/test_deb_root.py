# SPDX-License-Identifier: GPL-2.0-or-later
"""The .deb in a small root: what its scripts do, by dpkg itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.core.run import Result, run

from .building import Packages, newer_deb
from .roots import SmallRoot, ours

CONFFILES = {
    "etc/kernel/postinst.d/zz-kdump-initrd",
    "etc/kernel/postrm.d/zz-kdump-initrd",
    "etc/initramfs/post-update.d/kdump-initrd",
}
#: What is undone before the files go.
REMOVAL = ["reserve --unset", "--remove", "luks-remove --all"]


@pytest.fixture
def root(tmp_path: Path) -> SmallRoot:
    made = SmallRoot(tmp_path / "root")
    home = made.path / "var/lib/dpkg"
    for name in ("info", "updates", "triggers"):
        (home / name).mkdir(parents=True)
    (home / "status").touch()
    return made


def dpkg(root: SmallRoot, *words: str | Path) -> Result:
    """Run dpkg for the root, which has none of the packages that ours depends on."""
    argv = ["dpkg", f"--root={root.path}", "--force-depends", "--force-unsafe-io", "--no-triggers"]
    return run([*argv, *words], timeout=60)


def test_installed_upgraded_removed_purged(
    root: SmallRoot, packages: Packages, tmp_path: Path
) -> None:
    before = root.files()
    dpkg(root, "-i", packages.deb)
    calls = root.calls()
    assert ours(calls) == ["--refresh"]
    assert any(call.startswith("deb-systemd-helper unmask") for call in calls)

    dpkg(root, "-i", newer_deb(packages.deb, tmp_path / "newer.deb"))
    assert ours(root.calls()) == ["--refresh"]

    (root.path / "run/kdump-initrd").mkdir(parents=True)
    for name in ("var/lib/kdump-initrd", "var/cache/kdump-initrd"):
        (root.path / name).mkdir(parents=True)
        (root.path / name / "x").touch()
    dpkg(root, "-r", "kdump-initrd")
    assert ours(root.calls()) == REMOVAL
    assert {name for name in root.files() if (root.path / name).is_file()} - before == {
        *CONFFILES, "var/lib/kdump-initrd/x", "var/cache/kdump-initrd/x",
    }  # fmt: skip

    dpkg(root, "-P", "kdump-initrd")
    assert ours(root.calls()) == []
    assert root.files() - before <= {"var/cache", "run"}


def test_a_failing_refresh_fails_nothing(root: SmallRoot, packages: Packages) -> None:
    root.fail()
    done = dpkg(root, "-i", packages.deb)
    assert "no image was refreshed, what was there stays" in done.stderr
    calls = root.calls()
    assert ours(calls) == ["--refresh"]
    assert any(call.startswith("logger -t kdump-initrd") for call in calls)
    done = dpkg(root, "-r", "kdump-initrd")
    assert "some images are still there" in done.stderr
    assert "crashkernel= is still set" in done.stderr
    assert "some LUKS volumes still have our key slot" in done.stderr
    assert ours(root.calls()) == REMOVAL


@pytest.mark.parametrize("hook", sorted(CONFFILES))
def test_hooks_of_a_removed_package_do_nothing(
    root: SmallRoot, packages: Packages, hook: str
) -> None:
    dpkg(root, "-i", packages.deb)
    dpkg(root, "-r", "kdump-initrd")
    root.calls()
    done = root.enter(f"/{hook}", "6.1.0-test", "/boot/vmlinuz-6.1.0-test")
    assert (done.stdout, done.stderr, ours(root.calls())) == (b"", "", [])
