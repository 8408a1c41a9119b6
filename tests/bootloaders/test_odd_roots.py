# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever lies in the place of a file: an answer, or one line of an error."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from kdump_initrd.commands.admin import main
from kdump_initrd.core import exits
from tests.roots.oddities import KINDS, odd

from .layouts import LAYOUTS, Host, put

NOTE = "var/lib/kdump-initrd/crashkernel"
#: What is read of each layout, if it is there.
READ = (
    *("etc/default/grub", "etc/default/grub.d/zz-kdump-initrd.cfg", "boot/grub/grub.cfg"),
    *("boot/grub2/grub.cfg", "boot/grub2/grubenv", "etc/kernel/cmdline", "usr/lib/kernel/cmdline"),
    *("etc/zipl.conf", "boot/bootmap", "etc/machine-id", "proc/iomem", "proc/meminfo"),
    *("proc/cmdline", NOTE),
)
ENTRIES = ("boot/loader/entries", "efi/loader/entries", "boot/efi/loader/entries")


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("each", [False, pytest.param(True, marks=pytest.mark.full)])
def test_whatever_lies_there(
    tmp_path: Path, name: str, kind: str, each: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """All files at once, or each by itself."""
    (tmp_path / "file").write_text("not to be read")
    host = Host(tmp_path)
    host.make(name)
    put(host.root, NOTE, '{"words": ["crashkernel=1M"], "before": [], "created": ""}')
    paths = [host.root / file for file in READ if (host.root / file).exists()]
    paths += [path for folder in ENTRIES for path in (host.root / folder).glob("*.conf")]
    for wrong in [[path] for path in paths] if each else [paths]:
        with ExitStack() as stack:
            for path in wrong:
                stack.enter_context(odd(path, kind, tmp_path))
            for words in ("", "--check", "--set", "--unset", "--set 2M --force"):
                status = main(["reserve", *words.split(), "--root", str(host.root)])
                said = capsys.readouterr()
                assert status in (exits.DONE, exits.ERROR, exits.NO), said
                assert "not to be read" not in said.out + said.err
                assert "Traceback" not in said.err
    assert (tmp_path / "file").read_text() == "not to be read"
