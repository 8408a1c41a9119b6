# SPDX-License-Identifier: GPL-2.0-or-later
"""What a whole initrd's /init reads, names and loads: its scripts, under three shells."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.config.settings import FirstKernelSettings
from kdump_initrd.core import devicename
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image.tree import Tree
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.kernel import kmod, releases
from kdump_initrd.probe.kernel.kmod import Wish
from kdump_initrd.recipes.firstkernel import recipe, rootdevice
from kdump_initrd.recipes.parts import hardware, ondemand
from kdump_initrd.targets import blockdevice, refusals
from kdump_initrd.targets.blockdevice import BlockDevice

from .initrdwriter import bzimage, write_capture
from .shells import REPO, SHELLS
from .thiskernel import RELEASE

ROOT = "UUID=0b5e6f4e-8a53-4c3d-9a57-7d8a3f6c1e02"
HOOKS = REPO / "hooks/first"
LIB = "usr/lib/kdump-initrd"


@pytest.fixture(scope="module")
def drivers_sh(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of drivers.sh, for the patterns of this machine's own modules."""
    top = tmp_path_factory.mktemp("scripts")
    (top / "kernel").write_bytes(bzimage())
    capture = write_capture(top / "capture.img")
    settings = FirstKernelSettings(
        capture_initrd=str(capture), capture_kernel=str(top / "kernel"), standalone=True,
        root_device=ROOT, fstype="ext4", hardware=("virtio",), release=RELEASE,
    )  # fmt: skip
    entries = {str(entry.dest): entry for entry in recipe.plan(settings).entries}
    return entries[f"{LIB}/drivers.sh"].content.decode()


class Shell:
    """Runs lines behind parts of /init whose /proc/cmdline is a file of the test."""

    def __init__(self, top: Path, argv: list[str]) -> None:
        self.top = top
        self.argv = argv

    def run(self, parts: str, lines: str) -> str:
        """Return what the lines print; they must not fail, and nothing may complain."""
        texts = ["set -u", f"mount={self.top}/sysroot expected= why= said="]
        for name in ("../kernelline", *parts.split()):
            text = (HOOKS / f"{name}.sh").read_text()
            texts.append(text.replace("/proc/cmdline", f"{self.top}/cmdline"))
        script = self.top / "script"
        script.write_text("\n".join([*texts, lines, ""]))
        env = {"PATH": os.environ["PATH"]}
        done = subprocess.run([*self.argv, script], cwd=self.top, capture_output=True, text=True,
                              timeout=20, check=False, env=env)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def read(self, cmdline: str, names: str) -> list[str]:
        """Return these variables as a command line sets them."""
        (self.top / "cmdline").write_text(cmdline)
        values = " ".join(f'"${name}"' for name in names.split())
        return self.run("cmdline", f"read_cmdline\nprintf '%s|' {values}").split("|")[:-1]


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    (tmp_path / "sysroot").mkdir()
    (tmp_path / "witness").touch()
    return Shell(tmp_path, request.param)


LINES = {
    "root root_types root_flags root_mode root_delay root_limit wanted_init": {
        "": ["", "", "", "ro", "0", "30", ""],
        "root=/dev/vda1 quiet": ["/dev/vda1", "", "", "ro", "0", "30", ""],
        'root="LABEL=my  disk" rw': ["LABEL=my  disk", "", "", "rw", "0", "30", ""],
        '"root=LABEL=my disk" ro': ["LABEL=my disk", "", "", "ro", "0", "30", ""],
        'x="a root=/dev/x" rootfstype=xfs,ext4': ["", "xfs ext4", "", "ro", "0", "30", ""],
        'rootflags="subvol=@,a b" init=/x': ["", "", "subvol=@,a b", "ro", "0", "30", "/x"],
        "rootfstype=xfs rootfstype=auto rw ro": ["", "", "", "ro", "0", "30", ""],
        "rootwait=10 rootdelay=20": ["", "", "", "ro", "20", "20", ""],
        "rootwait=10 rootwait rootdelay=99": ["", "", "", "ro", "99", "0", ""],
        "rootwait=-1 rootdelay=1.5 rootwait=": ["", "", "", "ro", "0", "30", ""],
        "root=/dev/a -- root=/dev/b rw init=/x": ["/dev/a", "", "", "ro", "0", "30", ""],
        'root=/dev/a "--" root=/dev/b': ["/dev/a", "", "", "ro", "0", "30", ""],
        "root=/dev/$HOME init=/`id`": ["/dev/$HOME", "", "", "ro", "0", "30", "/`id`"],
        "root=* init=w?tness rootflags=[w]*": ["*", "", "[w]*", "ro", "0", "30", "w?tness"],
        "* root=\\x20;id init=~": ["\\x20;id", "", "", "ro", "0", "30", "~"],
        'quiet root="LABEL=open end': ["LABEL=open end", "", "", "ro", "0", "30", ""],
        "init=$(id) xroot=/x root": ["", "", "", "ro", "0", "30", "$(id)"],
    },
    "check_mode check_repair rescue": {
        "fsck.mode=force fsck.repair=yes": ["force", "-y", ""],
        "fsck.mode=skip fsck.repair=no kdump_initrd.shell": ["skip", "-n", "yes"],
        "fsck.mode=what fsck.repair=what kdump_initrd.shell=0": ["auto", "-a", ""],
        "fastboot fsckfix kdump_initrd.shell=1": ["skip", "-y", "yes"],
        "fsck.mode=skip forcefsck fsck.repair=yes fsck.repair=preen": ["force", "-a", ""],
    },
}  # fmt: skip


@pytest.mark.parametrize("names", LINES)
def test_command_line(shell: Shell, names: str) -> None:
    for line, wanted in LINES[names].items():
        assert shell.read(f"{line}\n", names) == wanted, line


def test_the_build_splits_a_command_line_as_init_does(shell: Shell) -> None:
    for line in [line for lines in LINES.values() for line in lines]:
        (shell.top / "cmdline").write_text(f"{line}\n")
        said = shell.run("cmdline", "take_word() { printf '%s\\n' \"$1\"; }\nread_cmdline")
        assert tuple(said.splitlines()) == rootdevice.words(line), line


@pytest.mark.parametrize("word", ["rootwait=08", "rootdelay=099", "rootwait=99999999999999999999"])
def test_numbers_that_a_shell_takes_for_others(shell: Shell, word: str) -> None:
    """A shell that ends here is a kernel that panics: it is the first process."""
    (shell.top / "cmdline").write_text(f"{word}\n")
    lines = "read_cmdline; limit=$root_limit waited=1; is_late || echo early"
    assert shell.run("cmdline ../assemble", lines) == "early\n"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("/dev/disk/by-uuid/1-2", "UUID=1-2"),
        ("/dev/disk/by-label/a\\x2fb\\x20caf\\xc3\\xa9", "LABEL=a/b café"),
        ("/dev/disk/by-partuuid/AB-0F", "PARTUUID=ab-0f"),
        ("/dev/disk/by-partlabel/100\\x25\\x5cx20", "PARTLABEL=100%\\x20"),
        ("/dev/disk/by-id/x", "/dev/disk/by-id/x"),
        ("PARTUUID=ABCDEF-01", "PARTUUID=abcdef-01"),
        ("UUID=AB-CD", "UUID=AB-CD"),
        ("LABEL=%s\\n\\101", "LABEL=%s\\n\\101"),
        ("/dev/vg/root", "/dev/vg/root"),
    ],
)
def test_name_without_udev(shell: Shell, name: str, wanted: str) -> None:
    assert shell.run("device", f"root='{name}'\nname_root\nprintf '%s' \"$root\"") == wanted
    if not name.startswith("PARTUUID"):
        assert devicename.translate(name).upper() == wanted.upper()


def test_text_without_udevs_escapes(shell: Shell) -> None:
    texts = {"": "", "a": "a", "\\x41\\x42": "AB", "\\": "\\", "\\x4": "\\x4", "%d": "%d",
             "\\x5c\\x5c": "\\\\", "-n": "-n", "a\\x0ab": "a\nb", "\\xzz": "\\xzz"}  # fmt: skip
    for text, wanted in texts.items():
        assert shell.run("device", f"unescape '{text}'") == wanted


def test_a_backslash_that_is_no_escape(shell: Shell) -> None:
    assert shell.run("device", r"unescape 'a\xzzz\x20b'") == r"a\xzzz b"


def test_what_is_a_name(shell: Shell) -> None:
    good = ["/dev/vda", "/dev/vg/a", "UUID=1", "LABEL=a b", "PARTUUID=1", "PARTLABEL=x", "8:1"]
    bad = ["", "/dev/", "/dev/nfs", "/dev/disk/by-id/x", "UUID=", "LABEL=", "vda", "uuid=1", "8:",
           ":1", "a:b", "nfs:x", "host:/x", "SERIAL=1", "/etc/x", "/device/x"]  # fmt: skip
    for name in (*good, *bad):
        said = shell.run("device", f"root='{name}'\nif is_name; then echo yes; fi")
        assert said == ("yes\n" if name in good else ""), name


def test_programs_of_the_root_by_its_own_links(shell: Shell) -> None:
    root = shell.top / "sysroot"
    (root / "usr/lib/systemd").mkdir(parents=True)
    (root / "usr/sbin").mkdir()
    for name, mode in {"usr/lib/systemd/systemd": 0o755, "usr/sbin/plain": 0o644}.items():
        (root / name).touch()
        (root / name).chmod(mode)
    links = {"sbin": "usr/sbin", "lib": "/usr/lib", "usr/sbin/init": "/lib/systemd/systemd",
             "usr/sbin/relative": "../lib/systemd/systemd", "usr/sbin/out": "../../../../bin/sh",
             "usr/sbin/host": f"{shell.top}/script", "loop": "/loop", "here": ".",
             "usr/sbin/far": "/here/../lib/./systemd//systemd", "dangling": "nowhere",
             "my links": "/usr/sbin"}  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    good = ["/sbin/init", "sbin/init", "/lib/systemd/systemd", "/usr/sbin/relative", "/sbin/far",
            "//sbin/../sbin/./init", "/../../sbin/init", "/my links/init"]  # fmt: skip
    bad = ["", "/", "/sbin", "/sbin/plain", "/sbin/out", "/sbin/host", "/loop", "/loop/x",
           "/dangling", "/nowhere", "/sbin/*", "/usr/lib/systemd/systemd/x"]  # fmt: skip
    for name in (*good, *bad):
        said = shell.run("root", f"if has_program '{name}'; then echo yes; fi")
        assert said == ("yes\n" if name in good else ""), name


def test_a_device_gets_its_driver(shell: Shell, drivers_sh: str) -> None:
    text = drivers_sh + (REPO / "hooks/plug.sh").read_text()
    text += 'load_module() { echo "$1"; }'
    aliases = {
        "virtio:d00000002v00001AF4": "virtio_blk", "virtio:d00000008v00000000": "virtio_scsi",
        "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00": "virtio_pci",
        "scsi:t-0x00": "sd_mod", "virtio:d0000": "", "virtio": "", "*": "", "usb:v1": "",
        "pci:v00008086d00000000sv00001AF4sd00001100bc01sc00i00": "",
    }  # fmt: skip
    for alias, module in aliases.items():
        assert shell.run("", f"{text}\nload_drivers '{alias}'").strip() == module, alias


@pytest.mark.parametrize(
    ("fstype", "module"), [("f2fs", "crc32_generic"), ("btrfs", "xxhash_generic")]
)
def test_what_a_file_system_asks_the_kernel_for(fstype: str, module: str) -> None:
    """Without it f2fs "cannot load crc32 driver" and does not mount: a root, and a dump."""
    profile = profiles.load("linux", search_path=search_path("distros", root=Root()), root=Root())
    release = releases.find(RELEASE, root=Root(), layout=profile.kernel)
    device = BlockDevice(ROOT, fstype, None)
    needs = blockdevice.needs_of(device, None)
    wishes = hardware.others(refusals.ROOT, needs, profile=profile)
    found = kmod.closure(wishes, kernel=release, root=Root(Path("/")))
    assert module in [each.name for each in found]


def test_what_is_loaded_behind_a_driver_is_not_the_driver(tmp_path: Path) -> None:
    """Without its patterns in drivers.sh nothing loads it: the root's disk never comes up."""
    modules = f"usr/lib/modules/{RELEASE}"
    (tmp_path / "etc/modprobe.d").mkdir(parents=True)
    (tmp_path / "etc/modprobe.d/x.conf").write_text("softdep virtio_blk post: crc16\n")
    names = ("drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/block/virtio_blk",
             "lib/crc16")  # fmt: skip
    for name in ("modules.builtin", "modules.order", *(f"kernel/{name}.ko" for name in names)):
        dest = tmp_path / modules / name
        dest.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path("/", modules, name), dest)
    subprocess.run(["depmod", "-b", tmp_path / "usr", RELEASE], check=True)
    profile = profiles.load("linux", search_path=search_path("distros", root=Root()), root=Root())
    release = releases.find(RELEASE, root=Root(tmp_path), layout=profile.kernel)
    wishes = [Wish(("virtio_blk",), "hardware set virtio")]
    found = ondemand.add(
        Tree(), wishes, kernel=release, profile=profile, root=Root(tmp_path), omit=()
    )
    assert [module.name for module in found.named] == ["virtio_blk"]
