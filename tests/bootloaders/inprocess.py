# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine of any boot loader whose tools run in this process: quick enough for many of them."""

from __future__ import annotations

import io
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kdump_initrd.bootloaders import loader, rpmostree
from kdump_initrd.commands.admin import main
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root

from . import standins
from .layouts import Host

#: What a tool makes of what people write.
_MADE = ("boot/grub/", "boot/grub2/", "boot/extlinux/", "boot/bootmap", "kargs.json")
_ENTRIES = ("efi/loader/entries/x-", "boot/efi/loader/entries/x-")


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
