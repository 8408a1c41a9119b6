# SPDX-License-Identifier: GPL-2.0-or-later
"""XFS with its log or its realtime part on devices of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.devicename import is_tag, translate
from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from .filesystem import FileSystem, Placed

if TYPE_CHECKING:
    from ..probe.host.hostfacts import HostFacts
    from .blockdevice import BlockDevice

logger = get_logger(__name__)

#: The option that names the device of a part, by superblock.beyond()'s word for it (xfs(5)).
_OPTIONS = {"log": "logdev=", "realtime": "rtdev="}


class Xfs(FileSystem):
    """See FileSystem. The superblock has no name for the other devices: only the mount has."""

    kept = tuple(_OPTIONS.values())

    def place(
        self, device: BlockDevice, folder: str, options: str | None, *, host: HostFacts
    ) -> Placed:
        """See FileSystem."""
        found = super().place(device, folder, options, host=host)
        words = (options or "").split(",")
        if device.node is not None and options is None:
            words = list(host.options_on(device.node))
        told = [word for word in words if word.startswith(self.kept)]
        _check(device, told, host)
        if not told:
            return found
        named = [_stable(word, device, host) for word in told]
        return replace(
            found,
            options=",".join(option for option, _ in named),
            others=tuple(node for _, node in named if node is not None),
            scripts=("xfs.sh",),
        )


def _check(device: BlockDevice, told: list[str], host: HostFacts) -> None:
    """Refuse a file system if nothing tells where a part of it is."""
    if device.node is None:
        return
    try:
        parts = host.elsewhere(device.node, device.fstype)
    except OSError:
        return  # there has been a warning about that
    for part in parts:
        if not any(word.startswith(_OPTIONS[part]) for word in told):
            raise KdumpInitrdError(
                f"{device.spec}: its {part} device is not known: it is not mounted",
                hint="mount it, or add it to /etc/fstab and name the folder: file:///DIR",
            )


def _stable(word: str, device: BlockDevice, host: HostFacts) -> tuple[str, Path | None]:
    """Return the option with a stable name in it, and the device that it names on this host."""
    option, _, name = word.partition("=")
    spec = translate(name)
    node = host.node_of(spec) if is_tag(spec) else Path(spec)
    if is_tag(spec) or node is None or not node.exists():
        return f"{option}={spec}", node if node and node.exists() else None
    partuuid = host.partuuid(node)
    if partuuid:
        return f"{option}=PARTUUID={partuuid}", node
    logger.warning(
        "%s: %s=%s is not a partition, and its name may change between boots",
        *(device.spec, option, spec),
    )
    return f"{option}={node.resolve()}", node
