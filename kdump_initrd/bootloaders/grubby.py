# SPDX-License-Identifier: GPL-2.0-or-later
"""grubby (Fedora, RHEL): it knows where the arguments of each entry are, and runs zipl itself."""

from __future__ import annotations

from collections.abc import Sequence

from .bytool import ByTool


class Grubby(ByTool):
    """Arguments of all kernels, and of those that come (grubby(8), --update-kernel=ALL)."""

    def commands(self, remove: Sequence[str], add: Sequence[str]) -> list[list[str]]:
        """See Loader."""
        words = [f"--remove-args={' '.join(remove)}"] if remove else []
        words += [f"--args={' '.join(add)}"] if add else []
        return [["grubby", "--update-kernel=ALL", word] for word in words]
