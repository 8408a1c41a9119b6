# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command line can ask for: the same requests, whatever grammar they were said in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from ...config.settings import CaptureSettings, FirstKernelSettings


@dataclass(frozen=True)
class Capture:
    """Write a capture initrd.

    ``said`` are values by the names of CaptureSettings; without ``device`` the dump goes to the
    configured target. ``kernel`` names the capture kernel's image where ``said`` has no release:
    a path if there is a slash in it, else a name in the folder ``boot`` of the root. ``target``
    is how a device is said in the grammar that was used.
    """

    said: Mapping[str, Any]
    kernel: str = ""
    boot: str = ""
    target: str = field(default="-c DEV -f FS", compare=False)

    def settings(self, configured: Mapping[str, Any]) -> CaptureSettings:
        """Return the settings: what was said wins over what is configured.

        A configured file system is that of the configured device, and of no other.
        """
        said = {"fstype": None, **self.said} if "device" in self.said else self.said
        return CaptureSettings(**{**configured, **said})


@dataclass(frozen=True)
class FirstKernel:
    """Write a first kernel's initrd; ``said`` are values by the names of FirstKernelSettings."""

    said: Mapping[str, Any]

    def settings(self, configured: Mapping[str, Any]) -> FirstKernelSettings:
        """Return the settings: what was said wins over what is configured."""
        return FirstKernelSettings(**{**configured, **self.said})


@dataclass(frozen=True)
class Strip:
    """Take the segment of ours off ``image``: in place, or to ``output``."""

    image: Path
    output: str | None = None
    force: bool = False


@dataclass(frozen=True)
class ListImage:
    """Print what ``image`` holds."""

    image: Path


@dataclass(frozen=True)
class PrintCmdline:
    """Print the command line for the capture kernel of ``image``."""

    image: Path


@dataclass(frozen=True)
class Host:
    """What a request about a host is about: its root, and its distribution if that was said."""

    root: Path = Path("/")
    distro: str | None = None


@dataclass(frozen=True)
class ShowDistro(Host):
    """Print the profile ``distro``, or that of the root."""


@dataclass(frozen=True)
class CheckConfig(Host):
    """Check the configuration, and print what is in effect."""


@dataclass(frozen=True)
class ImportConfig(Host):
    """Write our configuration file from the distribution's own: to ``output`` ("-": stdout)."""

    output: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Refresh(Host):
    """Rebuild the configured images whose inputs changed: of ``releases``, or of all kernels."""

    releases: tuple[str, ...] = ()
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Remove(Host):
    """Remove what was built for ``releases``, or everything of ours."""

    releases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Print:
    """Print a text of ours: the help, the version."""

    text: str


Request = Union[
    Capture,
    FirstKernel,
    Strip,
    ListImage,
    PrintCmdline,
    ShowDistro,
    CheckConfig,
    ImportConfig,
    Refresh,
    Remove,
    Print,
]


@dataclass(frozen=True)
class Command:
    """A command line, understood: what to do, how much to say, and what to warn of first.

    ``level`` is one of logging's.
    """

    requests: tuple[Request, ...]
    level: int
    warnings: tuple[str, ...] = ()
