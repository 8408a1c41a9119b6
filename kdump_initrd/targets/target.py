# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface of a kind of target: the recipes use nothing else of it."""

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
    """What an image must have for a target, in addition to its steps and their own needs.

    ``name`` is that of the target, for people. ``node`` is the block device on this host, None if
    there is none, and ``hardware`` is what that sits on, None if that is not known. ``drivers`` are
    those of which one brings it up on any machine; if there are any, no others are. ``filesystem``
    is the type that the image mounts, "" for none. ``modules`` are kernel modules that are always
    loaded, by what they are for. ``programs`` are the root's own, never busybox's applets;
    ``files`` are files of the root, by their places in the image; ``scripts`` are what the steps
    read of our hooks/filesystems. ``layers`` are those below the
    device that the image has to assemble.
    """

    name: str
    node: Path | None = None
    hardware: Hardware | None = None
    drivers: tuple[str, ...] = ()
    filesystem: str = ""
    modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """What the image runs for a target: the hook ``name`` of a stage.

    The hook's header says its deadline in seconds; 0 means the target's own.
    """

    stage: str
    name: str

    @property
    def path(self) -> str:
        """The place of the hook, relative to the folder of hooks."""
        return f"{self.stage}/{self.name}"


class Target(ABC):
    """A place that dumps go to, which was found and checked."""

    #: The schemes of such targets, without the colon; "" is for names of devices.
    schemes: ClassVar[tuple[str, ...]]
    #: How such targets are written, for a hint that begins with "save to".
    forms: ClassVar[tuple[str, ...]]

    @classmethod
    @abstractmethod
    def settle(
        cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts
    ) -> TargetSettings:
        """Return ``said``, with what it leaves open completed from this host or from ``root``.

        ``folder`` is the one for dumps if ``said`` has none. Raises KdumpInitrdError if something
        cannot be found out, or cannot be saved to.
        """

    @classmethod
    @abstractmethod
    def find(cls, said: TargetSettings, *, folder: str, root: Root, host: HostFacts) -> Target:
        """Return the target of settled settings; raises KdumpInitrdError if it cannot be used."""

    @classmethod
    @abstractmethod
    def steps(cls) -> tuple[Step, ...]:
        """Return the steps by which the image reaches, opens and leaves such a target."""

    @abstractmethod
    def params(self) -> TargetParams:
        """Return the target's part of the contract, except for what all kinds have in common."""

    @abstractmethod
    def needs(self, root: Root, host: HostFacts) -> Needs:
        """Return what an image of ``root`` must have; raises KdumpInitrdError if that cannot be."""

    def fit(self, profile: Distro) -> Distro:
        """Return the profile with file names that the target accepts.

        Raises KdumpInitrdError if that is not possible.
        """
        return profile
