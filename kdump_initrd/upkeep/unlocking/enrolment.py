# SPDX-License-Identifier: GPL-2.0-or-later
"""A volume gets a key slot of ours, and loses it; what was interrupted, the next run completes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...core.devicename import is_tag
from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...core.root import Root
from ...probe.host import luksheader
from ...probe.host.hostfacts import HostFacts
from ...probe.host.luksheader import LuksVolume
from ...recipes.found import find_host
from ..loading import lockedmemory
from ..ready.link import YES, Fact, Link
from . import cryptsetup, slotkey

logger = get_logger(__name__)

NAME = "key"
#: Asks for a passphrase of the volume, or returns the file with one.
Ask = Callable[[Path], "bytes | Path"]


@dataclass(frozen=True)
class Volume:
    """A LUKS volume and the device that its header is on."""

    device: Path
    header: LuksVolume

    def reread(self) -> Volume:
        """Return it as it is now."""
        return Volume(self.device, _header(self.device))

    def slots(self, key: Path) -> list[int]:
        """Return the slots that a key of ours opens."""
        return [
            slot.number
            for slot in self.header.slots
            if (slot.kdf, slot.iterations) == ("pbkdf2", cryptsetup.ITERATIONS)
            and cryptsetup.opens(self.device, slot.number, key)
        ]


def enroll(spec: str, *, top: Path, distro: str | None, ask: Ask) -> Link:
    """Give the volume ``spec`` a key slot, and ``top`` its key; raises KdumpInitrdError."""
    root, _ = find_host(top, distro)
    host = HostFacts()
    volume = find(spec, host)
    if volume.header.trouble:
        raise refusal(volume)
    slotkey.check_place(root, host)
    lockedmemory.lock()
    uuid = volume.header.uuid
    key = slotkey.there(uuid, root)
    found = volume.slots(key) if key else []
    head = "already enrolled" if found else "enrolled"
    if not found:
        made = key is None
        key = key or slotkey.make(uuid, root)
        try:
            cryptsetup.add(volume.device, key, ask(volume.device))
        except BaseException:
            # It may have got as far as the slot.
            if made and volume.reread() == volume:
                slotkey.forget(uuid, root)
            raise
        volume = volume.reread()
        found = volume.slots(key)
    assert key is not None
    _prefer(volume, found)
    facts: dict[str, Fact] = {
        "device": str(volume.device),
        "uuid": uuid,
        "slot": found[0],
        "key": str(key),
    }
    text = f"{head}: {volume.device} has key slot {found[0]} for capture kernels, its key is {key}"
    return Link(NAME, YES, text, "kdump-initrd load" if head == "enrolled" else "", facts)


def remove(spec: str, *, top: Path, distro: str | None) -> Link:
    """Take the slot of the volume ``spec`` away, and its key; raises KdumpInitrdError."""
    root, _ = find_host(top, distro)
    host = HostFacts()
    uuid = spec.removeprefix("UUID=").lower()
    # The volume may be gone for ever.
    if uuid in slotkey.volumes(root) and is_tag(spec) and host.node_of(spec) is None:
        return _forget_lost(uuid, root)
    return _remove(find(spec, host), root)


def remove_all(*, top: Path, distro: str | None) -> Link:
    """Take away each slot of a volume that is here, and all keys; raises KdumpInitrdError."""
    root, _ = find_host(top, distro)
    host = HostFacts()
    uuids = slotkey.volumes(root)
    for uuid in uuids:
        node = host.node_of(f"UUID={uuid}")
        if node is None:
            _forget_lost(uuid, root)
        else:
            _remove(Volume(node, _header(node)), root)
    return Link(NAME, YES, f"removed: {', '.join(uuids) or 'there was no key'}")


def find(spec: str, host: HostFacts) -> Volume:
    """Return the volume on a device, or that a mapping is; raises KdumpInitrdError."""
    node = host.node_of(spec) if is_tag(spec) else Path(spec)
    if node is None or not node.exists():
        raise KdumpInitrdError(f"{spec}: no such device", hint="lsblk -f lists LUKS volumes")
    above = host.hardware(node)
    opened = above.encrypted[0] if above and above.layers[:1] == ("luks",) else None
    device = opened.device if opened else node
    header = luksheader.read(device) if device.exists() else None
    if header is not None:
        return Volume(device, header)
    if opened or (above and "luks" in above.holders):
        raise KdumpInitrdError(
            f"{spec}: its LUKS header is on another device, where no capture kernel would find it",
            hint="dump to a volume whose header is on it",
        )
    below = f"it lies on {above.encrypted[0].device}" if above and above.encrypted else ""
    raise KdumpInitrdError(
        f"{spec}: not a LUKS volume", hint=below or "lsblk -f lists LUKS volumes"
    )


def refusal(volume: Volume) -> KdumpInitrdError:
    """Return why a volume cannot be opened by its volume key."""
    busy = volume.header.trouble == luksheader.REENCRYPTED
    return KdumpInitrdError(
        f"{volume.device}: {volume.header.trouble}, and a capture kernel could not open it",
        hint="wait for the end of that: cryptsetup reencrypt --resume-only"
        if busy
        else "dump to another volume",
    )


def _header(device: Path) -> LuksVolume:
    header = luksheader.read(device)
    if header is None:
        raise KdumpInitrdError(f"{device}: is not a LUKS volume any more")
    return header


def _prefer(volume: Volume, slots: list[int]) -> None:
    for slot in volume.header.slots:
        if volume.header.version == 2 and slot.number in slots and not slot.preferred:
            cryptsetup.prefer(volume.device, slot.number)


def _remove(volume: Volume, root: Root) -> Link:
    uuid = volume.header.uuid
    key = slotkey.there(uuid, root)
    if key is None:
        return Link(NAME, YES, f"removed: {volume.device} had no key here")
    mine = volume.slots(key)
    if mine and len(mine) == len(volume.header.slots):
        raise KdumpInitrdError(
            f"{volume.device}: nothing but our key opens it, so that stays",
            hint="cryptsetup luksAddKey adds a passphrase; then do this again",
        )
    for slot in mine:
        cryptsetup.kill(volume.device, slot)
    slotkey.forget(uuid, root)
    text = f"removed: key slot {', '.join(map(str, mine))} of {volume.device}" if mine else (
        f"removed: {key}, which opened no key slot of {volume.device}"
    )  # fmt: skip
    return Link(NAME, YES, text, "kdump-initrd load")


def _forget_lost(uuid: str, root: Root) -> Link:
    slotkey.forget(uuid, root)
    text = f"removed: the key of {uuid}, which is not here: its key slot stays there"
    logger.warning("%s", text.removeprefix("removed: "))
    return Link(NAME, YES, text)
