# SPDX-License-Identifier: GPL-2.0-or-later
"""Where does the saver write, and when is it safe there? Each way is a file here.

Store has all that is asked of one. Each file has a subclass of it, STORE; there is no list of them:
a target names the file. A store hands out what is written: a Text, the Lines of the kernel log, the
Part that becomes a dump. Each has a name, and a note: a line on why that is not the name that was
asked for, "" if it is.
"""

from __future__ import annotations

from ..low.failure import SaverError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..params import TargetParams


class Text:
    """A small text: whole at every moment, and safe when write() returns."""

    name = note = ""

    def write(self, text: str, *, last: bool = False) -> None:
        """Replace the text; until the last one, room is kept for the next. Raises OSError."""
        raise NotImplementedError


class Lines:
    """A kernel log, which is written as it is read."""

    name = note = ""

    def write(self, data: bytes) -> None:
        """Add to it; raises OSError."""
        raise NotImplementedError

    def end(self, data: bytes, *, whole: bool) -> None:
        """Add the last of it, and have all of it safe; whole: nothing is missing. Raises OSError.

        If it is empty, it is removed.
        """
        raise NotImplementedError


class Part:
    """A dump in the making, which is told from a whole one by its name.

    seekable  whether what is written can be written over, and read back by the path; else only a
              flattened dump can be written
    path      where another program finds the file; "" where none can
    final     what its name is once it is whole
    retain    called with the bytes of the dump and those that it may take, to make room; it tells
              whether there is more now; None if nothing may be removed
    """

    name = note = path = final = ""
    seekable = True
    retain: Callable[[int, int], bool] | None = None

    def create(self) -> int:
        """Create it, which must not exist yet, and return its descriptor; raises OSError."""
        raise NotImplementedError

    def scratch(self) -> int:
        """Return a file without a name, for temporary data; raises OSError."""
        raise NotImplementedError

    def room(self) -> int | None:
        """Return how many more bytes it may take, None for any number; raises OSError."""
        return None

    def close(self) -> None:
        """Close what create has opened."""

    def discard(self) -> None:
        """Remove it; raises OSError."""

    def commit(self) -> None:
        """Give it its final name, in one step, and make that safe; raises OSError.

        Whatever is raised, name is what it is called afterwards.
        """
        raise NotImplementedError


class Store:
    """A place for crashes, and in it that of one crash; where tells people of it, "" for none."""

    where = ""

    def is_there(self) -> bool:
        """Tell whether it can be written to at all; raises OSError."""
        return True

    def begin(self, name: str, last: str) -> str:
        """Make the place of a crash; return a note. last is a name that every store accepts.

        Raises SaverError, OSError.
        """
        raise NotImplementedError

    def resume(self, where: str) -> None:
        """Take up a place that was made before."""
        self.where = where

    def read(self, name: str) -> bytes:
        """Return a text that is there; b"" if there is none, or it cannot be read."""
        return b""

    def has(self, name: str) -> bool:
        """Tell whether something of that name is known to be there."""
        return False

    def parts(self) -> list[tuple[str, int]]:
        """Return the names and bytes of dumps that are known to be there and are not whole."""
        return []

    def text(self, name: str, last: str = "") -> Text:
        """Return a text to be written; without a name to be tried last, this is its name."""
        raise NotImplementedError

    def lines(self, name: str, last: str) -> Lines:
        """Begin a kernel log; raises OSError."""
        raise NotImplementedError

    def dump(self, name: str, last: str) -> Part:
        """Return a dump to be written."""
        raise NotImplementedError


def open_store(target: TargetParams) -> Store:
    """Return the store of a target; raises SaverError for an unknown kind."""
    try:
        module = __import__(f"{__name__}.{target.store}", fromlist=["STORE"])
        kind: Callable[[TargetParams], Store] = module.STORE
    except (ImportError, AttributeError):
        raise SaverError(f"store: there is no {target.store!r}") from None
    return kind(target)
