# SPDX-License-Identifier: GPL-2.0-or-later
"""A new file appears under its name whole, or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import KdumpInitrdError

#: What link(2) says on a file system that has no hard links (vfat, some network ones).
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class NewFile:
    """A file while it is written: its temporary path, and a descriptor to write to."""

    path: Path
    descriptor: int


@contextmanager
def new_file(out: Path, *, force: bool, mode: int = 0o600) -> Iterator[NewFile]:
    """Yield a file beside ``out``, which becomes ``out``, with ``mode``, when the block ends well.

    Then it is on the disk, and so is its name. When the block raises, nothing is left behind and
    ``out`` is what it was. An OSError of the block or of the publishing becomes a
    KdumpInitrdError, and so does an ``out`` that exists, unless ``force``, even if it has come
    up in the meantime.
    """
    check(out, force=force)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{out.name}.new-", dir=out.parent)
    except OSError as error:
        raise _no_place(out, error.strerror or str(error)) from error
    new = NewFile(Path(name), descriptor)
    try:
        yield new
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        _publish(new.path, out, force)
    except OSError as error:
        raise KdumpInitrdError(f"{out}: {error.strerror or error}") from error
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            new.path.unlink()


def check(out: Path, *, force: bool) -> None:
    """Raise the KdumpInitrdError that new_file() would, for what ``out`` is now."""
    if out.is_dir():
        raise KdumpInitrdError(f"{out}: is a folder", hint="give the name of a file in it")
    if not force and os.path.lexists(out):
        raise _exists(out)
    if out.exists() and not out.is_file():
        raise KdumpInitrdError(f"{out}: is no regular file", hint="give the name of a file")
    if not out.parent.is_dir():
        raise _no_place(out, os.strerror(errno.ENOENT))


def _publish(new: Path, out: Path, force: bool) -> None:
    if force:
        new.replace(out)
    else:
        try:
            os.link(new, out)
        except FileExistsError:
            raise _exists(out) from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _claim(out)
            new.replace(out)
    folder = os.open(out.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _claim(out: Path) -> None:
    # Only one can create it, and only its creator replaces it.
    try:
        os.close(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise _exists(out) from None


def _exists(out: Path) -> KdumpInitrdError:
    return KdumpInitrdError(f"{out}: exists already", hint="--force replaces it")


def _no_place(out: Path, reason: str) -> KdumpInitrdError:
    return KdumpInitrdError(
        f"{out.parent}: {reason}", hint="give -o a file in a folder that can be written"
    )
