# SPDX-License-Identifier: GPL-2.0-or-later
"""One place that dumps go to, as it was given: by options, in our file or in a peer's."""

from __future__ import annotations

from dataclasses import dataclass, field

#: The rows that name a target, and those that describe the target before them; before the first one
#: these apply to all.
WHERE = ("device", "target")
OF_TARGET = ("fstype", "path", "deadline", "layers")

#: What may lie below a device that is not on this host.
LAYERS = ("lvm", "md", "luks", "multipath", "btrfs-devices")


@dataclass(frozen=True)
class TargetSettings:
    """One place that dumps go to; None means that the recipe decides.

    ``to`` is a device (a path, UUID=, LABEL=, PARTUUID= or PARTLABEL=), a URL, or "" for whatever
    holds the folder ``path`` of the root. ``deadline`` is in seconds. If ``mount_options`` are
    known, ``path`` is a folder on the device when it is mounted with them; otherwise it is a folder
    of the host. ``layers`` are what a device that is not on this host lies on. ``origin`` is the
    place in a file that says this, and ``key`` its key there if the file is a peer's; both are ""
    for the command line.
    """

    to: str = ""
    fstype: str | None = None
    path: str | None = None
    deadline: int | None = None
    layers: tuple[str, ...] | None = None
    mount_options: str | None = None
    origin: str = field(default="", compare=False)
    key: str = field(default="", compare=False)
