# SPDX-License-Identifier: GPL-2.0-or-later
"""The key of our own key slot of a LUKS volume: a file, which must lie on an encrypted volume."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from ...core import publish
from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...probe.host.hostfacts import HostFacts

#: Where they are, by the UUIDs of the volumes.
FOLDER = "etc/kdump-initrd/luks"
#: As long as the volume keys of the strongest ciphers (AES-256 in XTS mode), in bytes.
_SIZE = 64
_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def place(uuid: str, root: Root) -> Path:
    """Return where the key of a volume is, or would be."""
    return root.place(f"{FOLDER}/{uuid}")


def there(uuid: str, root: Root) -> Path | None:
    """Return the file of a volume's key, None if there is none; raises PermissionError."""
    path = place(uuid, root)
    try:
        return path if path.stat(follow_symlinks=False).st_size == _SIZE else None
    except (FileNotFoundError, NotADirectoryError):
        return None


def volumes(root: Root) -> list[str]:
    """Return the UUIDs of the volumes that have a key here."""
    names = (path.name for path in root.entries(FOLDER))
    return [name for name in names if _NAME.fullmatch(name)]


def make(uuid: str, root: Root) -> Path:
    """Write a new, random key; whole or not at all. Raises KdumpInitrdError."""
    if not _NAME.fullmatch(uuid):
        raise KdumpInitrdError(f"{uuid!a}: not the UUID of a volume", hint="cryptsetup luksUUID")
    path = place(uuid, root)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KdumpInitrdError(f"{path.parent}: {error.strerror}") from error
    # One of another size is not a key of ours.
    with publish.new_file(path, force=True) as new:
        new.write(os.urandom(_SIZE))
    return path


def forget(uuid: str, root: Root) -> None:
    """Remove the key, and the folder with the last one; raises OSError."""
    path = place(uuid, root)
    with suppress(FileNotFoundError):
        publish.remove(path)
    with suppress(OSError):
        path.parent.rmdir()


def check_place(root: Root, host: HostFacts) -> None:
    """Refuse to keep keys on what anybody could read from the disk; raises KdumpInitrdError.

    Whether it is encrypted must be known, not only likely.
    """
    folder = place("x", root).parent
    mount = host.mounted(str(folder))
    node = Path(mount.source) if mount else None
    found = host.hardware(node) if node and node.is_absolute() else None
    if found is None or not found.is_secret:
        what = mount.source if mount else "unknown"
        raise KdumpInitrdError(
            f"{folder}: the key would be readable from the disk: {what} is not encrypted",
            hint="it can only be kept on an encrypted root: dump to a volume without encryption",
        )
