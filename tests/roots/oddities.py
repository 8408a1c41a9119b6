# SPDX-License-Identifier: GPL-2.0-or-later
"""What may lie in a root in the place of a file, or of a folder on the way to it."""

from __future__ import annotations

import os
import random
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

#: An endless file has no end that anybody reaches; a hole takes no room.
_ENDLESS = 1 << 40


def _socket(path: Path, _before: bytes, _host: Path) -> None:
    # A name of a socket has 107 bytes at most.
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{here}/{path.name}"[:107])
    os.close(here)


def _device(path: Path, before: bytes, host: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:  # not root
        _endless_link(path, before, host)


def _endless_link(path: Path, _before: bytes, _host: Path) -> None:
    path.symlink_to("/dev/zero")


def _link_out(path: Path, before: bytes, host: Path) -> None:
    outside = host / "file"
    path.symlink_to(outside)


def _relative_link_out(path: Path, _before: bytes, host: Path) -> None:
    up = "../" * len(path.parts)
    path.symlink_to(f"{up}{str(host).lstrip('/')}/file")


def _endless(path: Path, _before: bytes, _host: Path) -> None:
    with path.open("wb") as file:
        file.truncate(_ENDLESS)


def _huge(path: Path, before: bytes, _host: Path) -> None:
    with path.open("wb") as file:
        file.write(before)
        file.truncate(3 << 30)


def _garbage(path: Path, before: bytes, _host: Path) -> None:
    path.write_bytes(random.Random(len(before)).randbytes(5000))


def _half(path: Path, before: bytes, _host: Path) -> None:
    path.write_bytes(before[: len(before) // 2])


def _damaged(path: Path, before: bytes, _host: Path) -> None:
    data = bytearray(before)
    rng = random.Random(len(before))
    for _ in range(max(1, len(data) // 100)) if data else ():
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data)


def _brackets(path: Path, _before: bytes, _host: Path) -> None:
    path.write_bytes(b"[" * 200_000)


def _long_line(path: Path, _before: bytes, _host: Path) -> None:
    path.write_bytes(b"a=" + b"1" * 3_000_000)


#: The oddities by their names: each makes one at a path, out of the bytes that were there and the
#: folder of the host's that is not to be touched.
KINDS: Mapping[str, Callable[[Path, bytes, Path], None]] = {
    "fifo": lambda path, before, host: os.mkfifo(path),
    "socket": _socket,
    "device": _device,
    "folder": lambda path, before, host: path.mkdir(),
    "link to a device": _endless_link,
    "link out": _link_out,
    "relative link out": _relative_link_out,
    "loop of links": lambda path, before, host: path.symlink_to(path.name),
    "endless": _endless,
    "huge": _huge,
    "empty": lambda path, before, host: path.touch(),
    "half": _half,
    "damaged": _damaged,
    "garbage": _garbage,
    "brackets": _brackets,
    "one long line": _long_line,
    "gone": lambda path, before, host: None,
}
#: What a folder on the way to a file is replaced by.
FOLDERS = ("link out", "relative link out", "fifo", "loop of links", "gone")


@contextmanager
def odd(path: Path, kind: str, host: Path) -> Iterator[None]:
    """Have something odd at ``path``, a file or a folder, while the block runs.

    ``host`` is the folder that is not in the root: it has "file", and what a folder's link finds.
    """
    aside = path.with_name(f"{path.name}.aside")
    before = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    path.rename(aside)
    try:
        if aside.is_dir() and not aside.is_symlink() and "link out" in kind:
            up = "../" * len(path.parts) + str(host).lstrip("/")
            path.symlink_to(host / "folder" if kind == "link out" else f"{up}/folder")
        else:
            KINDS[kind](path, before, host)
        yield
    finally:
        with suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        aside.rename(path)
