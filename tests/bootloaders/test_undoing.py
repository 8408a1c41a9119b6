# SPDX-License-Identifier: GPL-2.0-or-later
"""``reserve --set`` and then ``--unset``: every byte is what it was, whatever the files are."""

from __future__ import annotations

import io
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kdump_initrd.bootloaders import loader, rpmostree
from kdump_initrd.commands.admin import main
from kdump_initrd.core import exits
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root

from . import standins
from .layouts import LAYOUTS, Host
from .originals import FILES

every = pytest.mark.parametrize("name", LAYOUTS)
#: What a tool makes of what people write.
_MADE = ("boot/grub/", "boot/grub2/", "boot/extlinux/", "boot/bootmap", "kargs.json")
_ENTRIES = ("efi/loader/entries/x-", "boot/efi/loader/entries/x-")
#: What fails is small as it is.
quickly = settings(max_examples=10, phases=[Phase.explicit, Phase.reuse, Phase.generate])
SIZES = ("160M", "200M", "1G-:256M", "64M 192M,cma")


@contextmanager
def machine(top: Path, name: str) -> Iterator[Host]:
    """Yield a root that counts as the running system; the stand-ins run in this process."""
    with TemporaryDirectory(dir=top) as folder, pytest.MonkeyPatch.context() as patch:
        host = Host(Path(folder))
        host.make(name)
        (host.root / "var/lib").mkdir(parents=True)

        def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[bytes]:
            said = io.StringIO()
            try:
                with redirect_stdout(said):
                    standins.TOOLS[command[0]](host.root, [*command[1:]])
            except subprocess.CalledProcessError as error:
                raise KdumpInitrdError(f"{command[0]}: {error.stderr.decode()}") from error
            return subprocess.CompletedProcess(command, 0, said.getvalue().encode(), b"")

        patch.setattr(Root, "is_host", property(lambda self: True))
        for module in (loader, rpmostree):
            patch.setattr(module, "run", run)
        yield host


def reserve(host: Host, *words: str) -> tuple[int, str]:
    """Run ``kdump-initrd reserve``; return its exit status, and what it has said."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = main(["reserve", "--root", f"{host.root}", *words])
    return status, said.getvalue()


def tree(host: Host) -> dict[str, tuple[int, int, int, bytes]]:
    """Return all that is in a root but what tools make of it: mode, owner, group and content."""
    found = {}
    for path in host.root.rglob("*"):
        name, status = f"{path.relative_to(host.root)}", path.lstat()
        content = b""
        if stat.S_ISLNK(status.st_mode):
            content = str(path.readlink()).encode()
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        if not name.startswith((*_MADE, *_ENTRIES)):
            found[name] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


def originals(host: Host, name: str, data: st.DataObject) -> None:
    """Put files of any sort in the place of those of the root, some of them behind a link."""
    for file, kinds in FILES[name].items():
        path, content = host.root / file, data.draw(kinds, file)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            continue
        if data.draw(st.booleans(), "link"):
            path.symlink_to(f"{'../' * file.count('/')}srv/{path.name}")
            path = host.root / "srv" / path.name
            path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(data.draw(st.sampled_from([0o644, 0o600, 0o664]), "mode"))
        if os.geteuid() == 0:
            os.chown(path, data.draw(st.sampled_from([0, 7])), 8)


@every
@quickly
@given(data=st.data())
def test_what_was_set_is_undone_byte_for_byte(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    """Once or twice, with sizes of all sorts, and even if it could not be set."""
    with machine(tmp_path, name) as host:
        originals(host, name, data)
        before = tree(host)
        for size in data.draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=3), "sizes"):
            status, said = reserve(host, "--set", *size.split())
            if status == exits.DONE:
                after = tree(host)
                assert reserve(host, "--set", *size.split())[0] == exits.DONE
                assert tree(host) == after
            else:
                assert "error: " in said
        status, said = reserve(host, "--unset")
        assert status == exits.DONE, said
        assert tree(host) == before
