# SPDX-License-Identifier: GPL-2.0-or-later
"""What every kind of target answers: the recipes ask nothing else of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ..config.targetsettings import TargetSettings
    from ..core.root import Root
    from ..probe.distro.profiles import Distro
    from ..probe.host.hostfacts import HostFacts
    from ..probe.host.sysfs import Hardware
    from ..saver.params import TargetParams


@dataclass(frozen=True)
class Needs:
    """What an image must have for a target, beside its steps and what those say that they need.

    ``name`` is that of the target, for people. ``node`` is the block device of this host that it
    is on, None where there is none here, and ``hardware`` is what that sits on, None where nobody
    knows. ``filesystem`` is the type that the image mounts, "" for none. ``modules`` are kernel
    modules that are loaded in any case, by what they are for. ``programs`` are the root's own,
    never busybox's applets; ``files`` are files of the root by their places in the image.
    ``layers`` are those below the device that the image has to assemble.
    """

    name: str
    node: Path | None = None
    hardware: Hardware | None = None
    filesystem: str = ""
    modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """What the image runs for a target: the hook ``name`` of a stage.

    Its deadline is what the hook says in its header: seconds, 0 for that of the target.
    """

    stage: str
    name: str

    @property
    def path(self) -> str:
        """Where the hook is, relative to the folder of hooks."""
        return f"{self.stage}/{self.name}"


class Target(ABC):
    """A place that dumps go to, found and checked."""

    #: What the names of such targets begin with, without the colon; "" are names of devices.
    schemes: ClassVar[tuple[str, ...]]
    #: How such a target is said, for people who said what is none: each goes behind "save to".
    forms: ClassVar[tuple[str, ...]]

    @classmethod
    @abstractmethod
    def settle(
        cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts
    ) -> TargetSettings:
        """Return ``said``, and what it leaves open as it is on this host, or in ``root``.

        ``folder`` is that for dumps where ``said`` has none. Raises KdumpInitrdError where it
        cannot be told, or cannot be saved to.
        """

    @classmethod
    @abstractmethod
    def find(cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts) -> Target:
        """Return the target of settled settings; raises KdumpInitrdError if it cannot be one."""

    @classmethod
    @abstractmethod
    def steps(cls) -> tuple[Step, ...]:
        """Return what the image runs to reach, open and leave targets of this kind."""

    @abstractmethod
    def params(self) -> TargetParams:
        """Return the target's part of the contract, but for what is the same for all kinds."""

    @abstractmethod
    def needs(self, root: Root, host: HostFacts) -> Needs:
        """Return what an image of ``root`` must have; raises KdumpInitrdError if it cannot be."""

    def fit(self, profile: Distro) -> Distro:
        """Return the profile with names of files that the target can hold.

        Raises KdumpInitrdError where that cannot be.
        """
        return profile
