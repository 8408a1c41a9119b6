# SPDX-License-Identifier: GPL-2.0-or-later
"""zipl (s390x): the parameters of each section of /etc/zipl.conf."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.errors import KdumpInitrdError
from . import editing
from .changes import Edit
from .commandlines import Boot
from .loader import Loader

_MAP = "boot/bootmap"
_PARAMETERS = re.compile(r"\s*parameters\s*=")


class Zipl(Loader):
    """Parameters of all sections (zipl.conf(5)); zipl itself writes them where they are read.

    That is a map of blocks, which nobody else can read: it counts if it is not older than the file.
    """

    def boots(self) -> list[Boot]:
        """See Loader; raises KdumpInitrdError, too."""
        path, written = self.place(self.facts.file), self.place(_MAP)
        if not written.exists() or written.stat().st_mtime_ns < path.stat().st_mtime_ns:
            raise KdumpInitrdError(f"{path} has changed since zipl was run: {written} is older")
        return super().boots()

    def edits(self, remove: Sequence[str], add: Sequence[str]) -> list[Edit]:
        """See Loader."""
        path = self.place(self.facts.file)
        lines = editing.lines_of(editing.without(self.read(path), remove, sourced=False))
        if add:
            lines = [
                editing.with_words(line, add) if _PARAMETERS.match(line) else line for line in lines
            ]
        return [Edit.of(path, "".join(lines))]
