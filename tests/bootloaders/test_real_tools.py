# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot loaders' own tools, as Debian packages them, on this host in a mount namespace.

What grub-probe says of disks is made up: the root of such a namespace is an overlay.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from kdump_initrd.core import exits
from kdump_initrd.image import reservation
from tests.unit.thiskernel import RELEASE
from tests.vm import unified
from tests.vm.suites import Suite
from tests.vm.tools import tool

from .layouts import put

pytestmark = pytest.mark.timeout(300)

REPO = Path(__file__).parents[2]
_ON_TOP = Path(__file__).with_name("with-packages")
_RESERVE = "import sys; from kdump_initrd.commands.start import admin; sys.exit(admin())"
_MACHINE = "5d3a1c0ffee04be1a2b3c4d5e6f70819"
#: GRUB asks it for the file system, the device and the UUID of / and /boot.
_PROBE = """\
#!/bin/sh
for word; do
	case $word in
	--target=*) what=${word#*=} ;;
	esac
done
case $what in
device) echo /dev/sdz1 ;;
fs_uuid) echo 0b5e6f4e-8a53-4c3d-9a57-7d8a3f6c1e02 ;;
fs) echo ext2 ;;
abstraction) ;;
*) exit 1 ;;
esac
"""
USUAL = f"crashkernel={reservation.USUAL}M"
OTHER = "crashkernel=200M"


@dataclass(frozen=True)
class OnTop:
    """This host with packages on top; what changes is below ``state``."""

    lower: Path
    state: Path

    @property
    def upper(self) -> Path:
        """Where files are that changed."""
        return self.state / "upper"

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program there."""
        argv = [*map(str, (tool("unshare"), "--mount", _ON_TOP, self.lower, self.state)), *words]
        return subprocess.run(
            argv, env={**os.environ, "PYTHONPATH": str(REPO), **environment},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def reserve(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``kdump-initrd reserve``."""
        return self.run(sys.executable, "-c", _RESERVE, "reserve", *words, **environment)


def _grub(top: OnTop) -> None:
    put(top.upper, "usr/sbin/grub-probe", _PROBE).chmod(0o755)
    default = top.lower / "usr/share/grub/default/grub"
    put(top.upper, "etc/default/grub", default.read_text())
    (top.upper / "boot/grub").mkdir(parents=True)
    done = top.run("update-grub")
    assert done.returncode == 0, done.stderr


def _grub_mkconfig(top: OnTop) -> None:
    """Not Debian's way, but that of others."""
    _grub(top)
    assert top.run("rm", "/usr/sbin/update-grub").returncode == 0


def _kernel_install(top: OnTop) -> None:
    put(top.upper, "etc/machine-id", f"{_MACHINE}\n")
    put(top.upper, "etc/kernel/cmdline", "root=UUID=1 ro quiet\n")
    put(top.upper, "boot/loader/entries.srel", "type1\n")
    (top.upper / f"boot/{_MACHINE}").mkdir()
    (top.upper / "boot/loader/entries").mkdir()
    done = top.run("kernel-install", "add", RELEASE, f"/boot/vmlinuz-{RELEASE}")
    assert done.returncode == 0, done.stderr


def _u_boot(top: OnTop) -> None:
    put(top.upper, "etc/fstab", "UUID=1 / ext4 defaults 0 1\n")
    assert top.run("u-boot-update").returncode == 0


def _uki(top: OnTop) -> None:
    source = Path(f"/boot/vmlinuz-{RELEASE}")
    initrd = put(top.state, "initrd", "none")
    target = top.upper / f"boot/efi/EFI/Linux/x-{RELEASE}.efi"
    unified.make(target, source, release=RELEASE, initrd=initrd)
    root = Suite("trixie").packages("systemd-ukify", "systemd-boot-efi", "python3-pefile")
    line = f"exec env PYTHONPATH={root}/usr/lib/python3/dist-packages /usr/bin/python3"
    stub = f"--stub={root}/usr/lib/systemd/boot/efi/addonx64.efi.stub"
    script = f'#!/bin/sh\n{line} {root}/usr/bin/ukify "$@" {stub}\n'
    put(top.upper, "usr/bin/ukify", script).chmod(0o755)


#: How each is prepared, its packages, and what the next boot is read from.
LOADERS: Mapping[str, tuple[Callable[[OnTop], None], tuple[str, ...]]] = {
    "grub": (_grub, ("grub2-common",)),
    "grub-mkconfig": (_grub_mkconfig, ("grub2-common",)),
    "kernel-install": (_kernel_install, ()),
    "u-boot-menu": (_u_boot, ("u-boot-menu",)),
    "uki": (_uki, ()),
}


@pytest.fixture
def on_top(request: pytest.FixtureRequest, tmp_path: Path) -> OnTop:
    """A host with the boot loader that is asked for."""
    prepare, packages = LOADERS[request.param]
    lower = Suite("bookworm").packages(*packages) if packages else tmp_path / "lower"
    made = OnTop(lower, tmp_path / "state")
    prepare(made)
    return made


every = pytest.mark.parametrize("on_top", LOADERS, indirect=True)


def files(top: OnTop) -> dict[str, bytes]:
    """Return what has changed there, but for the note of it, and what is no file."""
    return {
        str(path.relative_to(top.upper)): path.read_bytes()
        for path in top.upper.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != "crashkernel"
    }


@every
def test_set_and_unset(on_top: OnTop, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["on_top"]
    before = files(on_top)
    assert on_top.reserve("--check").returncode == exits.NO
    done = on_top.reserve("--set")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{USUAL} is set, by {name}\n")
    assert on_top.reserve("--check").stdout.startswith(f"yes: {USUAL} is in /boot/")
    after = files(on_top)
    done = on_top.reserve("--set")
    assert done.stdout.startswith(f"{USUAL} is there already")
    assert files(on_top) == after
    done = on_top.reserve("--set", OTHER.partition("=")[2])
    assert done.stdout.startswith(f"{OTHER} is set"), done.stderr
    assert on_top.reserve("--unset").returncode == 0
    assert files(on_top) == before
    assert on_top.reserve("--check").returncode == exits.NO


@pytest.mark.parametrize("on_top", ["grub-mkconfig"], indirect=True)
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"GRUB_TIMEOUT=1",
        b"GRUB_CMDLINE_LINUX_DEFAULT=quiet # crashkernel=9M\n",
        b"# caf\xe9\nexport GRUB_CMDLINE_LINUX_DEFAULT='quiet  '\nX=\"a\nb\"\n",
    ],
)
def test_a_variable_in_any_form(on_top: OnTop, text: bytes) -> None:
    """The real grub-mkconfig has a shell read it."""
    (on_top.upper / "etc/default/grub").write_bytes(text)
    assert on_top.run("grub-mkconfig", "-o", "/boot/grub/grub.cfg").returncode == 0
    before = files(on_top)
    for size in ("200M", "300M"):
        done = on_top.reserve("--set", size)
        assert (done.returncode, done.stderr) == (0, "")
    assert on_top.reserve("--check").stdout.startswith("yes: crashkernel=300M is in ")
    assert on_top.reserve("--unset").returncode == 0
    assert files(on_top) == before


@pytest.mark.parametrize("on_top", ["grub"], indirect=True)
def test_words_of_people_and_of_debian_s_kdump_tools(on_top: OnTop) -> None:
    """A file of grub.d that is read behind ours wins, and that is said."""
    text = (on_top.upper / "etc/default/grub").read_text()
    by_hand = text.replace('GRUB_CMDLINE_LINUX=""', 'GRUB_CMDLINE_LINUX="crashkernel=64M@16M"')
    put(on_top.upper, "etc/default/grub", by_hand)
    assert on_top.run("update-grub").returncode == 0
    done = on_top.reserve("--set", "200M")
    assert done.returncode == exits.ERROR
    assert "/etc/default/grub:" in done.stderr
    assert on_top.reserve("--set", "200M", "--force").returncode == 0
    assert (on_top.upper / "etc/default/grub").read_text() == by_hand
    assert on_top.reserve("--unset").returncode == 0
    put(on_top.upper, "etc/default/grub", text)
    line = 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=384M-:128M"\n'
    put(on_top.upper, "etc/default/grub.d/kdump-tools.cfg", line)
    before = files(on_top)
    done = on_top.reserve("--set", "200M", "--force")
    assert (done.returncode, done.stderr) == (0, "")
    assert on_top.reserve("--unset").returncode == 0
    assert files(on_top).keys() == before.keys()
    assert (on_top.upper / "etc/default/grub.d/kdump-tools.cfg").read_text() == line


@pytest.mark.parametrize("on_top", ["grub"], indirect=True)
def test_a_file_that_is_read_behind_ours(on_top: OnTop) -> None:
    """It wins, and is named; where it is read before ours, all is well."""
    later = "etc/default/grub.d/zzz.cfg"
    put(on_top.upper, later, 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n')
    done = on_top.reserve("--set", "200M")
    assert done.returncode == exits.ERROR
    assert f"/boot/grub/grub.cfg has no crashkernel=: /{later} is read behind zz-" in done.stderr
    assert "hint: give it a name that sorts before zz-kdump-initrd.cfg, or add " in done.stderr
    assert on_top.run("mv", f"/{later}", "/etc/default/grub.d/50.cfg").returncode == 0
    assert on_top.reserve("--set", "200M").returncode == 0


@pytest.mark.parametrize("on_top", ["grub", "kernel-install"], indirect=True)
def test_a_place_that_is_read_only(on_top: OnTop) -> None:
    before = files(on_top)
    for place in ("/etc", "/boot", "/var/lib"):
        done = on_top.reserve("--set", READONLY=place)
        assert (done.returncode, done.stdout) == (exits.ERROR, "")
        assert "Read-only file system" in done.stderr
    assert on_top.reserve("--set").returncode == 0
    assert on_top.reserve("--unset").returncode == 0
    assert files(on_top) == before
