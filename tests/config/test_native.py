# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - one mistake a line: a table
"""Our own file and its drop-ins: every key, every mistake with its line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kdump_initrd.config import effective, native, nativetext
from kdump_initrd.config.findings import ROWS
from kdump_initrd.config.settings import CAPTURE, COMMON, FIRST_KERNEL, HOST
from kdump_initrd.core.root import Root
from tests.aimed import aimed

from .ourfile import EVERYTHING
from .reading import read, write

NAME = native.NAME
VALUES = {
    "targets": aimed("UUID=4e1b"),
    "fstype": "ext4",
    "path": "/crash",
    "python": "/usr/bin/python3.11",
    "collector": "makedumpfile",
    "dump_format": "elf",
    "dump_compress": "none",
    "dump_level": 17,
    "jobs": 2,
    "keep_free": 10,
    "keep": 3,
    "max_age": 30,
    "max_use": 4096,
    "loop_crashes": 2,
    "loop_minutes": 30,
    "verify": "full",
    "fsck": True,
    "hooks": ("pre-save:/usr/local/bin/pre", "success:/usr/local/bin/mail it"),
    "programs": ("/usr/bin/strace",),
    "final_action": "poweroff",
    "failure_action": "halt",
    "setup_timeout": 60,
    "stall_timeout": 0,
    "timeout": 3600,
    "floor_rate": 1,
    "capture_kernel": "6.1.0-plain",
    "append_cmdline": "console=ttyS0 quiet",
    "remove_cmdline": "hugepages libata.*",
    "inherit_cmdline": "loglevel=7",
    "standalone": True,
    "root_device": "/dev/vda1",
    "hardware": ("virtio", "nvme"),
    "add_modules": ("bnx2", "tg3"),
    "omit_modules": ("nouveau",),
    "tools": "root",
    "compress": "xz",
    "images": ("capture",),
    "kernels": ("6.1", "6.12"),
    "crashkernel": "64M 192M,cma",
    "shrink": True,
    "automatic": True,
}


def test_every_key(tmp_path: Path) -> None:
    found = read(tmp_path, {NAME: EVERYTHING})
    assert found.values == VALUES
    assert (found.warnings, found.errors) == ([], [])
    assert (found.files, found.source) == ([f"/{NAME}"], f"/{NAME}")
    lines = EVERYTHING.splitlines()
    for name, origin in found.origins.items():
        key = "device" if name == "targets" else native.key_of(ROWS[name])
        assert lines[int(origin.removeprefix(f"/{NAME}:")) - 1].startswith(f"{key} = ")


def test_the_keys_are_what_a_command_line_does_not_decide() -> None:
    """A row that is added to the table must be put into a section, or here."""
    said = {"output", "root", "distro", "force", "dry_run"}
    said |= {"capture_initrd", "base", "in_place"}
    said |= {"device", "target", "deadline", "layers"}  # they are in "targets"
    rows = {row.name for row in (*CAPTURE, *FIRST_KERNEL, *COMMON, *HOST)}
    assert set(VALUES) == (rows - said) | {"targets"}


def test_values_of_some_rows(tmp_path: Path) -> None:
    write(tmp_path, {NAME: '[capture]\nfinal-action = "halt"\n[refresh]\nkernels = "newest"\n'})
    found = effective.read(Root(tmp_path), peer="")
    assert found.settings(CAPTURE) == {"final_action": "halt"}
    assert found.settings(HOST) == {"kernels": ("newest",)}
    assert found.settings(FIRST_KERNEL) == {}


def test_one_string_is_a_list_with_commas(tmp_path: Path) -> None:
    text = '[image]\nhardware = "virtio,nvme"\n[refresh]\nimages = "capture,first-kernel"\n'
    assert read(tmp_path, {NAME: text}).values == {
        "hardware": ("virtio", "nvme"),
        "images": ("capture", "first-kernel"),
    }


def test_no_images_are_a_choice(tmp_path: Path) -> None:
    assert read(tmp_path, {NAME: "[refresh]\nimages = []\n"}).values == {"images": ()}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[capture]\ndump-levle = 1\n", "2: capture.dump-levle: unknown key, did you mean capture.dump-level?"),
        ("[capture]\nadd-module = 'x'\n", "2: capture.add-module: unknown key, did you mean image.add-module?"),
        ("[image]\nzzz = 1\n", "2: image.zzz: unknown key, expected one of hardware, add-module, omit-module, tools, compress"),
        ("[captur]\n", "1: captur: unknown key, did you mean capture?"),
        ("\ndevice = '/dev/sda'\n", "2: device: unknown key, did you mean capture.device?"),
        ("capture = 1\n", "1: capture: expected [capture]"),
        ("[[capture]]\n", "1: capture: expected [capture]"),
        ("[capture]\ndump-level = 32\n", "2: capture.dump-level: expected a level from 0 to 31"),
        ("[capture]\ndump-level = -1\n", "2: capture.dump-level: expected a level from 0 to 31"),
        ("[capture]\ndump-level = 1.5\n", "2: capture.dump-level: expected a number"),
        ("[capture]\ndump-level = true\n", "2: capture.dump-level: expected a number"),
        (f"[capture]\njobs = {'9' * 400}\n", "2: capture.jobs: expected a number"),
        ("[capture]\njobs = '²'\n", "2: capture.jobs: expected a number of workers from 0 (one per processor) to 4096"),
        ("[capture]\npath = 1\n", "2: capture.path: expected a string"),
        ("[capture]\npath = ['/x']\n", "2: capture.path: expected a string"),
        ("[capture]\npath = ''\n", "2: capture.path: the value is empty"),
        ('[capture]\npath = "/a\\nb"\n', "2: capture.path: expected one line of printable characters"),
        ("[capture]\nverify = 'never'\n", "2: capture.verify: use none, sample, full"),
        ("[capture]\nfinal-action = 'shell'\n", "2: capture.final-action: use reboot, poweroff, halt"),
        ("[capture]\nsetup-timeout = 2024-01-01\n", "2: capture.setup-timeout: expected a number"),
        ("[capture.device]\nx = 1\n", "1: capture.device: expected a string"),
        ("[first-kernel]\nstandalone = 'yes'\n", "2: first-kernel.standalone: expected true or false"),
        ("[image]\nadd-module = [1]\n", "2: image.add-module: expected a string or a list of strings"),
        ("[image]\nhardware = ['host', 'nvme']\n", "2: image.hardware: host and generic cannot be combined with others"),
        ("[image]\nhardware = []\n", "2: image.hardware: expected host, generic or a list of sets without spaces"),
        ("[refresh]\nimages = ['capture', 'rescue']\n", "2: refresh.images: expected capture, first-kernel, both or none of them"),
        ("[refresh]\nkernels = ['all', '6.1']\n", "2: refresh.kernels: all, newest and running cannot be combined with others"),
        ("[refresh]\nkernels = '../6.1'\n", "2: refresh.kernels: expected all, newest, running or a list of kernel releases"),
    ],
)  # fmt: skip
def test_mistakes_have_their_line(tmp_path: Path, text: str, error: str) -> None:
    found = read(tmp_path, {NAME: text})
    assert found.errors == [f"/{NAME}:{error}"]
    assert found.values == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[capture]\njobs = 1\njobs = 2\n", 3),
        ("[capture]\njobs = \n", 2),
        ('[capture]\npath = """x\n', 2),
        ("\r\n\r\n[capture\r\n", 3),
    ],
)
def test_what_is_no_toml(tmp_path: Path, text: str, line: int) -> None:
    (error,) = read(tmp_path, {NAME: text}).errors
    assert error.startswith(f"/{NAME}:{line}: not TOML: ")
    assert "(at " not in error


@pytest.mark.parametrize(
    ("content", "line"), [(b"[capture]\n\npath = '\xe9'\n", 3), (b"\xff", 1), (b"# \xe9\n", 1)]
)
def test_other_encodings_are_refused(tmp_path: Path, content: bytes, line: int) -> None:
    assert read(tmp_path, {NAME: content}).errors == [f"/{NAME}:{line}: not UTF-8"]


def test_deep_nesting_and_long_numbers_are_errors(tmp_path: Path) -> None:
    """The parser does not tell the line of either."""
    for text in (f"[capture]\npath = {'[' * 9999}", f"[capture]\njobs = {'9' * 9999}\n"):
        found = read(tmp_path, {NAME: text})
        assert len(found.errors) == 1
        # Before Python 3.9.14 a number is as long as one likes.
        limited = hasattr(sys, "set_int_max_str_digits") or "[" * 9 in text
        kind = ": not TOML: " if limited else ":2: capture.jobs: expected a number"
        assert found.errors[0].startswith(f"/{NAME}{kind}")


def test_all_mistakes_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, {NAME: "[capture]\njobs = -1\nx = 1\nverify = 'full'\n[y]\n"})
    assert len(found.errors) == 3
    assert found.values == {"verify": "full"}


def test_a_folder_and_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir(parents=True)
    assert read(tmp_path, {}).errors == [f"/{NAME}: Is a directory"]
    (tmp_path / NAME).rmdir()
    found = read(tmp_path, {NAME: "", "etc/kdump.conf": "path /x\n"}, peer="kdump-utils")
    assert (found.values, found.source) == ({}, f"/{NAME}"), "an empty file is a configuration"


def test_drop_ins_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = native.DROP_INS
    found = read(
        tmp_path,
        {
            NAME: "[capture]\ndump-level = 1\njobs = 1\nverify = 'full'\n[image]\nadd-module = ['a']\n",
            f"{folder}/20.toml": "[capture]\ndump-level = 3\n",
            f"{folder}/10.toml": "[capture]\ndump-level = 2\njobs = 2\n[image]\nadd-module = 'b'\n",
            f"{folder}/30.toml~": "[capture]\ndump-level = 4\n",
            f"{folder}/notes.txt": "no TOML",
        },
    )
    assert found.values == {
        "dump_level": 3, "jobs": 2, "verify": "full", "add_modules": ("b",)
    }  # fmt: skip
    assert found.origins["dump_level"] == f"/{folder}/20.toml:2"
    assert found.origins["jobs"] == f"/{folder}/10.toml:3"
    assert found.files == [f"/{NAME}", f"/{folder}/10.toml", f"/{folder}/20.toml"]


def test_drop_ins_come_on_top_of_a_peers_file_and_alone(tmp_path: Path) -> None:
    drop_in = f"{native.DROP_INS}/x.toml"
    found = read(tmp_path, {drop_in: "[capture]\njobs = 1\n"})
    assert (found.values, found.source) == ({"jobs": 1}, f"/{native.DROP_INS}")
    found = read(tmp_path, {"etc/kdump.conf": "path /x\n"}, peer="kdump-utils")
    assert found.values == {"path": "/x", "jobs": 1}
    assert found.source == "kdump-utils"


def test_a_device_undoes_an_earlier_file_system(tmp_path: Path) -> None:
    write(tmp_path, {NAME: "[capture]\ndevice = '/dev/sda1'\nfstype = 'ext4'\n"})
    drop_in = f"{native.DROP_INS}/x.toml"
    found = read(tmp_path, {drop_in: "[capture]\ndevice = '/dev/sdb1'\n"})
    assert found.values == {"targets": aimed("/dev/sdb1")}
    found = read(tmp_path, {drop_in: "[capture]\ndevice = '/dev/sdb1'\nfstype = 'xfs'\n"})
    assert found.values == {"targets": aimed("/dev/sdb1"), "fstype": "xfs"}


def test_links_stay_in_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, {"srv/kdump.toml": "[capture]\njobs = 3\n"})
    (root / "etc").mkdir()
    (root / NAME).symlink_to("/srv/kdump.toml")
    assert read(root, {}).values == {"jobs": 3}
    (root / NAME).unlink()
    (root / NAME).symlink_to("/nowhere")
    assert read(root, {"etc/kdump.conf": "path /x"}, peer="kdump-utils").values == {"path": "/x"}


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *, limit: int) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    write(tmp_path, {NAME: ""})
    monkeypatch.setattr("kdump_initrd.core.files.read", refuse)
    found = read(tmp_path, {}, peer="")
    assert (found.errors, found.files) == ([f"/{NAME}: Permission denied"], [f"/{NAME}"])


def test_a_comment_is_apart_from_a_value_of_any_length() -> None:
    values = {"python": f"/{'x' * 60}", "path": "/var/crash"}
    origins = dict.fromkeys(values, "somewhere")
    lines = [line for line in nativetext.lines(values, origins, defaults=True) if "#" in line]
    assert len(lines) > 10
    assert all(line.startswith("# ") or " # " in line for line in lines)
    assert f'{values["python"]}" # somewhere' in lines[1]
