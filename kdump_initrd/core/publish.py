# SPDX-License-Identifier: GPL-2.0-or-later
"""Publishing a new file: it appears complete or not at all, and never replaces another one."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .errors import KdumpInitrdError

#: What link(2) says on a file system that has no hard links (vfat, some network ones).
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
#: What temporary names begin and end with: by this, sweep() knows what is left over.
_BEFORE, _BEHIND = ".kdump-initrd-", ".new"
#: What was written and removed in this process, in words, each with a test whether it is so.
_journal: list[tuple[str, Callable[[], bool]]] = []

_Result = TypeVar("_Result")


class ChangedError(KdumpInitrdError):
    """The file to be replaced is not the one that was read before."""


@dataclass(frozen=True)
class Stamp:
    """What tells a file from the one that comes after it under its name; times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


@dataclass(frozen=True)
class NewFile:
    """A file while it is written: its temporary path, and a descriptor to write to."""

    path: Path
    descriptor: int

    def write(self, content: bytes) -> None:
        """Write all of it, where write(2) may take a part only; raises OSError."""
        with open(self.descriptor, "wb", closefd=False) as file:
            file.write(content)


@contextmanager
def new_file(
    out: Path, *, force: bool, mode: int = 0o600, instead: Stamp | None = None
) -> Iterator[NewFile]:
    """Yield a file beside ``out``, which becomes ``out``, with ``mode``, when the block ends well.

    Then it is on the disk, and so is its name. When the block raises, nothing is left behind and
    ``out`` is what it was; what a killed process has left there goes when the next one writes into
    that folder. An OSError of the block or of the publishing becomes a KdumpInitrdError, and so
    does an ``out`` that exists, unless ``force``, even if it has come up in the meantime. Raises
    ChangedError where ``out`` is not ``instead`` any more, if that is given.
    """
    check(out, force=force)
    sweep(out.parent)
    try:
        new = _create(out.parent)
    except OSError as error:
        raise _no_place(out, error.strerror or str(error)) from error
    try:
        yield new
        os.fchmod(new.descriptor, mode)
        os.fsync(new.descriptor)
        _note(new, out)
        _publish(new.path, out, force, instead)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = f"make room in {out.parent}" if full else None
        raise KdumpInitrdError(f"{out}: {error.strerror or error}", hint=hint) from error
    finally:
        with suppress(FileNotFoundError):
            new.path.unlink()
        # Not before: a file that nobody has locked is swept away.
        os.close(new.descriptor)


def check(out: Path, *, force: bool) -> None:
    """Raise the KdumpInitrdError that new_file() would, for what ``out`` is now."""
    try:
        _check(out, force)
    except OSError as error:
        raise KdumpInitrdError(f"{out}: {error.strerror}") from error


def _check(out: Path, force: bool) -> None:
    if out.is_dir():
        raise KdumpInitrdError(f"{out}: is a folder", hint="give the name of a file in it")
    if not force and os.path.lexists(out):
        raise _exists(out)
    if out.exists() and not out.is_file():
        raise KdumpInitrdError(f"{out}: is not a regular file", hint="give the name of a file")
    if not out.parent.is_dir():
        there = os.path.lexists(out.parent)
        raise _no_place(out, os.strerror(errno.ENOTDIR if there else errno.ENOENT))


def stamp(path: Path) -> Stamp:
    """Return the stamp of what is at ``path`` now, links followed; raises OSError."""
    status = path.stat()
    return Stamp(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def check_same(path: Path, before: Stamp) -> None:
    """Raise ChangedError where ``path`` is not what it was."""
    with suppress(FileNotFoundError):
        if stamp(path) == before:
            return
    raise ChangedError(
        f"{path}: another program has written it in the meantime",
        hint="run it again when that is done",
    )


@contextmanager
def unchanged(path: Path) -> Iterator[Stamp]:
    """Yield the stamp of an initrd that the block reads, perhaps several times.

    Raises ChangedError if it is another one after the block, even if the block itself has raised
    an error, and KdumpInitrdError if there is none.
    """
    try:
        before = stamp(path)
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}", hint="name an initrd") from error
    try:
        yield before
    except KdumpInitrdError:
        check_same(path, before)
        raise
    check_same(path, before)


def twice(work: Callable[[], _Result]) -> _Result:
    """Do ``work``; if what it should replace has changed meanwhile, do all of it once more."""
    try:
        return work()
    except ChangedError:
        return work()


def sweep(folder: Path) -> None:
    """Remove what killed processes have left in a folder; files of those at work are locked."""
    with suppress(OSError):
        for path in folder.glob(f"{_BEFORE}*{_BEHIND}"):
            with suppress(OSError):
                _remove_left(path)


def remove(path: Path) -> None:
    """Remove a file; raises OSError."""
    path.unlink()
    _journal.append((f"{path} removed", lambda: True))


def shorten(path: Path, size: int, *, before: Stamp) -> None:
    """Leave the first ``size`` bytes of a file, which needs no room at all.

    Raises OSError, and ChangedError where it is not what it was ``before``.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        check_same(path, before)
        os.ftruncate(descriptor, size)
        _journal.append((f"{path} shortened", lambda: True))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def done(since: int = 0) -> list[str]:
    """Return what was written and removed in this process, without the first ``since`` things."""
    return [words for words, is_so in _journal[since:] if is_so()]


def things() -> int:
    """Return how many things there are, for done()."""
    return len(_journal)


def _create(folder: Path) -> NewFile:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        path = folder / f"{_BEFORE}{os.urandom(6).hex()}{_BEHIND}"
        descriptor = os.open(path, flags, 0o600)
        # Not every file system can lock.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # One that sweeps may have been quicker.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return NewFile(path, descriptor)
        os.close(descriptor)


def _remove_left(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    finally:
        os.close(descriptor)


def _note(new: NewFile, out: Path) -> None:
    # Noted before it is done: an interruption may come right afterwards.
    mine = os.fstat(new.descriptor)

    def is_there() -> bool:
        return os.path.lexists(out) and os.path.samestat(out.lstat(), mine)

    _journal.append((f"{out} written", is_there))


def _publish(new: Path, out: Path, force: bool, instead: Stamp | None) -> None:
    if force:
        if instead is not None:
            check_same(out, instead)
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
    return KdumpInitrdError(f"{out.parent}: {reason}", hint="it must be a writable folder")
