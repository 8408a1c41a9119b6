# SPDX-License-Identifier: GPL-2.0-or-later
"""What the formats of dumps have in common: a writer of one file, and a sink in each worker."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..low.board import Board
    from ..low.selection import Selection
    from ..store.medium import Output
    from ..store.steps import Piece


class Work:
    """What one worker does with ranges of pages."""

    def copy(self, number: int) -> None:
        """Do a range."""
        raise NotImplementedError

    def end(self) -> None:
        """Do what is left when there are no more ranges, or something has gone wrong."""


class Sink:
    """Takes the pages of ranges in one worker, in ascending order within a range.

    Pages count as good when the disk has them.
    """

    def start(self, number: int) -> None:
        """Begin a range; what is held of another one is forgotten."""
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
        raise NotImplementedError

    def doubtful(self, *, last: bool) -> list[Piece]:
        """Return what may not have reached the disk: of everything, or of a step that is due."""
        raise NotImplementedError

    def repeat(self, piece: Piece) -> None:
        """Let the pages that follow, until flush, be those of the piece again. They stay where they
        are if the disk has them, else they go elsewhere or are lost. SpaceError: the disk is dead.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close what the sink has opened."""


class DumpWriter:
    """One dump file. The methods raise SpaceError when it cannot grow.

    bitmap is the place of the selection's bitmap: an open file, and an offset in it. solid is the
    end of what cannot be elsewhere in the file: headers, and what tells where the rest is.
    """

    output: Output
    bitmap: tuple[int, int]
    solid = 0

    def fixed_size(self, selection: Selection) -> int:
        """Return the bytes that a dump takes of the file system without its pages' contents.

        Holes do not count, but files that exist while it is written do.
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
        """Write the final mark; return the file's bytes. Nothing is waited for.

        A file that is not complete has the format's mark for that. Raises OSError, too.
        """
        raise NotImplementedError

    def harmed(self, bad: list[tuple[int, int]]) -> int:
        """Return how many pages are lost with parts (offset, bytes) of what is solid; -1 for all.

        They are counted in any case, even if they were lost already.
        """
        return -1 if bad else 0
