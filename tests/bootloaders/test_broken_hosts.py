# SPDX-License-Identifier: GPL-2.0-or-later
"""``reserve`` where something is in the way: one line, nothing half done, and it can be mended."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kdump_initrd.core import exits

from .inprocess import machine, reserve, tree
from .layouts import LINE, put

NOTE = "var/lib/kdump-initrd/crashkernel"
GRUB = "etc/default/grub"


@pytest.fixture
def mounts() -> Iterator[list[Path]]:
    """What is in this list is unmounted in the end."""
    mounted: list[Path] = []
    yield mounted
    for path in reversed(mounted):
        subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("name", ["grub2-mkconfig", "grub"])
def test_a_full_disk(tmp_path: Path, mounts: list[Path], name: str) -> None:
    """Whatever room is left: it is set, or it is not; what is ours alone goes without room."""
    mounts.append(tmp_path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path], check=True)
    filler = tmp_path / "filler"
    page = os.sysconf("SC_PAGE_SIZE")
    with machine(tmp_path, name) as host:
        before = tree(host)
        statuses = set()
        for pages in range(6):
            fill(filler, less=pages * page)
            status, said = reserve(host, "--set", "160M")
            statuses.add(status)
            assert status == exits.DONE or ": No space left on device\nhint: make room in " in said
            filler.unlink()
            assert reserve(host, "--unset")[0] == exits.DONE
            assert tree(host) == before
        assert statuses == {exits.DONE, exits.ERROR}
        assert reserve(host, "--set", "160M")[0] == exits.DONE
        after = tree(host)
        fill(filler)
        status, said = reserve(host, "--unset")
        if name != "grub":
            assert (status, "No space left on device" in said) == (exits.ERROR, True)
            assert tree(host) == after
            filler.unlink()
            assert reserve(host, "--unset")[0] == exits.DONE
        filler.unlink(missing_ok=True)
        assert reserve(host, "--unset")[0] == exits.DONE
        assert tree(host) == before


def fill(filler: Path, *, less: int = 0) -> None:
    """Fill a file system, but for so many bytes."""
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 10)):
            pass
    os.truncate(filler, filler.stat().st_size - less)


def test_a_file_that_cannot_be_replaced(tmp_path: Path, mounts: list[Path]) -> None:
    """It is mounted over by itself, as container engines do it."""
    with machine(tmp_path, "grub2-mkconfig") as host:
        before, path = tree(host), host.root / GRUB
        for act in ("--set", "--unset"):
            subprocess.run(["mount", "--bind", path, path], check=True)
            mounts.append(path)
            status, said = reserve(host, act)
            assert (status, f"{path}: Device or resource busy" in said) == (exits.ERROR, True)
            subprocess.run(["umount", mounts.pop()], check=True)
            assert reserve(host, act)[0] == exits.DONE
        assert tree(host) == before


def test_attributes_of_a_file_stay_and_its_text_stays_as_secret(tmp_path: Path) -> None:
    with machine(tmp_path, "grub2-mkconfig") as host:
        path = host.root / GRUB
        path.chmod(0o640)
        os.setxattr(path, "user.of", b"somebody")
        before = tree(host)
        assert reserve(host, "--set")[0] == exits.DONE
        assert os.getxattr(path, "user.of") == b"somebody"
        assert (host.root / NOTE).stat().st_mode & 0o777 == 0o600
        assert reserve(host, "--unset")[0] == exits.DONE
        assert os.getxattr(path, "user.of") == b"somebody"
        assert tree(host) == before
        path.chmod(0o644)
        assert reserve(host, "--set")[0] == exits.DONE
        assert (host.root / NOTE).stat().st_mode & 0o777 == 0o644


def test_a_folder_that_was_made_goes_again(tmp_path: Path) -> None:
    with machine(tmp_path, "u-boot-menu") as host:
        before = tree(host)
        for size in ("160M", "200M"):
            assert reserve(host, "--set", size)[0] == exits.DONE
        assert (host.root / "etc/u-boot-menu/conf.d").is_dir()
        assert reserve(host, "--unset")[0] == exits.DONE
        assert tree(host) == before


def test_what_somebody_has_added_to_our_own_file_stays(tmp_path: Path) -> None:
    with machine(tmp_path, "grub") as host:
        assert reserve(host, "--set", "160M")[0] == exits.DONE
        (path,) = (host.root / "etc/default/grub.d").iterdir()
        path.write_text(f"A=1\n{path.read_text()}B=2 # caf\n")
        assert reserve(host, "--set", "200M")[0] == exits.DONE
        assert reserve(host, "--unset")[0] == exits.DONE
        assert path.read_text() == "A=1\nB=2 # caf\n"
        assert "nothing is there of kdump-initrd" in reserve(host, "--unset")[1]
        assert path.read_text() == "A=1\nB=2 # caf\n"


def test_a_boot_loader_that_is_gone(tmp_path: Path) -> None:
    """Files get their text back all the same; where there are none, a person has to do it."""
    with machine(tmp_path, "kernel-install") as host:
        before = (host.root / "etc/kernel/cmdline").read_bytes()
        assert reserve(host, "--set", "160M")[0] == exits.DONE
        (host.root / "usr/bin/kernel-install").unlink()
        assert reserve(host, "--unset")[0] == exits.DONE
        assert (host.root / "etc/kernel/cmdline").read_bytes() == before
        assert not (host.root / NOTE).exists()
        put(host.root, NOTE, '{"words": ["crashkernel=160M"], "before": []}')
        status, said = reserve(host, "--unset")
        assert (status, "no boot loader that is known here" in said) == (exits.ERROR, True)
        assert "crashkernel=160M: take it out of the boot loader's configuration" in said


def test_a_note_of_an_earlier_version(tmp_path: Path) -> None:
    """It has words only."""
    with machine(tmp_path, "kernel-install") as host:
        before = tree(host)
        assert reserve(host, "--set", "160M")[0] == exits.DONE
        note = host.root / NOTE
        words = json.loads(note.read_text())["words"]
        note.write_text(json.dumps({"words": words, "before": [], "created": ""}))
        assert reserve(host, "--unset")[0] == exits.DONE
        assert tree(host) == before


@pytest.mark.parametrize("up", ["/../../../..", "/srv/out", "/../../../../.."])
def test_a_note_does_not_lead_out_of_its_root(tmp_path: Path, up: str) -> None:
    out = put(tmp_path, "out/file", "mine\n")
    with machine(tmp_path, "zipl") as host:
        (host.root / "srv").mkdir()
        (host.root / "srv/out").symlink_to(out.parent)
        kept = {"before": "theirs\n", "wrote": ["mine\n"], "folders": []}
        files = {f"{up}/file": kept, f"{up}{out}": kept}
        note = {"words": ["crashkernel=1M"], "before": [], "files": files}
        put(host.root, NOTE, json.dumps(note))
        assert reserve(host, "--unset")[0] == exits.DONE
    assert out.read_text() == "mine\n"


@pytest.mark.parametrize(
    "files", ['{"a": 1}', '{"a": {"before": 1}}', "[]", '{"\\u0000": {}}', '{"": {}}', "1"]
)
def test_a_note_that_makes_no_sense_is_none(tmp_path: Path, files: str) -> None:
    with machine(tmp_path, "kernel-install") as host:
        text = f'{{"words": ["crashkernel=1M"], "before": [], "files": {files}}}'
        put(host.root, NOTE, text)
        assert reserve(host, "--unset")[0] in (exits.DONE, exits.ERROR)
        assert reserve(host, "--set", "160M")[0] == exits.DONE
        assert reserve(host, "--unset")[0] == exits.DONE
        assert (host.root / "etc/kernel/cmdline").read_text() == f"{LINE}\n"
