# SPDX-License-Identifier: GPL-2.0-or-later
"""What every kind of target answers: the recipes ask nothing else of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.settings import TargetSettings
    from ..probe.host.hostfacts import HostFacts


class Target(ABC):
    """A place that dumps go to, found and checked."""

    @classmethod
    @abstractmethod
    def settle(
        cls, said: TargetSettings, *, folder: str, root: Path, host: HostFacts
    ) -> TargetSettings:
        """Return ``said``, and what it leaves open as it is on this host, or in ``root``.

        ``folder`` is that for dumps where ``said`` has none. Raises KdumpInitrdError where it
        cannot be told, or cannot be saved to.
        """

    @classmethod
    @abstractmethod
    def find(cls, said: TargetSettings, *, folder: str, root: Path, host: HostFacts) -> Target:
        """Return the target of settled settings; raises KdumpInitrdError if it cannot be one."""
