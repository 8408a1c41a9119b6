# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - a case a line: tables
"""Targets in our file, and what no image can save to: each refusal, wherever it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.commands import configuration, mkinitrd
from kdump_initrd.config import effective, native
from kdump_initrd.config.capturesettings import capture_settings
from kdump_initrd.config.targetsettings import TargetSettings
from kdump_initrd.core.root import Root
from tests.aimed import aimed

from ..unit.commandline import UUID, complain
from ..unit.thiskernel import RELEASE
from .reading import read, write

NAME = native.NAME
FORMS = (
    "save to a device (a path, UUID=, LABEL=, PARTUUID=, PARTLABEL=), file:///DIR (the device "
    "that holds this folder), root (the root file system), virtiofs:TAG or 9p:TAG (a folder of the "
    "hypervisor)"
)
OTHER_TYPE = "save to a disk or partition with ext4, xfs, btrfs or vfat on it"
REACH = "which the image cannot reach"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[[target]]\n", aimed("")),
        ("[[target]]\nto = 'LABEL=a'\nfstype = 'xfs'\n", aimed("LABEL=a", "xfs")),
        ("[[target]]\npath = '/x'\ndeadline = 9\n", aimed("", path="/x", deadline=9)),
        ("[[target]]\nto = 'a'\nlayers = ['lvm', 'md']\n", aimed("a", layers=("lvm", "md"))),
        ("[[target]]\nto = 'a'\nlayers = 'md'\n", aimed("a", layers=("md",))),
        ("[[target]]\nto = 'a'\n[[target]]\nto = 'b'\n", (*aimed("a"), *aimed("b"))),
        ("[capture]\ndevice = 'a'\n[[target]]\nto = 'b'\n", (*aimed("a"), *aimed("b"))),
        ("[[target]]\nto = 'b'\n[capture]\ndevice = 'a'\n", (*aimed("a"), *aimed("b"))),
        # What is in [capture] is meant for all that do not say it themselves.
        (
            "[capture]\nfstype = 'xfs'\npath = '/x'\n[[target]]\nto = 'a'\nfstype = 'ext4'\n[[target]]\nto = 'b'\n",
            (*aimed("a", "ext4", path="/x"), *aimed("b", "xfs", path="/x")),
        ),
        ("target = [{to = 'a', deadline = '0'}]\n", aimed("a", deadline=0)),
    ],
)
def test_targets_of_our_file(tmp_path: Path, text: str, wanted: tuple[TargetSettings, ...]) -> None:
    write(tmp_path, {NAME: text})
    found = effective.read(Root(tmp_path), peer="")
    assert found.errors == ()
    assert capture_settings(found.values, {}).targets == wanted


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[target]\nto = 'a'\n", "1: target: expected [[target]]"),
        ("target = 'a'\n", "1: target: expected [[target]]"),
        ("[[target]]\ndevice = 'a'\n", "2: target.device: unknown key, did you mean capture.device?"),
        ("[[target]]\n\n[[target]]\nfstyp = 'xfs'\n", "4: target.fstyp: unknown key, did you mean target.fstype?"),
        ("[[target]]\nto = ''\n", "2: target.to: the value is empty"),
        ("[[target]]\nto = 1\n", "2: target.to: expected a string"),
        ("[[target]]\nto = ' /dev/sda1'\n", "2: target.to: it begins or ends with a blank: remove that"),
        ("[[target]]\ndeadline = -1\n", "2: target.deadline: expected whole seconds from 0 (off) to 604800 (a week)"),
        ("[[target]]\ndeadline = 'x'\n", "2: target.deadline: expected whole seconds from 0 (off) to 604800 (a week)"),
        ("[[target]]\ndeadline = 1.5\n", "2: target.deadline: expected a number"),
    ],
)  # fmt: skip
def test_mistakes_have_their_line(tmp_path: Path, text: str, error: str) -> None:
    assert read(tmp_path, {NAME: text}).errors == [f"/{NAME}:{error}"]


def test_a_password_is_not_taken_over(tmp_path: Path) -> None:
    files = {"etc/sysconfig/kdump": "KDUMP_SAVEDIR=ftp://me:s3cret@host/x\n"}
    found = read(tmp_path, files, peer="suse-kdump")
    assert found.values == {"targets": aimed("ftp://me@host/x")}
    assert "s3cret" not in repr(found)


PASSWORDS = [
    ("ssh://me:s3cret@host/x", "ssh://me@host/x"),
    ("ssh://me:s3c@s3cret@host/x", "ssh://me@host/x"),
    ("ssh://me:s3c/s3cret@host/x", "ssh://me@host/x"),
    ("ssh://:s3cret@host", "ssh://@host"),
    # No password: a port, an address, a folder.
    ("nfs://host:2049/a@b", "nfs://host:2049/a@b"),
    ("nfs://host:/a:b@c", "nfs://host:/a:b@c"),
    ("nfs://[fe80::1]:2049/a@b", "nfs://[fe80::1]:2049/a@b"),
    ("ssh://me@host:22/a:b@c", "ssh://me@host:22/a:b@c"),
    ("file:///a:b@c", "file:///a:b@c"),
    ("LABEL=a:b@c", "LABEL=a:b@c"),
    # A scheme in capitals is the same one.
    ("SSH://me:S3CRET@Host/X", "ssh://me@Host/X"),
]


@pytest.mark.parametrize(("said", "wanted"), PASSWORDS)
def test_our_file_has_no_password_either(tmp_path: Path, said: str, wanted: str) -> None:
    found = read(tmp_path, {NAME: f"[[target]]\nto = '{said}'\n"})
    assert found.values == {"targets": aimed(wanted)}
    found = read(tmp_path, {NAME: f"[capture]\ndevice = '{said}'\n"})
    assert found.values == {"targets": aimed(wanted)}


@pytest.mark.parametrize("flag", ["-c", "--target"])
def test_no_message_has_the_password_of_the_command_line(
    flag: str, capfd: pytest.CaptureFixture[str]
) -> None:
    _, error, _ = complain(capfd, flag, "ssh://me:s3cret@host/x", RELEASE)
    assert error == f"ssh://me@host/x: another machine, {REACH}"
    # This might be a port and a folder, too.
    _, error, _ = complain(capfd, flag, "ssh://me:12/34@host/x", RELEASE)
    assert error == f"ssh://me:***@host/x: another machine, {REACH}"


@pytest.mark.parametrize("flag", ["-c", "--target", "-f", "--deadline", "-o", "--root", "--tarket"])
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_no_message_has_a_password_in_the_wrong_place(
    flag: str, debug: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    url = "ssh://me@corp:12345/678@910@host/x"
    assert mkinitrd.main([*debug, "-c", UUID, f"{flag}={url}", RELEASE]) != 0
    out, err = capfd.readouterr()
    assert "me@corp:***@host" in err
    for part in ("12345", "678", "910"):
        assert part not in out + err


def check(root: Path, distro: str = "debian") -> list[str]:
    """Return the lines of --check-config, with paths of the root from "/" on."""
    lines, _ = configuration.check(root, distro)
    return [" ".join(line.replace(f"{root}/", "/").split()) for line in lines]


def test_what_is_in_effect_is_printed_as_a_target(tmp_path: Path) -> None:
    text = "[[target]]\nto = 'UUID=1'\nfstype = 'xfs'\ndeadline = 9\n[capture]\npath = '/x'\n"
    write(tmp_path, {NAME: text})
    lines = check(tmp_path)
    at = lines.index("[[target]]")
    assert lines[at : at + 5] == [
        "[[target]]",
        f'to = "UUID=1" # /{NAME}:1',
        f'fstype = "xfs" # /{NAME}:1',
        f"deadline = 9 # /{NAME}:1",
        "",
    ]
    assert f'path = "/x" # /{NAME}:6' in lines


def test_a_folder_is_named_by_a_url(tmp_path: Path) -> None:
    write(tmp_path, {NAME: "[[target]]\nto = 'file:///srv/my%20dumps'\n"})
    write(tmp_path, {"etc/fstab": "UUID=1 / ext4 defaults\nUUID=2 /srv xfs defaults\n"})
    lines = check(tmp_path)
    assert 'to = "UUID=2" # /etc/kdump-initrd.toml:1' in lines
    write(tmp_path, {NAME: "[[target]]\nto = 'file://srv'\n"})
    assert check(tmp_path)[-1] == (
        f"error: /{NAME}:1: file://srv: not the URL of a folder of this machine; "
        "write it as file:///var/crash, and leave the path out"
    )
    write(tmp_path, {NAME: "[[target]]\nto = 'file:///srv/dumps'\npath = '/x'\n"})
    assert check(tmp_path)[-1] == (
        f"error: /{NAME}:1: file:///srv/dumps: the path /x is a second folder for it; "
        "give the folder once: leave the path out"
    )


def test_one_that_is_named_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {NAME: "[[target]]\nto = 'UUID=1'\n[[target]]\nto = 'UUID=1'\n"})
    hint = "name it once, where it is to be tried"
    assert check(tmp_path)[-1] == (
        f"error: /{NAME}:3: UUID=1: this dump target is named twice; {hint}"
    )
    out = str(tmp_path / "x.img")
    argv = ["-c", UUID, "-f", "ext4", "--target", UUID, "-f", "ext4", "-o", out, RELEASE]
    assert complain(capsys, *argv) == (1, f"{UUID}: this dump target is named twice", hint)


#: What is said, and why no image can save to it; and the hint.
REFUSED = [
    ("nfs://host/x", "", f"a file system on the network, {REACH}", FORMS),
    ("cifs://host/x", "", f"a file system on the network, {REACH}", FORMS),
    ("ssh://kdump@host/srv", "", f"another machine, {REACH}", FORMS),
    ("ssh://", "", f"another machine, {REACH}", FORMS),
    ("ftp://host/x", "", f"an FTP server, {REACH}", FORMS),
    ("gopher://host/x", "", "not a kind of target that the image can save to", FORMS),
    ("C:/dumps", "", "not a kind of target that the image can save to", FORMS),
    (UUID, "nfs", f"nfs: a file system on the network, {REACH}", OTHER_TYPE),
    (UUID, "virtiofs", f"virtiofs: a folder of the hypervisor, {REACH}", OTHER_TYPE),
    (UUID, "zfs", "ZFS, which the image cannot import", ""),
    (UUID, "crypto_LUKS", "crypto_LUKS: what an encrypted volume (LUKS) holds, no file system", "name what it is when it is open: /dev/mapper/NAME"),
    (UUID, "LVM2_member", "LVM2_member: what a part of an LVM volume group holds, no file system", "name the logical volume with the file system: /dev/GROUP/VOLUME"),
    (UUID, "linux_raid_member", "linux_raid_member: what a part of an MD RAID array holds, no file system", "name the array with the file system: /dev/md/NAME"),
    (UUID, "bcache", "bcache, which the image cannot assemble", ""),
    ("iscsi:1.2.3.4::::iqn.x", "", f"iSCSI, {REACH}", FORMS),
    ("nvme-tcp://host/x", "", f"NVMe over a network (TCP, RDMA, FC), {REACH}", FORMS),
    (UUID, "squashfs", "squashfs: a file system that is read-only", OTHER_TYPE),
    (UUID, "overlay", "overlay: a layer over other file systems, which is not on a device of its own", OTHER_TYPE),
    (UUID, "newfs", "newfs: not a file system that the image can mount", OTHER_TYPE),
]  # fmt: skip


@pytest.mark.parametrize(("to", "fstype", "why", "hint"), REFUSED)
def test_a_refused_target_that_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    to: str,
    fstype: str,
    why: str,
    hint: str,
) -> None:
    argv = ["--target", to, *(["-f", fstype] if fstype else []), "--hardware", "virtio"]
    out = tmp_path / "x.img"
    status, error, advice = complain(capsys, *argv, "-o", str(out), RELEASE)
    assert (status, error) == (1, f"{to}: {why}")
    assert advice == hint or advice.startswith("save to a partition or disk of its own, without")
    assert not out.exists()


@pytest.mark.parametrize(("to", "fstype", "why", "hint"), REFUSED)
def test_a_refused_target_that_is_configured(
    tmp_path: Path, to: str, fstype: str, why: str, hint: str
) -> None:
    more = f"fstype = '{fstype}'\n" if fstype else ""
    write(tmp_path, {NAME: f"[[target]]\nto = '{to}'\n{more}"})
    last = check(tmp_path)[-1]
    assert last.startswith(f"error: /{NAME}:1: {to}: {why}; {hint or 'save to a '}")


@pytest.mark.parametrize(
    ("distro", "name", "text", "error"),
    [
        ("rhel", "etc/kdump.conf", "nfs host:/x\n",
         f"nfs: nfs://host/x: a file system on the network, {REACH}"),
        ("rhel", "etc/kdump.conf", "net me@host\n", f"net: ssh://me@host: another machine, {REACH}"),
        ("rhel", "etc/kdump.conf", "ssh me:1/2@host\n",
         f"ssh: ssh://me:***@host: another machine, {REACH}"),
        ("rhel", "etc/kdump.conf", "raw /dev/sda5\n", "raw: /dev/sda5: a partition without a file "
         "system, which the image cannot save to"),
        ("rhel", "etc/kdump.conf", "virtiofs -a\n",
         "virtiofs: 'virtiofs:-a': not the tag of a folder of the hypervisor"),
        ("rhel", "etc/kdump.conf", "ext4 UUID=1\ndracut_args --mount 'UUID=1 /x xfs'\n",
         "dracut_args: UUID=1: this dump target is named twice"),
        ("rhel", "etc/kdump.conf", "dracut_args --mount ssh://me:1/2@host\n",
         "dracut_args: --mount ssh://me:***@host: expected a device, a folder and a type"),
        ("sles", "etc/sysconfig/kdump", "KDUMP_SAVEDIR=CIFS://me:1/2@host/x\n",
         f"KDUMP_SAVEDIR: cifs://me:***@host/x: a file system on the network, {REACH}"),
        ("debian", "etc/default/kdump-tools", "SSH=me@host\n",
         f"SSH: ssh://me@host: another machine, {REACH}"),
        ("debian", "etc/default/kdump-tools", "FTP=host:/x\n",
         f"FTP: ftp://host/x: an FTP server, {REACH}"),
    ],
)  # fmt: skip
def test_a_refused_target_of_a_peer(
    tmp_path: Path, distro: str, name: str, text: str, error: str
) -> None:
    write(tmp_path, {name: text})
    line = len(text.splitlines())
    found = [each for each in check(tmp_path, distro) if each.startswith("error: ")]
    assert found[0].startswith(f"error: /{name}:{line}: {error}")
