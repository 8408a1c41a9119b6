# SPDX-License-Identifier: GPL-2.0-or-later
"""How a capture kernel opens the volumes that have a key here: by a table for device-mapper.

The table has the volume's own key: nothing has to be derived, and no cryptsetup is needed there
(Documentation/admin-guide/device-mapper/dm-crypt.rst).
"""

from __future__ import annotations

from binascii import hexlify
from pathlib import Path

from ...core.errors import KdumpInitrdError
from ...core.log import get_logger
from ...core.root import Root
from ...image.tree import Tree
from ...probe.host import luksheader
from ...probe.host.hostfacts import HostFacts
from ...probe.host.luksheader import SECTOR, LuksVolume
from ...saver.imagepaths import LUKS
from ..loading import lockedmemory
from . import cryptsetup, enrolment, slotkey
from .enrolment import Volume

logger = get_logger(__name__)


def add(tree: Tree, root: Root) -> None:
    """Add a file for each volume: its mapping, and the table before and behind the device's name.

    One that cannot be opened is a warning: a dump may go elsewhere.
    """
    host = HostFacts()
    for uuid in slotkey.volumes(root):
        try:
            _add(tree, uuid, root, host)
        except (KdumpInitrdError, OSError) as error:
            text = error.message if isinstance(error, KdumpInitrdError) else str(error)
            logger.warning("%s: no crash can be saved to that volume", text)


def _add(tree: Tree, uuid: str, root: Root, host: HostFacts) -> None:
    device = host.node_of(f"UUID={uuid}")
    header = luksheader.read(device) if device is not None else None
    if device is None or header is None:
        raise KdumpInitrdError(f"{uuid}: there is a key for it, and no such LUKS volume")
    if header.trouble:
        raise enrolment.refusal(Volume(device, header))
    lockedmemory.lock()
    key = cryptsetup.volume_key(device, slotkey.place(uuid, root))
    name = host.opened_as(device) or f"luks-{uuid}"
    try:
        table = _table(name, header, device, key)
    finally:
        lockedmemory.wipe(key)
    tree.add_content(f"{LUKS}/{uuid}", table, why=f"opens {device}", mode=0o600)


def _table(name: str, header: LuksVolume, device: Path, key: bytearray) -> bytes:
    digits = hexlify(key)
    size = luksheader.sectors(header, device)
    sectors = f" 1 sector_size:{header.sector_size}" if header.sector_size != SECTOR else ""
    before = f"{name}\n0 {size} crypt {header.cipher} ".encode()
    table = b"%s%s %d\n%d%s\n" % (before, digits, header.tweak, header.offset, sectors.encode())
    lockedmemory.wipe(digits)
    return table
