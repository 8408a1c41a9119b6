# SPDX-License-Identifier: GPL-2.0-or-later
"""A block device that an image mounts: its stable name, what is on it, what it sits on."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.devicename import PARTITION_TAGS, TAGS, is_tag
from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from . import refusals
from .refusals import DUMP, Purpose
from .target import Needs

if TYPE_CHECKING:
    from ..probe.host.hostfacts import HostFacts
    from ..probe.host.sysfs import Hardware

logger = get_logger(__name__)

#: The tags that a file system's devices have in common.
_OF_ALL = ("UUID=", "LABEL=")
#: Folders below /dev that are not volume groups.
_NO_GROUPS = ("block", "bus", "disk", "fd", "input", "mapper", "md", "shm", "cciss", "ida")
#: Layers whose parts look like the whole to busybox's findfs.
_TWINS = {"md", "mpath"}


@dataclass(frozen=True)
class BlockDevice:
    """What an image waits for and mounts.

    ``spec`` is a device path or TAG=value. ``node`` is the block device on this host, None if it is
    not here; then ``layers`` are those that it is said to lie on.
    """

    spec: str
    fstype: str
    node: Path | None
    layers: tuple[str, ...] = ()


def identify(spec: str, fstype: str, *, host: HostFacts) -> BlockDevice:
    """Look up the device for dumps on this host, and give it the most stable name there is.

    A device path becomes a UUID if that can be read; otherwise the path is kept, with a warning.
    Raises KdumpInitrdError if this is not the name of a device, if the path is not a block device,
    if the device is unformatted or has another file system than ``fstype``, and if no dump can be
    saved to it.
    """
    node = locate(spec, host=host)
    check_type(spec, fstype)
    uuid = _check(node, spec, fstype, host) if node is not None else ""
    if not spec.startswith("/"):
        found = BlockDevice(spec, fstype, node)
    elif uuid:
        found = BlockDevice(f"UUID={uuid}", fstype, node)
    else:
        logger.warning("%s: its UUID cannot be read: the name may change between boots", spec)
        # The image has no udev, and so no /dev/disk/by-*.
        return BlockDevice(str(Path(spec).resolve()), fstype, node)
    _warn_of_namesakes(found, host)
    return found


def on_layers(device: BlockDevice, said: Sequence[str]) -> BlockDevice:
    """Return the device with the layers that ``said`` names, as sysfs.Hardware calls them.

    Raises KdumpInitrdError for one that the image cannot assemble. What a device of this host lies
    on is known.
    """
    for name in said:
        reason = refusals.said_layer(DUMP, name, device.fstype)
        if reason:
            raise reason.error(f"{device.spec}: --layer {name}: ", DUMP)
    if said and device.node is not None:
        logger.warning(
            "%s: it is on this host, which tells what it lies on: --layer %s does not count",
            *(device.spec, ", ".join(said)),
        )
        return device
    known = (refusals.SAID_LAYERS[name] for name in said)
    return replace(device, layers=tuple(dict.fromkeys(filter(None, known))))


def check_type(spec: str, fstype: str) -> None:
    """Refuse a type of file system that no dump can be saved to; raises KdumpInitrdError."""
    reason = refusals.file_system(DUMP, fstype)
    if reason:
        raise reason.error(f"{spec}: ", DUMP)


def locate(spec: str, *, host: HostFacts) -> Path | None:
    """Return the block device of that name on this host; None if none has the tag.

    Raises KdumpInitrdError if this is not the name of a device, or a path where none is.
    """
    _check_name(spec)
    if is_tag(spec):
        _check_value(*spec.split("=", 1))
        return host.node_of(spec)
    if not spec.startswith("/"):
        raise KdumpInitrdError(
            f"{spec}: not a dump device",
            hint=f"give a device path or one of {', '.join(f'{tag}=' for tag in TAGS)}",
        )
    node = block_node(spec)
    if node is None:
        raise KdumpInitrdError(f"{spec}: no such device", hint="lsblk lists those present")
    return node


def block_node(name: str) -> Path | None:
    """Return the block device at a path of this host, None if nothing is there.

    Raises KdumpInitrdError if something else is there.
    """
    path = Path(name)
    if not path.exists():
        return None
    if not is_block(path):
        raise KdumpInitrdError(f"{name}: not a block device", hint="lsblk lists those present")
    return path


def is_block(node: Path) -> bool:
    """Tell whether a path of this host is a block device."""
    return node.exists() and stat.S_ISBLK(node.stat().st_mode)


def examine(
    spec: str, node: Path, purpose: Purpose, *, host: HostFacts, unformatted: str = ""
) -> tuple[str, str]:
    """Return (file system type, UUID) of a device, "" for both if this user may not read it.

    ``unformatted`` is the hint for a device with nothing on it. Raises KdumpInitrdError if there is
    no file system, or one that the image cannot assemble.
    """
    try:
        with node.open("rb") as file:
            file.read(4096)
    except OSError as error:
        logger.warning(
            "%s: cannot be read (%s): its file system is not checked", spec, error.strerror
        )
        return "", ""
    fstype, uuid = host.superblock(node)
    what = fstype or host.signature(node)
    reason = refusals.contents(purpose, what, is_mounted=fstype != "")
    if reason:
        raise reason.error(f"{spec}: holds ", purpose)
    if not fstype:
        # If there is data on it, do not suggest formatting.
        holds = f"holds {what}, no file system" if what else "no file system on it"
        hint = refusals.instead_of(purpose, what) if what else unformatted or purpose.name_it
        raise KdumpInitrdError(f"{spec}: {holds}", hint=hint)
    beyond = refusals.elsewhere(purpose, fstype, host.elsewhere(node, fstype))
    if beyond:
        known = spec if spec.startswith("/") else f"{node} ({spec})"
        raise beyond.error(f"{known}: ", purpose)
    return fstype, uuid


def look(purpose: Purpose, device: BlockDevice, *, host: HostFacts) -> Hardware | None:
    """Return what the device sits on; None if it is not here or sysfs does not know it.

    Raises KdumpInitrdError for layers that the image cannot assemble.
    """
    found = host.hardware(device.node) if device.node else None
    if found is None:
        return None
    reason = refusals.layers(purpose, found)
    if reason:
        # Nobody has typed a UUID that was read from the device.
        name = found.name or str(device.node)
        known = device.spec if device.spec.startswith("/") else f"{name} ({device.spec})"
        raise reason.error(f"{known}: ", purpose)
    if found.read_only and purpose is DUMP:
        logger.warning("%s: is read-only now: check that it can be written to", device.node)
    return found


def named_layers(spec: str) -> tuple[str, ...]:
    """Return the layers that a device's name reveals: "md" or "lvm"."""
    if re.fullmatch(r"/dev/md(/.+|_?d?\d+.*)", spec):
        return ("md",)
    parts = Path(spec).parts[2:] if spec.startswith("/dev/") else ()
    if len(parts) == 2 and (parts[0] == "mapper" or parts[0] not in _NO_GROUPS):
        return ("lvm",)
    return ()


def needs_of(device: BlockDevice, found: Hardware | None) -> Needs:
    """Return what an image must have to mount a device that sits on what was ``found``.

    If sysfs does not know it, there is what was said of it, or else its name.
    """
    layers = found.layers if found else device.layers or named_layers(device.spec)
    findfs = device.spec.startswith(PARTITION_TAGS) or not _TWINS.isdisjoint(layers)
    return Needs(
        name=device.spec,
        node=device.node,
        hardware=found,
        filesystem=device.fstype,
        programs=("findfs",) if findfs else (),
        layers=layers,
    )


def _check(node: Path, spec: str, fstype: str, host: HostFacts) -> str:
    """Compare what is on ``node`` with ``fstype``; return its UUID ("" if unreadable)."""
    unformatted = f"format it first, as mkfs.{fstype} would"
    found, uuid = examine(spec, node, DUMP, host=host, unformatted=unformatted)
    if found and found != fstype:
        raise KdumpInitrdError(
            f"{spec}: holds {found}, not {fstype}",
            hint=f"give {found} as its file system, or reformat it",
        )
    return uuid


def _check_name(spec: str) -> None:
    if not spec.isprintable():
        raise KdumpInitrdError(
            f"{spec!a}: not a dump device: the name is not printable",
            hint="name it differently: by UUID=, or by a new label",
        )
    if spec != spec.strip():
        logger.warning("%s: the name begins or ends with a blank: is that intended?", ascii(spec))


def _check_value(tag: str, value: str) -> None:
    """Refuse an invalid UUID; those of some file systems are hexadecimal, too, but shorter."""
    if tag not in ("UUID", "PARTUUID") or re.fullmatch(r"[0-9A-Fa-f]+(-[0-9A-Fa-f]+)*", value):
        return
    raise KdumpInitrdError(
        f"{tag}={value}: not a UUID: expected hexadecimal digits and hyphens",
        hint=f"lsblk -o NAME,{tag},LABEL lists those present; LABEL= takes any name",
    )


def _warn_of_namesakes(device: BlockDevice, host: HostFacts) -> None:
    """Warn if several devices have the name: the image would take any of them."""
    names = host.namesakes(device.spec) if device.node is not None else ()
    # All devices of a btrfs have its UUID and label.
    if len(names) > 1 and not (device.fstype == "btrfs" and device.spec.startswith(_OF_ALL)):
        logger.warning(
            "%s: %s have that name, and the image takes the one that it finds first: give each its "
            "own, or use PARTUUID=",
            *(device.spec, " and ".join(names)),
        )
