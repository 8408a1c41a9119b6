# SPDX-License-Identifier: GPL-2.0-or-later
"""The bytes of an initrd in its file: it may be larger than memory, and is read in pieces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ...core import files
from ...core.errors import KdumpInitrdError

#: Bytes of one piece.
_CHUNK = 1 << 18
_ZEROS = bytes(_CHUNK)
#: No initrd is larger, in bytes: the kernel would have to hold it in memory twice.
_LARGEST = 8 << 30


class Bytes(Protocol):
    """What bytes are to whoever reads them in pieces: a length, and slices without a step."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: slice, /) -> bytes: ...


class _Same:
    # Two of these are equal if they have the same bytes, wherever these are.
    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, key: slice, /) -> bytes:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (bytes, _Same)):
            return NotImplemented
        same = (one == another for one, another in zip(pieces(self), pieces(other)))
        return len(self) == len(other) and all(same)


class Stored(_Same):
    """The bytes of a file that stays open: the same ones, even if its name gets another file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    def __del__(self) -> None:
        os.close(self._descriptor)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: slice, /) -> bytes:
        start, end, _ = key.indices(self._size)
        found = os.pread(self._descriptor, max(0, end - start), start)
        while start + len(found) < end:  # a read may end early, as at 2 GiB
            more = os.pread(self._descriptor, end - start - len(found), start + len(found))
            if not more:
                break
            found += more
        return found


class Part(_Same):
    """A part of other bytes, and zero bytes behind it."""

    def __init__(self, whole: Bytes, start: int, end: int, *, padding: int = 0) -> None:
        self._whole = whole
        self._start = start
        self._end = end
        self._size = end - start + padding

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: slice, /) -> bytes:
        start, end, _ = key.indices(self._size)
        found = self._whole[self._start + start : min(self._start + end, self._end)]
        return found.ljust(end - start, b"\0")


def open_stored(path: Path) -> Stored:
    """Return the bytes of the file at ``path``, which must be free of links.

    Raises KdumpInitrdError where it cannot be read, or is too large.
    """
    try:
        with files.open_file(path) as file:
            stored = Stored(os.dup(file.fileno()))
    except OSError as error:
        raise KdumpInitrdError(f"{path}: {error.strerror}", hint="name an initrd") from error
    if len(stored) > _LARGEST:
        raise KdumpInitrdError(f"{path}: is larger than {_LARGEST >> 30} GB", hint="name an initrd")
    return stored


def zeros_before(piece: bytes) -> int:
    """Return how many zero bytes a piece begins with; quick if there is nothing else in it."""
    if piece == _ZEROS[: len(piece)]:
        return len(piece)
    return len(piece) - len(piece.lstrip(b"\0"))


def pieces(data: Bytes) -> Iterator[bytes]:
    """Yield the bytes, piece by piece."""
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]
