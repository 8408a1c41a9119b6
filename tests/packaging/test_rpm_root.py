# SPDX-License-Identifier: GPL-2.0-or-later
"""The .rpm in a root: installed, upgraded and removed by rpm, its scripts run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kdump_initrd.core.run import Result, find, run

from .building import FAMILIES, Packages
from .roots import SmallRoot, ours

#: As SUSE's and others' kernels: files, and no call of anything.
_KERNEL = """\
Name: kernel
Version: 6.1.0
Release: 1
Summary: A kernel
License: GPL-2.0-only
BuildArch: noarch
%description
A kernel.
%install
install -D /dev/null %{buildroot}/usr/lib/modules/6.1.0-test/vmlinuz
%files
/usr/lib/modules/6.1.0-test
"""
UNITS = "kdump-initrd.service kdump-initrd-refresh.service"
STATE = ("var/lib/kdump-initrd", "var/cache/kdump-initrd")


@pytest.fixture
def root(tmp_path: Path) -> SmallRoot:
    made = SmallRoot(tmp_path / "root")
    rpm(made, "--initdb")
    return made


def rpm(root: SmallRoot, *words: str | Path) -> Result:
    """Run rpm for the root; Debian's has no database of what is installed."""
    return run(["rpm", "--root", root.path, *words], timeout=60)


@pytest.mark.parametrize("family", FAMILIES)
def test_installed_upgraded_removed(
    family: str, root: SmallRoot, packages: Packages, newer: Packages
) -> None:
    before = root.files()
    rpm(root, "-i", "--nodeps", packages.rpm(family))
    calls = root.calls()
    assert ours(calls) == ["--refresh --quiet"]
    assert f"systemctl --no-reload preset {UNITS}" in calls
    assert rpm(root, "-V", "--nodeps", "kdump-initrd").stdout == b""
    assert (root.path / "usr/sbin/mkinitrd-kdump").stat().st_mode & 0o777 == 0o755

    rpm(root, "-U", "--nodeps", newer.rpm(family))
    calls = root.calls()
    assert ours(calls) == ["--refresh --quiet"]
    assert not [call for call in calls if "preset" in call or "disable" in call]
    assert (root.path / "usr/lib/kdump-initrd/kdump_initrd/commands/mkinitrd.py").exists()

    for name in STATE:
        (root.path / name).mkdir(parents=True)
        (root.path / name / "x").touch()
    rpm(root, "-e", "--nodeps", "kdump-initrd")
    calls = root.calls()
    assert ours(calls) == ["reserve --unset", "--remove --quiet", "luks-remove --all"]
    assert f"systemctl --no-reload disable {UNITS}" in calls
    left = root.files() - before
    assert not [name for name in left if "kdump" in name or (root.path / name).is_file()]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_failing_refresh_fails_nothing(family: str, root: SmallRoot, packages: Packages) -> None:
    root.fail()
    done = rpm(root, "-i", "--nodeps", packages.rpm(family))
    assert "no image was refreshed, what was there stays" in done.stderr + done.stdout.decode()
    assert ours(root.calls()) == ["--refresh --quiet"]
    done = rpm(root, "-e", "--nodeps", "kdump-initrd")
    said = done.stderr + done.stdout.decode()
    assert "some images are still there" in said
    assert "crashkernel= is still set" in said
    assert not (root.path / "usr/lib/kdump-initrd").exists()


def test_kernel_install_calls_the_plugin(root: SmallRoot, packages: Packages) -> None:
    rpm(root, "-i", "--nodeps", packages.rpm("redhat"))
    root.calls()
    program = find("kernel-install")
    assert program, "kernel-install: not installed (Debian package systemd)"
    shutil.copy(program, root.path / "usr/bin/kernel-install")
    (root.path / "etc/machine-id").write_text(f"{7:032x}\n")
    (root.path / "boot/vmlinuz-6.1.0-test").write_bytes(b"kernel")
    (root.path / "usr/lib/modules/6.1.0-test").mkdir(parents=True)
    root.enter("kernel-install", "add", "6.1.0-test", "/boot/vmlinuz-6.1.0-test")
    assert ours(root.calls()) == ["--refresh --quiet 6.1.0-test"]
    root.enter("kernel-install", "remove", "6.1.0-test")
    assert ours(root.calls()) == ["--remove --quiet 6.1.0-test"]
    root.fail()
    root.enter("kernel-install", "add", "6.1.0-test", "/boot/vmlinuz-6.1.0-test")
    assert ours(root.calls()) == ["--refresh --quiet 6.1.0-test"]


def test_a_kernel_that_calls_no_hook_is_seen(
    root: SmallRoot, packages: Packages, tmp_path: Path
) -> None:
    (tmp_path / "kernel.spec").write_text(_KERNEL)
    where = ["--define", f"_topdir {tmp_path}", "--define", f"_rpmdir {tmp_path}"]
    run(["rpmbuild", "-bb", "--quiet", *where, tmp_path / "kernel.spec"], timeout=60)
    rpm(root, "-i", "--nodeps", packages.rpm("suse"))
    root.calls()
    rpm(root, "-i", "--nodeps", tmp_path / "noarch/kernel-6.1.0-1.noarch.rpm")
    assert ours(root.calls()) == ["--refresh"]
    root.fail()
    rpm(root, "-e", "--nodeps", "kernel")
    assert ours(root.calls()) == ["--refresh"]
