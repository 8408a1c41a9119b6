# SPDX-License-Identifier: GPL-2.0-or-later
"""One place that dumps go to, as it is said: by words, in our file or in a peer's."""

from __future__ import annotations

from dataclasses import dataclass, field

#: The rows that say where a target is, and those that say something of the one before them; said
#: before the first, they are meant for all.
WHERE = ("device", "target")
OF_TARGET = ("fstype", "path", "deadline")


@dataclass(frozen=True)
class TargetSettings:
    """One place that dumps go to; None means that the recipe decides.

    ``to`` is a device (a path, UUID=, LABEL=, PARTUUID= or PARTLABEL=), a URL, or "" for what holds
    the folder ``path`` of the root. ``deadline`` is in seconds. Where ``mount_options`` are known,
    ``path`` is a folder of the device mounted by them, else it is one of the host. ``origin`` is
    the place in a file that says it, and ``key`` its key there, if that file is a peer's; both are
    "" for the command line.
    """

    to: str = ""
    fstype: str | None = None
    path: str | None = None
    deadline: int | None = None
    mount_options: str | None = None
    origin: str = field(default="", compare=False)
    key: str = field(default="", compare=False)
