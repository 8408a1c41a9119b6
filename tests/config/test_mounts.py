# SPDX-License-Identifier: GPL-2.0-or-later
"""What a folder lies on: findmnt's table of the host, real mounts, and other roots' fstab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.probe import mounts
from kdump_initrd.probe.mounts import Mount
from kdump_initrd.run import Result

REPO = Path(__file__).parents[2]


def rows(*fields: tuple[str, str, str]) -> Result:
    """What findmnt prints for (source, target, type)."""
    table = [
        {"source": source, "target": target, "fstype": fstype, "options": "rw", "maj:min": "8:1"}
        for source, target, fstype in fields
    ]
    return Result(0, json.dumps({"filesystems": table}).encode(), "")


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (rows(("/dev/sda1", "/", "ext4")), "/dev/sda1"),
        (rows(("/dev/mapper/vg-crash", "/var/crash", "xfs")), "/dev/mapper/vg-crash"),
        (rows(("a", "/x", "tmpfs"), ("/dev/sdb1", "/x", "ext4")), "/dev/sdb1"),
        (rows(("systemd-1", "/x", "autofs"), ("/dev/sdb1", "/x", "ext4")), "/dev/sdb1"),
        (rows(("rootfs", "/", "rootfs"), ("/dev/root", "/", "ext4")), "/dev/root"),
        (rows(("systemd-1", "/x", "autofs")), None),
        (Result(1, b"", ""), None),
    ],
)
def test_the_last_file_system_on_a_place_counts(
    monkeypatch: pytest.MonkeyPatch, answer: Result, wanted: str | None
) -> None:
    monkeypatch.setattr(mounts, "run", lambda *_, **__: answer)
    found = mounts.mounted("/var/crash")
    assert (found.source if found else None) == wanted


def test_links_and_folders_that_are_not_there_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def findmnt(argv: Sequence[str | Path], **_: object) -> Result:
        asked.append(os.fspath(argv[-1]))
        return rows(("/dev/sda1", "/", "ext4"))

    monkeypatch.setattr(mounts, "run", findmnt)
    (tmp_path / "srv/crash").mkdir(parents=True)
    (tmp_path / "crash").symlink_to("srv/crash")
    (tmp_path / "later").symlink_to("srv/there/is/none")
    for name in ("srv/crash", "crash", "crash/a/b", "later", "no/such/folder"):
        mounts.mounted(f"{tmp_path}/{name}")
    wanted = ("srv/crash", "srv/crash", "srv/crash", "srv", "")
    assert asked == [str(tmp_path / name) for name in wanted]


#: What is mounted in a namespace of its own, where that may be done.
_SCENE = """
import sys
from pathlib import Path
from kdump_initrd.probe import mounts
for name in sys.argv[1:]:
    found = mounts.mounted(name)
    print(found.source, found.target, found.fstype)
"""


def test_real_mounts(tmp_path: Path) -> None:
    """A mount over another, a bind mount, and a folder below each."""
    unshare = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a mount namespace of its own is refused here")
    script = f"""
        set -e; cd {tmp_path}; mkdir a bound over
        mount --make-rprivate /
        mount -t tmpfs first a; mount -t tmpfs second a; mkdir a/x
        mount -t tmpfs third over; mkdir over/y; mount --bind over/y bound
        {sys.executable} -c '{_SCENE}' a/x a/x/no bound/z .
    """
    done = subprocess.run(
        [*unshare, "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(REPO)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *lines, last = done.stdout.splitlines()
    assert lines == [
        f"second {tmp_path}/a tmpfs", f"second {tmp_path}/a tmpfs", f"third {tmp_path}/bound tmpfs"
    ]  # fmt: skip
    assert last.split()[2] != "tmpfs"
    assert str(tmp_path).startswith(last.split()[1])


FSTAB = """\
# <file system> <mount point> <type> <options> <dump> <pass>
UUID=root / ext4 errors=remount-ro 0 1

LABEL=var\\040disk /var xfs defaults 0 2
/dev/sdb1\t/srv\text4\tdefaults
/srv/dumps /var/crash none bind 0 0
/dev/sdc1 /var/spool ext4 noauto 0 0
/dev/sdd1 /var/auto ext4 noauto,x-systemd.automount
PARTUUID=5 /media/my\\040disk vfat defaults
/dev/sde1 none swap sw 0 0
tmpfs /tmp tmpfs size=1G
/dev/sdf1 /twice ext4 defaults
/dev/sdg1 /twice xfs defaults
what is this
"""


@pytest.mark.parametrize(
    ("path", "source", "fstype", "folder"),
    [
        ("/home/x", "UUID=root", "ext4", "/home/x"),
        ("/var", "LABEL=var disk", "xfs", "/"),
        ("/var/log/crash", "LABEL=var disk", "xfs", "/log/crash"),
        ("/variable", "UUID=root", "ext4", "/variable"),
        ("/srv", "/dev/sdb1", "ext4", "/"),
        ("/var/crash", "/dev/sdb1", "ext4", "/dumps"),
        ("/var/crash/a", "/dev/sdb1", "ext4", "/dumps/a"),
        ("/var/spool/x", "LABEL=var disk", "xfs", "/spool/x"),
        ("/var/auto/x", "/dev/sdd1", "ext4", "/x"),
        ("/media/my disk/x", "PARTUUID=5", "vfat", "/x"),
        ("/twice/x", "/dev/sdg1", "xfs", "/x"),
        ("/link", "/dev/sdb1", "ext4", "/linked"),
        ("/link/../../x", "UUID=root", "ext4", "/x"),
        ("/tmp/x", "tmpfs", "tmpfs", "/x"),
    ],
)
def test_fstab_of_another_root(
    tmp_path: Path, path: str, source: str, fstype: str, folder: str
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text(FSTAB)
    (tmp_path / "link").symlink_to("/srv/linked")
    found = mounts.in_fstab(path, root=tmp_path)
    assert found is not None
    assert (found[0].source, found[0].fstype, str(found[1])) == (source, fstype, folder)


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "/dev/sda1 /boot ext4 defaults\n", "/a / none bind\n/b /a none bind\n"],
)
def test_fstab_that_does_not_tell(tmp_path: Path, text: str) -> None:
    assert mounts.in_fstab("/var/crash", root=tmp_path) is None
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text(text)
    assert mounts.in_fstab("/var/crash", root=tmp_path) is None


def test_folder_on_a_mount() -> None:
    mount = Mount("/dev/sda1", PurePosixPath("/var"), "ext4", ())
    assert mount.folder(PurePosixPath("/var/crash")) == PurePosixPath("/crash")
    assert mount.folder(PurePosixPath("/var")) == PurePosixPath("/")
