# SPDX-License-Identifier: GPL-2.0-or-later
"""rpm-ostree: the arguments of the next deployment's kernel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.run import run
from .bytool import ByTool
from .commandlines import Boot

_ARGUMENTS = ("rpm-ostree", "kargs")
#: Its service has to be started first, perhaps.
_PATIENCE = 60.0


class RpmOstree(ByTool):
    """Kernel arguments (rpm-ostree(1), kargs); all in one deployment.

    Its entry is written when the system shuts down; until then rpm-ostree alone knows it.
    """

    def boots(self) -> list[Boot]:
        """See Loader; raises KdumpInitrdError, too."""
        if not self.root.is_host:
            return super().boots()
        said = run(_ARGUMENTS, timeout=_PATIENCE).stdout.decode(errors="replace")
        return [Boot(Path(" ".join(_ARGUMENTS)), said.strip())]

    def commands(self, remove: Sequence[str], add: Sequence[str]) -> list[list[str]]:
        """See Loader."""
        words = [f"--delete-if-present={word}" for word in remove]
        words += [f"--append-if-missing={word}" for word in add]
        return [[*_ARGUMENTS, *words]]
