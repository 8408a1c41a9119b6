# SPDX-License-Identifier: GPL-2.0-or-later
"""--collector makedumpfile: what the image gets, and what is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.config.settings import CaptureSettings
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles
from kdump_initrd.recipes.parts import makedumpfile
from kdump_initrd.saver.params import Params

from .captureimage import build, unpack
from .codeclibraries import ALL, DEFLATE, LZO, SHIPPED, choose
from .commandline import CAPTURE, complain
from .elfwriter import write_elf
from .thiskernel import RELEASE

WANTED = CaptureSettings(collector="makedumpfile")
DEBIAN = profiles.load("debian", search_path=SHIPPED, root=Root())


@pytest.mark.parametrize("tools", ["auto", "root"])
def test_image_has_it_with_its_libraries(tmp_path: Path, tools: str) -> None:
    words = ("--collector", "makedumpfile", "--tools", tools)
    tree = unpack(build(tmp_path / "x.img", *words), tmp_path / "tree")
    params = Params.from_json((tree / "etc/kdump-initrd/params.json").read_text())
    assert params.dump.collector == "/usr/sbin/makedumpfile"
    assert os.access(tree / "usr/sbin/makedumpfile", os.X_OK)
    done = subprocess.run(
        ["chroot", tree, params.dump.collector, "--help"],
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"LZO support:" in done.stdout + done.stderr


def test_others_do_not_have_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "x.img", "--collector", "saver", "--dry-run")
    assert "makedumpfile" not in capsys.readouterr().out


def test_not_flat(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--collector", "makedumpfile", "--dump-format", "flat")
    status, error, hint = complain(capsys, *CAPTURE, *words, RELEASE)
    assert (status, error) == (2, "--collector makedumpfile: not with --dump-format flat")
    assert "--collector saver" in hint


def test_found_in_the_root(tmp_path: Path) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        makedumpfile.find(WANTED, root=Root(tmp_path), profile=DEBIAN)
    assert caught.value.message == f"--collector makedumpfile: not found in {tmp_path}"
    assert caught.value.hint == "install makedumpfile there, or use --collector saver"
    program = write_elf(tmp_path / "usr/bin/makedumpfile")
    assert makedumpfile.find(WANTED, root=Root(tmp_path), profile=DEBIAN) == program
    assert makedumpfile.find(CaptureSettings(), root=Root(tmp_path), profile=DEBIAN) is None


def test_codecs_that_it_was_built_with(tmp_path: Path) -> None:
    plain = write_elf(tmp_path / "plain/makedumpfile", ("libz.so.1", "libc.so.6"))
    rich = write_elf(tmp_path / "rich/makedumpfile", ("libz.so.1", "liblzo2.so.2"))
    static = write_elf(tmp_path / "static/makedumpfile")
    assert choose(tmp_path, "auto", *ALL, makedumpfile=plain) == ("zlib", DEFLATE)
    for program in (rich, static, None):
        assert choose(tmp_path, "auto", *ALL, makedumpfile=program) == ("lzo", LZO)
    assert choose(tmp_path, "none", makedumpfile=plain) == ("none", "")
    with pytest.raises(KdumpInitrdError) as caught:
        choose(tmp_path, "snappy", *ALL, makedumpfile=rich)
    assert caught.value.message == f"--dump-compress snappy: {rich} was built without that"
    assert caught.value.hint == "use --dump-compress zlib"
