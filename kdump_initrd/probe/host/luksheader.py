# SPDX-License-Identifier: GPL-2.0-or-later
"""What the header of a LUKS volume tells without a key: cipher, place of the data, key slots.

LUKS1: "LUKS On-Disk Format Specification" 1.2.3, 2.1; LUKS2: "LUKS2 On-Disk Format
Specification" 1.1.1, 2.1 and 3.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import KdumpInitrdError

#: What dm-crypt counts in, in bytes; the sectors of a volume may be larger.
SECTOR = 512
_MAGIC = b"LUKS\xba\xbe"
#: A LUKS1 volume while cryptsetup reencrypts it (src/utils_reencrypt_luks1.c, NOMAGIC).
_BUSY_MAGIC = b"LUKS\xde\xad"
#: version, cipher, mode, payload offset in sectors, key bytes, UUID: struct luks_phdr.
_LUKS1 = struct.Struct(">6xH32s32s32sII20s32sI40s")
#: A slot of it: active, iterations, salt, offset, stripes.
_LUKS1_SLOT = struct.Struct(">II32sII")
_LUKS1_SLOTS, _ACTIVE = 8, 0x00AC71F3
#: The binary header of LUKS2: size of it with the JSON behind it; the UUID is where LUKS1's is.
_LUKS2_SIZE, _LUKS2_UUID, _LUKS2_JSON = struct.Struct(">8xQ"), slice(168, 208), 4096
#: The trouble of a volume that is between two keys.
REENCRYPTED = "is being reencrypted"
#: The largest JSON area, in bytes (LUKS2 2.2).
_LARGEST = 4 << 20


@dataclass(frozen=True)
class KeySlot:
    """A key slot in use: its number, how its key is derived, whether it is tried before others."""

    number: int
    kdf: str
    iterations: int
    preferred: bool


@dataclass(frozen=True)
class LuksVolume:
    """A volume: ``version`` is 1 or 2, ``cipher`` is what dm-crypt calls it ("aes-xts-plain64").

    ``offset`` is where the data begin, ``size`` what they take (None means all the rest), ``tweak``
    what is added to sector numbers; all in SECTORs. ``sector_size`` is in bytes. ``trouble`` is
    why it cannot be opened by its volume key alone, "" if it can.
    """

    version: int
    uuid: str
    cipher: str
    offset: int
    size: int | None
    slots: tuple[KeySlot, ...]
    sector_size: int = SECTOR
    tweak: int = 0
    trouble: str = ""


def read(path: Path) -> LuksVolume | None:
    """Return the volume on a device or in an image of one, None if none begins there.

    Raises OSError if it cannot be read, and KdumpInitrdError if its header is damaged.
    """
    with path.open("rb") as file:
        start = file.read(4096)
        if start.startswith(_BUSY_MAGIC):
            return LuksVolume(1, "", "", 0, None, (), trouble=REENCRYPTED)
        if not start.startswith(_MAGIC):
            return None
        try:
            (version,) = struct.unpack_from(">H", start, len(_MAGIC))
            if version == 1:
                return _luks1(start)
            (size,) = _LUKS2_SIZE.unpack_from(start)
            if not _LUKS2_JSON < size <= _LARGEST:
                raise ValueError(f"a header of {size} bytes")
            file.seek(_LUKS2_JSON)
            text = file.read(size - _LUKS2_JSON).partition(b"\0")[0]
            return _luks2(_text(start[_LUKS2_UUID]), json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise KdumpInitrdError(
                f"{path}: its LUKS header is damaged: {error}", hint=f"cryptsetup repair {path}"
            ) from error


def sectors(volume: LuksVolume, path: Path) -> int:
    """Return how large the opened volume is, in SECTORs; raises OSError."""
    if volume.size is not None:
        return volume.size
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        whole = os.lseek(descriptor, 0, os.SEEK_END) // SECTOR
    finally:
        os.close(descriptor)
    rest = whole - volume.offset
    return rest - rest % (volume.sector_size // SECTOR)


def _luks1(start: bytes) -> LuksVolume:
    _, cipher, mode, _, payload, _, _, _, _, uuid = _LUKS1.unpack_from(start)
    slots = []
    for number in range(_LUKS1_SLOTS):
        place = _LUKS1.size + number * _LUKS1_SLOT.size
        active, iterations, *_ = _LUKS1_SLOT.unpack_from(start, place)
        if active == _ACTIVE:
            slots.append(KeySlot(number, "pbkdf2", iterations, False))
    return LuksVolume(1, _text(uuid), f"{_text(cipher)}-{_text(mode)}", payload, None, (*slots,))


def _luks2(uuid: str, record: Any) -> LuksVolume:  # noqa: ANN401
    slots = [
        KeySlot(
            int(number),
            str(each["kdf"]["type"]),
            int(each["kdf"].get("iterations", 0)),
            each.get("priority", 1) == 2,
        )
        for number, each in sorted(record["keyslots"].items(), key=lambda item: int(item[0]))
        if each["type"] == "luks2"
    ]
    # A reencryption adds slots and segments of its own, and what old versions must not ignore.
    required = record["config"].get("requirements", {}).get("mandatory", [])
    (first, *others) = [record["segments"][number] for number in sorted(record["segments"])]
    trouble = ""
    if any("reencrypt" in word for word in required) or others:
        trouble = REENCRYPTED
    elif "integrity" in first:
        trouble = "has dm-integrity"
    elif first["type"] != "crypt" or required:
        trouble = f"requires {', '.join(required) or first['type']}"
    size = first["size"]
    return LuksVolume(
        *(2, uuid, str(first.get("encryption", "")), int(first["offset"]) // SECTOR),
        None if size == "dynamic" else int(size) // SECTOR,
        tuple(slots),
        int(first.get("sector_size", SECTOR)),
        int(first.get("iv_tweak", 0)),
        trouble,
    )


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii")
