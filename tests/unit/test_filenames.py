# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of a crash's files, on file systems that cannot hold every name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.distro.profilekeys import Dump
from kdump_initrd.probe.distro.profiles import Distro
from kdump_initrd.targets import filenames

from .captureimage import unpack
from .thiskernel import RELEASE

SEARCH = search_path("distros", root=Root(Path("/nonexistent")))
DOS = ("vfat", "exfat", "ntfs3", "hpfs")
#: What Windows and the kernel's drivers refuse in a name.
FORBIDDEN = re.compile(r'["*/:<>?|\\\x00-\x1f]|[ .]$')
NAMES = ("directory", "dump", "dmesg", "readme")


def profile(name: str = "debian", **names: str) -> Distro:
    """Return a profile with these names in it."""
    found = profiles.load(name, search_path=SEARCH, root=Root())
    return replace(found, dump=Dump(**{**vars(found.dump), **names}))


@pytest.mark.parametrize("name", profiles.known(SEARCH, root=Root()))
@pytest.mark.parametrize("fstype", DOS)
def test_every_profile_fits(name: str, fstype: str) -> None:
    found = filenames.fit(profile(name), fstype).dump
    for pattern in (getattr(found, field) for field in NAMES):
        assert not FORBIDDEN.search(time.strftime(pattern, time.gmtime(0)))
    assert not FORBIDDEN.search(found.capture_log)


@pytest.mark.parametrize("fstype", ["ext4", "xfs", "btrfs", "f2fs", "what-is-new"])
def test_others_hold_them_all(fstype: str) -> None:
    wanted = profile("fedora", dmesg="Ä:*?. ")
    assert filenames.fit(wanted, fstype) == wanted


@pytest.mark.parametrize(
    ("pattern", "fitted"),
    [
        ("127.0.0.1-%Y-%m-%d-%H:%M:%S", "127.0.0.1-%Y-%m-%d-%H-%M-%S"),
        ("%Y%m%d%H%M", "%Y%m%d%H%M"),
        ("%F_%T", "%F_%H-%M-%S"),
        ("%F %R", "%F %H-%M"),
        ("%EX%c", "%H-%M-%S%a %b %e %H-%M-%S %Y"),
        ("%_5T.%%:", "%H-%M-%S.%%-"),
        ('a"b*c<d>e?f|g\\h\x07i', "a-b-c-d-e-f-g-h-i"),
        ("dump.", "dump-"),
        ("dump. .", "dump---"),
        ("...", "---"),
        ("%H.", "%H-"),
        ("Abstürze", "Abst-rze"),
        ("100%", "100%"),
    ],
)
def test_what_becomes_of_a_name(pattern: str, fitted: str) -> None:
    found = filenames.fit(profile(directory=pattern), "vfat")
    assert found.dump.directory == fitted


def test_a_name_that_is_no_pattern() -> None:
    found = filenames.fit(profile(capture_log="log:%T"), "vfat")
    assert found.dump.capture_log == "log-%T"


def test_unicode_where_that_is_safe() -> None:
    assert filenames.fit(profile(directory="Abstürze:"), "exfat").dump.directory == "Abstürze-"


LONG = " (at most 231 bytes, not counting what is added to names)"
SAME = "another file of the crash has that name on"


@pytest.mark.parametrize(
    ("fstype", "names", "message"),
    [
        ("vfat", {"dump": "X", "dmesg": "x"}, f"dmesg: {SAME} vfat: x"),
        ("vfat", {"dump": "a:b", "dmesg": "a?b"}, f"dmesg: {SAME} vfat: a-b"),
        ("ext4", {"dmesg": "log", "capture_log": "log"}, f"capture_log: {SAME} ext4: log"),
        ("hfsplus", {"readme": "Report.JSON"}, f"readme: {SAME} hfsplus: Report.JSON"),
        ("ext4", {"directory": "x" * 232},
         f"directory: ext4 cannot hold such a long name: {'x' * 40}…{LONG}"),
        ("ext4", {"dump": "%A" * 29},
         f"dump: ext4 cannot hold such a long name: {'Wednesday' * 4}Wedn…{LONG}"),
    ],
)  # fmt: skip
def test_names_that_cannot_be_fitted(fstype: str, names: dict[str, str], message: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        filenames.fit(profile(**names), fstype)
    assert caught.value.message == message
    assert caught.value.hint == (
        "mkinitrd-kdump --show-distro debian shows where file names come from"
    )
    filenames.fit(profile(dump="X", dmesg="x", directory="x" * 231), "ext4")


@pytest.mark.parametrize(
    ("fstype", "folder", "what"),
    [
        ("vfat", "/a/b:c/d", "':' in a name, or at its end"),
        ("exfat", "/a./b", "'.' in a name, or at its end"),
        ("ntfs3", "/a/b?", "'?' in a name, or at its end"),
        ("ext4", f"/a/{'ä' * 128}", "such a long name"),
    ],
)
def test_folder_that_cannot_be(fstype: str, folder: str, what: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        filenames.check_folder(folder, fstype)
    assert caught.value.message == f"{folder}: {fstype} cannot hold {what}"


@pytest.mark.parametrize("fstype", ["vfat", "ext4"])
def test_folder_that_can(fstype: str) -> None:
    for folder in ("/", "/var/crash", "/Abstürze/a b", f"/{'x' * 255}"):
        filenames.check_folder(folder, fstype)


def test_an_image_for_vfat(tmp_path: Path) -> None:
    """The saver's parameters and the shell's words have the same names."""
    image = tmp_path / "x.img"
    assert (
        main(["-c", "UUID=1", "-f", "vfat", "--distro", "fedora", "-o", str(image), RELEASE]) == 0
    )
    tree = unpack(image, tmp_path / "tree")
    params = json.loads((tree / "etc/kdump-initrd/params.json").read_text())
    assert params["names"]["directory"] == "127.0.0.1-%Y-%m-%d-%H-%M-%S"
    assert (
        f"export KDUMP_DUMP_FOLDER={params['names']['directory']}\n" in (tree / "init").read_text()
    )


@pytest.mark.skipif(not shutil.which("mcopy"), reason="mtools are not here")
def test_a_real_vfat_takes_them(tmp_path: Path) -> None:
    """Mtools refuse, or ask about, what DOS cannot hold."""
    disk = tmp_path / "disk"
    subprocess.run(["mkfs.vfat", "-C", disk, "4096"], check=True, capture_output=True)
    source = tmp_path / "file"
    source.touch()
    for name in ("fedora", "debian", "sles"):
        found = filenames.fit(profile(name), "vfat").dump
        for pattern in (getattr(found, field) for field in NAMES):
            if pattern:
                copy = time.strftime(f"::{name}{pattern}", time.gmtime(0))
                subprocess.run(["mcopy", "-i", disk, source, copy], check=True, input=b"")
                listed = subprocess.run(
                    ["mdir", "-b", "-i", disk, "::"], check=True, capture_output=True, text=True
                ).stdout
                assert copy.replace("::", "::/") in listed.splitlines()
