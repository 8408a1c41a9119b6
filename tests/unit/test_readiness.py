# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine lacks until a crash is saved: said with the command that mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.distro.profiles import Distro
from kdump_initrd.upkeep.ready import readiness
from kdump_initrd.upkeep.ready.readiness import Running

PLAIN, WORD = b"root=/dev/vda1 quiet", b"root=/dev/vda1 crashkernel=120M quiet"
#: In front, another word that ends in the same way.
OTHER = b"root=/dev/vda1 my.crashkernel=1 quiet"
TEST = (
    "test it, which crashes this machine immediately: echo c >/proc/sysrq-trigger; "
    "the dump will be in /var/crash"
)


def put(root: Path, name: str, text: str = "") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def profile(root: Path) -> Distro:
    search = search_path("distros", root=Root(root))
    return profiles.load("linux", search_path=search, root=Root(root))


def lacking(machine: Running | None, root: Path) -> list[list[str]]:
    found = readiness.lacking(machine, Root(root), profile(root), dumps="/var/crash")
    return [[line.strip() for line in each.splitlines()] for each in found]


@pytest.mark.parametrize("cmdline", [PLAIN, OTHER])
def test_nothing_is_reserved(tmp_path: Path, cmdline: bytes) -> None:
    put(tmp_path, "usr/sbin/update-grub")
    put(tmp_path, "etc/default/grub", "# crashkernel=auto would be nice\n")
    (lines,) = lacking(Running(cmdline, 0, loaded=False), tmp_path)
    assert lines == [
        "not armed: no memory is reserved, crashkernel= is not on the kernel's command line",
        "kdump-initrd reserve --set",
        f"then restart, and {TEST}",
    ]


def test_in_a_chroot_its_own_configuration_counts(tmp_path: Path) -> None:
    assert lacking(None, tmp_path)[0][0].startswith("not armed: no memory is reserved")
    put(tmp_path, "usr/bin/kernel-install")
    put(tmp_path, "efi/loader/entries/x.conf", "linux /x\noptions quiet crashkernel=120M\n")
    assert lacking(None, tmp_path)[0][1] == "restart"


def test_configured_and_not_started_with_it(tmp_path: Path) -> None:
    machine = Running(PLAIN, 0, loaded=False)
    put(tmp_path, "usr/sbin/update-grub")
    put(tmp_path, "etc/default/grub", 'GRUB_CMDLINE_LINUX=""\n')
    source = put(tmp_path, "etc/default/grub.d/x.cfg", 'GRUB_CMDLINE_LINUX="crashkernel=120M"\n')
    assert lacking(machine, tmp_path)[0][:2] == [
        f"not armed: crashkernel= is in {source}:1, but not in what the boot loader reads",
        "kdump-initrd reserve --set",
    ]
    put(tmp_path, "boot/grub/grub.cfg", "\tlinux /vmlinuz root=/dev/vda1 crashkernel=120M\n")
    assert lacking(machine, tmp_path) == [
        ["not armed: crashkernel= is configured, but not in effect yet", "restart", TEST]
    ]


def test_a_reservation_that_the_kernel_could_not_make(tmp_path: Path) -> None:
    (lines,) = lacking(Running(WORD, 0, loaded=False), tmp_path)
    assert lines[0] == (
        "not armed: the kernel could not reserve what crashkernel= on its command line asks for"
    )
    assert "kdump-initrd reserve says what is enough" in lines[1]


def test_a_kernel_that_cannot_load_any(tmp_path: Path) -> None:
    """It is not to be crashed before another one runs."""
    (lines,) = lacking(Running(b"quiet", 0, loaded=False, able=False), tmp_path)
    assert lines[0] == "not armed: this kernel cannot load a capture kernel"
    assert lines[2].startswith("then restart, and test it")


def test_why_this_start_has_not_armed_it(tmp_path: Path) -> None:
    machine = Running(WORD, 120, loaded=False)
    assert lacking(machine, tmp_path)[0][:2] == [
        "not armed: no capture kernel has been loaded since the machine started",
        "kdump-initrd load",
    ]
    put(tmp_path, "dev/kmsg", "4,1,2,-;kdump-initrd: not armed: lockdown\n SUBSYSTEM=x\n")
    assert lacking(machine, tmp_path)[0][0] == "not armed: lockdown"


def test_armed(tmp_path: Path) -> None:
    assert lacking(Running(WORD, 120, loaded=True), tmp_path) == []


def test_what_the_running_kernel_says(tmp_path: Path) -> None:
    assert readiness.running(Root(tmp_path)) is None
    put(tmp_path, "proc/cmdline", "crashkernel=1")
    assert readiness.running(Root(tmp_path)) is None, "/sys is not mounted"
    (tmp_path / "sys/kernel").mkdir(parents=True)
    unable = Running(b"crashkernel=1", 0, loaded=False, able=False)
    assert readiness.running(Root(tmp_path)) == unable
    put(tmp_path, "sys/kernel/kexec_crash_size", f"{120 << 20}\n")
    put(tmp_path, "sys/kernel/kexec_crash_loaded", "1\n")
    assert readiness.running(Root(tmp_path)) == Running(b"crashkernel=1", 120, loaded=True)
    # Linux 6.19 has moved both: the old names are links, which will be gone one day.
    for name in ("size", "loaded"):
        new = tmp_path / f"sys/kernel/kexec/crash_{name}"
        new.parent.mkdir(exist_ok=True)
        (tmp_path / f"sys/kernel/kexec_crash_{name}").rename(new)
    assert readiness.running(Root(tmp_path)) == Running(b"crashkernel=1", 120, loaded=True)
    # Somebody else's root, as the first process's is of who is in a chroot.
    (tmp_path / "proc/1/root").mkdir(parents=True)
    assert readiness.running(Root(tmp_path)) is None


@pytest.mark.parametrize("unit", ["kdump-tools.service", "kdump.service", "kdump-early.service"])
def test_another_tool_that_loads_one(tmp_path: Path, unit: str) -> None:
    assert readiness.others(Root(tmp_path)) == []
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants" / unit
    wants.parent.mkdir(parents=True)
    wants.symlink_to(f"/lib/systemd/system/{unit}")
    assert readiness.others(Root(tmp_path)) == [unit]
    (tmp_path / "etc/systemd/system" / unit).symlink_to("/dev/null")
    assert readiness.others(Root(tmp_path)) == []


def test_another_root_is_nobodys_machine(tmp_path: Path) -> None:
    assert list(readiness.say(Root(tmp_path), profile(tmp_path), dumps="/var/crash")) == []
