# SPDX-License-Identifier: GPL-2.0-or-later
"""The root file system of this machine, by the word ``root``: a block device like any other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from .block import Block

if TYPE_CHECKING:
    from ..config.targetsettings import TargetSettings
    from ..core.root import Root
    from ..probe.host.hostfacts import HostFacts

#: The word for it.
ROOT = "root"


class RootFileSystem(Block):
    """Whatever holds /, also where another file system holds the folder for dumps.

    Once that is known, it is a Block.
    """

    schemes: ClassVar[tuple[str, ...]] = (ROOT,)
    forms: ClassVar[tuple[str, ...]] = (f"{ROOT} (the root file system)",)

    @classmethod
    def settle(
        cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts
    ) -> TargetSettings:
        """See Target."""
        top = replace(said, to="", path="/")
        found = super().settle(top, folder=folder, root=root, host=host)
        path = said.path or folder
        # With mount options, what holds / is known by its place on the device.
        above = found.path if found.mount_options is not None and found.path else "/"
        return replace(found, path=f"{above.rstrip('/')}/{path.lstrip('/')}")
