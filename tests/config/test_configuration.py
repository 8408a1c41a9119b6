# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - one line of output a line
"""The verbs: what --check-config prints and exits with, what --import-config writes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdump_initrd.commands import configuration
from kdump_initrd.config import native, nativetext
from kdump_initrd.config.findings import ROWS, Findings, Place, Said
from kdump_initrd.config.settings import CaptureSettings
from kdump_initrd.config.targetsettings import TargetSettings
from kdump_initrd.core.errors import KdumpInitrdError, UsageError
from kdump_initrd.core.root import Root
from kdump_initrd.recipes import dumptarget

from . import kdump_tools_file, kdump_utils_files, suse_kdump_file
from .ourfile import EVERYTHING
from .reading import read, write

FSTAB = {"etc/fstab": "UUID=1 / ext4 defaults 0 1\n"}
OURS = "[capture]\ndump-level = 17\n[image]\nadd-module = ['bnx2']\n"


def check(root: Path, distro: str = "debian") -> tuple[list[str], int]:
    """Return what is printed, with paths of the root from "/" on, and the exit status."""
    lines, status = configuration.check(root, distro)
    return [" ".join(line.replace(f"{root}/", "/").split()) for line in lines], status


def test_nothing_is_configured(tmp_path: Path) -> None:
    write(tmp_path, FSTAB)
    lines, status = check(tmp_path)
    assert status == 0
    assert lines[0] == "# there is no configuration file: all settings have their defaults"
    assert 'to = "UUID=1" # of the file system that holds /var/crash' in lines
    assert 'fstype = "ext4" # of the file system that holds /var/crash' in lines
    assert 'path = "/var/crash" # the profile debian' in lines
    assert "# dump-level = 31 # default" in lines
    assert "# compress # chosen when an image is built" in lines
    assert '# images = ["capture", "first-kernel"] # default' in lines


def test_settings_come_with_their_origin(tmp_path: Path) -> None:
    write(
        tmp_path,
        {**FSTAB, native.NAME: OURS, "etc/kdump-initrd.toml.d/x.toml": "[capture]\njobs = 1\n"},
    )
    lines, status = check(tmp_path)
    assert status == 0
    assert lines[0] == "# read: /etc/kdump-initrd.toml, /etc/kdump-initrd.toml.d/x.toml"
    assert "dump-level = 17 # /etc/kdump-initrd.toml:2" in lines
    assert 'add-module = ["bnx2"] # /etc/kdump-initrd.toml:4' in lines
    assert "jobs = 1 # /etc/kdump-initrd.toml.d/x.toml:2" in lines


def test_what_is_printed_is_such_a_file(tmp_path: Path) -> None:
    before = read(tmp_path, {**FSTAB, native.NAME: EVERYTHING})
    text = "\n".join(configuration.check(tmp_path, "debian")[0])
    assert read(tmp_path, {native.NAME: text}).values == before.values


def test_every_mistake_is_printed_with_its_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        {**FSTAB, native.NAME: "[capture]\njobs = -1\nx = 1\n[image]\nhardware = 'nvme,zip'\n"},
    )
    lines, status = check(tmp_path)
    assert status == 1
    assert lines[-3:] == [
        "error: /etc/kdump-initrd.toml:2: capture.jobs: expected a number of workers from 0 (one per processor) to 4096",
        "error: /etc/kdump-initrd.toml:3: capture.x: unknown key, expected one of device, fstype, path, python, collector, dump-format, dump-compress, dump-level, jobs, keep-free, keep, max-age, max-use, loop-crashes, loop-minutes, verify, fsck, hook, add-program, final-action, failure-action, setup-timeout, stall-timeout, timeout, floor-rate",
        "error: /etc/kdump-initrd.toml:5: hardware: zip: unknown set, expected one of host, generic, virtio, nvme, ahci, scsi, xen, hyperv, vmware, usb, mmc",
    ]  # fmt: skip
    assert "# jobs = 0 # default" in lines


def test_a_peers_warnings_and_errors_are_printed(tmp_path: Path) -> None:
    write(tmp_path, {**FSTAB, "etc/kdump.conf": "sshkey /x\nnfs a:/b\n"})
    lines, status = check(tmp_path, "fedora")
    assert status == 1
    assert lines[0] == "# read: /etc/kdump.conf"
    assert lines[-2] == ("warning: /etc/kdump.conf:1: sshkey: not used: the image has no network")
    assert lines[-1].startswith(
        "error: /etc/kdump.conf:2: nfs: nfs://a/b: a file system on the network, "
    )
    assert not [line for line in lines if line.startswith("to =")], "there is no default then"
    write(tmp_path, {"etc/kdump.conf": "sshkey /x\n"})
    assert check(tmp_path, "fedora")[1] == 0, "warnings are not errors"


def test_a_target_that_is_not_found_is_an_error(tmp_path: Path) -> None:
    lines, status = check(tmp_path)
    assert status == 1
    assert lines[-1] == (
        "error: /var/crash: no fstab says which file system it is on; set where dumps go: device and fstype in /etc/kdump-initrd.toml"
    )
    write(tmp_path, {native.NAME: "[refresh]\nimages = []\n"})
    assert check(tmp_path)[1] == 0, "nothing is to be built"
    write(tmp_path, {native.NAME: "[capture]\ndevice = '/dev/no-such-disk'\n"})
    lines, status = check(tmp_path)
    assert (status, lines[-1]) == (
        1,
        "error: /etc/kdump-initrd.toml:2: /dev/no-such-disk: no such device; lsblk lists those present",
    )


def test_the_profile_comes_from_the_root(tmp_path: Path) -> None:
    write(
        tmp_path,
        {**FSTAB, "etc/os-release": "ID=sles\n", "etc/sysconfig/kdump": "KDUMP_DUMPLEVEL=3\n"},
    )
    lines, status = configuration.check(tmp_path, None)
    assert status == 0
    assert [line for line in lines if line.startswith("dump-level = 3 ")]
    with pytest.raises(KdumpInitrdError, match="no such directory"):
        configuration.check(tmp_path / "none", None)


@pytest.mark.parametrize(
    ("distro", "files"),
    [
        ("debian", {kdump_tools_file.NAME: kdump_tools_file.SHIPPED}),
        ("sles", {suse_kdump_file.NAME: suse_kdump_file.SHIPPED}),
        ("sles", {suse_kdump_file.NAME: suse_kdump_file.EVERY}),
        ("fedora", {kdump_utils_files.CONF: kdump_utils_files.SHIPPED_CONF, kdump_utils_files.SYSCONFIG: kdump_utils_files.SHIPPED_SYSCONFIG}),
        ("rhel", {kdump_utils_files.CONF: kdump_utils_files.EVERY_CONF, kdump_utils_files.SYSCONFIG: kdump_utils_files.EVERY_SYSCONFIG}),
        ("debian", {kdump_tools_file.NAME: "USE_KDUMP=0\nKDUMP_COREDIR='/a \"b\\c\" ä'\n"}),
    ],
)  # fmt: skip
def test_import_says_the_same(tmp_path: Path, distro: str, files: dict[str, str]) -> None:
    peer = {"debian": "kdump-tools", "sles": "suse-kdump"}.get(distro, "kdump-utils")
    theirs = read(tmp_path, files, peer=peer)
    out = tmp_path / native.NAME
    told = configuration.import_config(tmp_path, distro, out, force=False)
    ours = read(tmp_path, {}, peer=peer)
    assert (ours.values, ours.source) == (theirs.values, f"/{native.NAME}")
    assert (ours.errors, ours.warnings) == ([], [])
    assert told[0].startswith(f"{out}: written; read: {tmp_path}/etc/")
    assert len(told) == 1 + len(theirs.warnings)
    assert stat.S_IMODE(out.stat().st_mode) == 0o644
    text = out.read_text()
    for origin in theirs.origins.values():
        assert f"# {tmp_path}{origin}" in text
    for warning in theirs.warnings:
        assert f"\n# {tmp_path}{warning}" in text
    assert "s3cret" not in text


def test_import_to_standard_output_and_over_a_file(tmp_path: Path) -> None:
    write(tmp_path, {kdump_tools_file.NAME: "KDUMP_COREDIR=/x\n", native.NAME: "# mine\n"})
    text = configuration.import_config(tmp_path, "debian", Path("-"), force=False)
    assert text == [
        "# kdump-initrd.toml(5), written by mkinitrd-kdump --import-config",
        f"# read: {tmp_path}/{kdump_tools_file.NAME}",
        "",
        "[capture]",
        f'path = "/x"                             # {tmp_path}/{kdump_tools_file.NAME}:1',
        "",
    ]
    out = tmp_path / native.NAME
    with pytest.raises(KdumpInitrdError, match="exists already") as caught:
        configuration.import_config(tmp_path, "debian", out, force=False)
    assert caught.value.hint == "--force replaces it"
    assert out.read_text() == "# mine\n"
    configuration.import_config(tmp_path, "debian", out, force=True)
    assert out.read_text() == "\n".join([*text, ""])


def test_import_refuses(tmp_path: Path) -> None:
    out = tmp_path / "out.toml"
    with pytest.raises(KdumpInitrdError, match="no configuration of kdump-tools") as caught:
        configuration.import_config(tmp_path, "debian", out, force=False)
    assert caught.value.hint
    with pytest.raises(KdumpInitrdError, match="no configuration of any kdump tool of Linux"):
        configuration.import_config(tmp_path, "linux", out, force=False)
    write(tmp_path, {kdump_tools_file.NAME: "NFS=a:/b\n"})
    with pytest.raises(KdumpInitrdError, match="kdump-tools:1: NFS: nfs://a/b: a file system"):
        configuration.import_config(tmp_path, "debian", out, force=False)
    write(tmp_path, {kdump_tools_file.NAME: "USE_KDUMP=2\n"})
    with pytest.raises(KdumpInitrdError, match="kdump-tools:1: USE_KDUMP: ") as caught:
        configuration.import_config(tmp_path, "debian", out, force=False)
    assert caught.value.hint == "mkinitrd-kdump --check-config lists all errors"
    with pytest.raises(UsageError, match="nothing is written into another root"):
        configuration.import_config(tmp_path, "debian", None, force=False)
    assert not out.exists()


def test_a_fresh_installation_is_resolved_as_the_verbs_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any file: the profile's folder, asked for what it lies on, and nothing else."""
    asked = []

    def resolve(settings: object, *, root: Root, profile: object) -> object:
        asked.append((settings, root))
        return CaptureSettings(targets=(TargetSettings("UUID=1", "xfs"),))

    monkeypatch.setattr(dumptarget, "resolve", resolve)
    lines, status = check(tmp_path)
    assert (status, asked) == (0, [(CaptureSettings(), Root(tmp_path))])
    assert 'fstype = "xfs" # of the file system that holds /var/crash' in lines


_PRINTABLE = st.text(min_size=1, max_size=12).filter(str.isprintable)


@given(
    path=_PRINTABLE,
    modules=st.lists(_PRINTABLE, max_size=3),
    level=st.integers(0, 31),
    action=st.sampled_from(ROWS["final_action"].choices),
    standalone=st.booleans(),
)
def test_text_is_read_as_it_was_meant(
    path: str, modules: list[str], level: int, action: str, standalone: bool
) -> None:
    said = Said("x", "", Place(Path("/x"), 1))
    findings = Findings()
    findings.take("path", path, said)
    findings.take("add_modules", modules, said)
    findings.take("dump_level", str(level), said)
    findings.take("final_action", action, said)
    findings.take("standalone", standalone, said)
    text = "\n".join(nativetext.lines(findings.values, findings.origins, defaults=False))
    again = Findings()
    native.read_text(again, Path("/y"), text.encode())
    assert (again.values, again.errors) == (findings.values, [])
