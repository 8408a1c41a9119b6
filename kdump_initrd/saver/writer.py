# SPDX-License-Identifier: GPL-2.0-or-later
"""What the formats of dumps have in common: a writer of one file, and a sink in each worker."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .board import Board
    from .output import Output
    from .selection import Selection


class Sink:
    """Takes the pages of ranges in one worker, in ascending order within a range."""

    def start(self, number: int) -> None:
        """Begin a range; what is left of another one is forgotten."""
        raise NotImplementedError

    def seek(self, pfn: int) -> None:
        """Go on at a page frame of the range."""

    def data(self, address: int, count: int) -> None:
        """Take count pages at a memory address; raises SpaceError."""
        raise NotImplementedError

    def lost(self, count: int) -> None:
        """Take count pages that cannot be read."""
        raise NotImplementedError

    def flush(self) -> None:
        """End the range: all of it is in the file."""


class DumpWriter:
    """One dump file. The methods raise SpaceError when it cannot grow.

    bitmap is the place of the selection's bitmap: an open file, and an offset in it.
    """

    output: Output
    bitmap: tuple[int, int]

    def fixed_size(self, selection: Selection) -> int:
        """Return the bytes that a dump takes of the file system without its pages' contents.

        Holes take nothing, files that are there while it is written do.
        """
        raise NotImplementedError

    def begin(self, selection: Selection, level: int) -> int:
        """Write what precedes the pages' contents; return fixed_size.

        level is the dump level that the selection was made by.
        """
        raise NotImplementedError

    def sink(self, board: Board, slot: int) -> Sink:
        """Return the sink of one worker."""
        raise NotImplementedError

    def finish(self, board: Board, *, complete: bool) -> int:
        """Write the final mark, and all to the disk; return the file's bytes.

        A file that is not complete has the format's mark for that. Raises OSError, too.
        """
        raise NotImplementedError
