# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of block devices: paths, tags, and how udev and util-linux write what is in them."""

from __future__ import annotations

import re

#: The tags that findfs(8) resolves.
TAGS = ("UUID", "LABEL", "PARTUUID", "PARTLABEL")
#: The names that findfs of util-linux resolves, but not that of busybox.
PARTITION_TAGS = ("PARTUUID=", "PARTLABEL=")
#: Folder below /dev/disk: the tag that a name in it stands for.
_LINKS = {
    "by-uuid": "UUID",
    "by-label": "LABEL",
    "by-partuuid": "PARTUUID",
    "by-partlabel": "PARTLABEL",
}


def is_tag(spec: str) -> bool:
    """Tell whether a name is TAG=value, with a value."""
    tag, equals, value = spec.partition("=")
    return bool(equals) and tag in TAGS and value != ""


def translate(spec: str) -> str:
    """Return the tag for a udev link below /dev/disk: an image without udev has none."""
    folder, _, name = spec.removeprefix("/dev/disk/").partition("/")
    if spec.startswith("/dev/disk/") and folder in _LINKS and name:
        return f"{_LINKS[folder]}={unescape(name)}"
    tag, equals, value = spec.partition("=")
    if not equals or tag not in TAGS:
        return spec
    value = value.strip('"')
    # The kernel takes it in capitals too, findfs does not.
    return f"{tag}={value.lower() if tag == 'PARTUUID' else value}"


def unescape(text: str) -> str:
    r"""Undo util-linux's and udev's \xNN escapes."""
    raw = re.sub(rb"\\x([0-9a-fA-F]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())
    return raw.decode(errors="replace")


def unescape_octal(text: str) -> str:
    r"""Undo the \NNN escapes of fstab and /proc/mounts."""
    raw = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8) & 255]), text.encode())
    return raw.decode(errors="replace")
