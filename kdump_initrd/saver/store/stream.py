# SPDX-License-Identifier: GPL-2.0-or-later
"""A pipe, which takes one thing: a flattened dump or a kernel log. It is never a target."""

from __future__ import annotations

import os

from . import Lines, Part, Store
from .diskfile import write_all


class Stream(Store):
    """See Store: all goes to a descriptor that is open already, and stays so."""

    def __init__(self, fd: int, name: str) -> None:
        """Name is what people call it."""
        self._fd = fd
        self._name = name

    def lines(self, name: str, last: str) -> Lines:
        """See Store."""
        return StreamLines(self._fd)

    def dump(self, name: str, last: str) -> Part:
        """See Store."""
        return _StreamPart(self._fd, self._name)


class StreamLines(Lines):
    """See Lines. When nobody listens any more, as in ``| head``, the rest goes nowhere."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes) -> None:
        """See Lines."""
        try:
            write_all(self._fd, data)
        except BrokenPipeError:
            self._fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def end(self, data: bytes, *, whole: bool) -> None:
        """See Lines."""
        self.write(data)


class _StreamPart(Part):
    seekable = False

    def __init__(self, fd: int, name: str) -> None:
        self.name = self.final = name
        self._fd = fd

    def create(self) -> int:
        return self._fd

    def scratch(self) -> int:
        return os.memfd_create("pages", os.MFD_CLOEXEC)

    def commit(self) -> None:
        pass
