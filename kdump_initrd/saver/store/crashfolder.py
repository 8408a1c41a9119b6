# SPDX-License-Identifier: GPL-2.0-or-later
"""The crash's folder on the dump file system, and file names that this file system accepts."""

from __future__ import annotations

import errno
import os
import time

from ..low.failure import SaverError, describe
from .diskfile import create, sync_folder
from .naming import candidates, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Folders NAME-2, NAME-3, … that are tried, and then folders with a number that nobody can have
#: foreseen: a folder that anyone may write to can be full of planted names.
_COUNTED, _UNFORESEEN = 1000, 100
#: What no other name would help against.
_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def make_folder(output: str, name: str, *, last: str, mount: str = "") -> tuple[str, str]:
    """Make a new folder in output; return its plain path, and a line on what is not as intended.

    It has the first of the candidates' names that the file system takes; one that is there already
    gets -2, -3, … behind it. output itself is made if need be. With a mount point, which output is
    below, nothing leads out of it, and its top is used if output cannot be. Raises OSError,
    SaverError.
    """
    if not mount:
        os.makedirs(output, 0o755, exist_ok=True)
        return _make_in(os.path.realpath(output), name, last)
    from .beneath import Place, is_mounted

    if not is_mounted(mount):
        raise SaverError(f"{mount}: no file system is mounted there")
    try:
        place = Place(mount, output[len(mount) :])
        try:
            _refuse_lines(place.path)
            return _make_in(place.path, name, last)
        finally:
            place.close()
    except (OSError, SaverError) as error:
        if isinstance(error, OSError) and error.errno in _HOPELESS:
            raise
        path, note = _make_in(mount.rstrip("/") or "/", name, last)
        said = describe(error)
        where = "" if output in said else f"{output}: "
        return path, _join(f"{where}{said}: the top of the file system is used", note)


def _refuse_lines(path: str) -> None:
    # The shell reads the path as a line.
    if "\n" in path:
        raise SaverError(f"{path!r}: not a path of a dump folder")


def _make_in(folder: str, name: str, last: str) -> tuple[str, str]:
    failed: OSError | UnicodeError | None = None
    for each in candidates(name, last):
        try:
            path = _make_numbered(folder, each)
        except (OSError, UnicodeError) as error:
            if isinstance(error, OSError) and error.errno in _HOPELESS:
                raise
            failed = failed or error
            continue
        sync_folder(folder)
        return path, refusal(name, each, failed) if failed else ""
    assert failed is not None
    raise failed


def _make_numbered(folder: str, name: str) -> str:
    for suffix in _suffixes():
        path = os.path.join(folder, name + suffix)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        return path
    code = errno.EEXIST
    raise OSError(code, "too many folders of that name", os.path.join(folder, name))


def _suffixes() -> Iterator[str]:
    yield ""
    for number in range(2, _COUNTED + 1):
        yield f"-{number}"
    for _ in range(_UNFORESEEN):
        yield f"-{time.monotonic_ns()}"


def fit_name(folder: str, name: str, *, last: str, suffixes: tuple[str, ...]) -> tuple[str, str]:
    """Return the name that a new file of a folder can have, and a line if it is not the given one.

    A name is tried out with the longest of the suffixes ("" is none); nothing is left of a trial,
    and no trial has a final name.
    Candidates are those of make_folder. Raises nothing: if all fail, the given name is returned.
    """
    failed: OSError | UnicodeError | None = None
    for each in candidates(name, last):
        try:
            _try_names(folder, each, suffixes)
        except (OSError, UnicodeError) as error:
            if isinstance(error, OSError) and error.errno in _HOPELESS:
                return name, ""  # whoever writes to it will say so
            failed = failed or error
            continue
        return each, refusal(name, each, failed) if failed else ""
    return name, ""


def _try_names(folder: str, name: str, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        path = os.path.join(folder, name + suffix)
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    path = os.path.join(folder, name + max(suffixes, key=len))
    os.close(create(path))
    os.unlink(path)


def _join(*lines: str) -> str:
    return "; ".join([line for line in lines if line])
