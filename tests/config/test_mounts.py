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

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.core.run import Result
from kdump_initrd.probe.host import mounts
from kdump_initrd.probe.host.mounts import Mount

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
from kdump_initrd.probe.host import mounts
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
        # Its own line, whether it is mounted at boot or later.
        ("/var/spool/x", "/dev/sdc1", "ext4", "/x"),
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
    found = mounts.in_fstab(path, root=Root(tmp_path))
    assert found is not None
    assert (found.mount.source, found.mount.fstype) == (source, fstype)
    assert str(found.folder) == folder


def test_target_of_a_bind_mount(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text(FSTAB)
    found = mounts.in_fstab("/var/crash/a", root=Root(tmp_path))
    assert found is not None
    assert (str(found.target), str(found.mount.target)) == ("/var/crash", "/srv")


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "/dev/sda1 /boot ext4 defaults\n", "/a / none bind\n/b /a none bind\n"],
)
def test_fstab_that_does_not_tell(tmp_path: Path, text: str) -> None:
    assert mounts.in_fstab("/var/crash", root=Root(tmp_path)) is None
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text(text)
    assert mounts.in_fstab("/var/crash", root=Root(tmp_path)) is None


def test_fstab_of_any_size(tmp_path: Path) -> None:
    """What is larger than a table can be is named; findmnt is not asked to read it."""
    table = tmp_path / "etc/fstab"
    table.parent.mkdir()
    with table.open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(KdumpInitrdError) as caught:
        mounts.in_fstab("/var/crash", root=Root(tmp_path))
    assert caught.value.message == f"{table}: is larger than 4 MB"


def test_folder_on_a_mount() -> None:
    mount = Mount("/dev/sda1", PurePosixPath("/var"), "ext4", ())
    assert mount.folder(PurePosixPath("/var/crash")) == PurePosixPath("/crash")
    assert mount.folder(PurePosixPath("/var")) == PurePosixPath("/")


def table_of(*fields: tuple[str, str, str]) -> Result:
    """What findmnt prints of a device for (target, what of it is there, its own options)."""
    table = [
        {"source": "/dev/x", "target": target, "fstype": "x", "options": f"rw,{own},x-systemd.y",
         "fsroot": top, "fs-options": own}
        for target, top, own in fields
    ]  # fmt: skip
    return Result(0, json.dumps({"filesystems": table}).encode(), "")


ROOT = ("/", "/", "rw")


@pytest.mark.parametrize(
    ("mounts_here", "path", "wanted"),
    [
        ([], "/var/crash", "/var/crash"),
        ([ROOT], "/var/crash", "/var/crash"),
        ([("/var", "/", "rw")], "/var/crash", "/crash"),
        ([("/var/crash", "/", "rw")], "/var/crash", "/"),
        ([("/srv", "/", "rw")], "/var/crash", "/var/crash"),
        ([("/var/crash", "/exports/crash", "rw")], "/var/crash/x", "/exports/crash/x"),
        ([ROOT, ("/var/crash", "/exports", "rw")], "/var/crash/x", "/exports/x"),
        ([("/my disk", "/", "rw")], "/my disk/d", "/d"),
        ([ROOT], "var//crash/../dumps", "/var/dumps"),
        ([("/var", "/", "rw")], "/variable", "/variable"),
    ],
)
def test_folder_is_the_same_as_on_the_host(
    monkeypatch: pytest.MonkeyPatch,
    mounts_here: list[tuple[str, str, str]],
    path: str,
    wanted: str,
) -> None:
    asked: list[str | Path] = []

    def findmnt(argv: Sequence[str | Path], **_: object) -> Result:
        asked[:] = argv
        return table_of(*mounts_here) if mounts_here else Result(1, b"", "")

    monkeypatch.setattr(mounts, "run", findmnt)
    assert mounts.folder_on(Path("/dev/x"), "ext4", path) == (wanted, "")
    assert asked[-2:] == ["--source", Path("/dev/x")]


def test_folder_that_is_a_link_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "crash").symlink_to(tmp_path / "srv")
    monkeypatch.setattr(mounts, "run", lambda *_, **__: table_of((str(tmp_path), "/", "rw")))
    found = mounts.folder_on(Path("/dev/x"), "ext4", str(tmp_path / "crash"))
    assert found == ("/srv", "")


OSTREE = "/root/ostree/deploy/fedora/var"


@pytest.mark.parametrize(
    ("mounts_here", "wanted"),
    [
        # A subvolume for /, and one for /var.
        ([("/", "/@", "rw,subvolid=256,subvol=/@"),
          ("/var", "/@var", "rw,subvolid=257,subvol=/@var")],
         ("/crash", "subvol=/@var")),
        # One for /, and those below it are not mounted by themselves.
        ([("/", "/@", "rw,subvolid=256,subvol=/@")], ("/var/crash", "subvol=/@")),
        # A bind mount of a folder.
        ([("/", "/@", "rw,subvolid=256,subvol=/@"),
          ("/var/crash", "/@/srv/dumps", "rw,subvolid=256,subvol=/@")],
         ("/srv/dumps", "subvol=/@")),
        # ostree: /var is a bind mount of a folder deep in the only subvolume.
        ([("/var", OSTREE, "rw,subvolid=256,subvol=/root")],
         ("/ostree/deploy/fedora/var/crash", "subvol=/root")),
        # A bind mount of a subvolume below another: the kernel names the inner one.
        ([("/var", "/@/nested/var", "rw,subvolid=300,subvol=/@/nested")],
         ("/var/crash", "subvol=/@/nested")),
        # The top of all, whatever the default subvolume is.
        ([("/", "/", "rw,subvolid=5,subvol=/")], ("/var/crash", "subvolid=5")),
        # A snapshot that snapper made the default one.
        ([("/", "/@/.snapshots/1/snapshot", "rw,subvolid=267,subvol=/@/.snapshots/1/snapshot")],
         ("/var/crash", "subvol=/@/.snapshots/1/snapshot")),
        # mount(8) takes a comma for the end of an option.
        ([("/var", "/a,b", "rw,subvolid=258,subvol=/a,b")], ("/crash", "subvolid=258")),
        # Kernels before 4.2 do not tell.
        ([("/var", "/@var", "rw")], ("/crash", "subvol=/@var")),
    ],
)  # fmt: skip
def test_folder_on_btrfs(
    monkeypatch: pytest.MonkeyPatch,
    mounts_here: list[tuple[str, str, str]],
    wanted: tuple[str, str],
) -> None:
    monkeypatch.setattr(mounts, "run", lambda *_, **__: table_of(*mounts_here))
    assert mounts.folder_on(Path("/dev/x"), "btrfs", "/var/crash") == wanted


def test_type_that_is_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "run", lambda *_, **__: rows(("/dev/x", "/", "ext4")))
    assert mounts.type_on(Path("/dev/x")) == "ext4"
    monkeypatch.setattr(mounts, "run", lambda *_, **__: Result(1, b"", ""))
    assert mounts.type_on(Path("/dev/x")) == ""
