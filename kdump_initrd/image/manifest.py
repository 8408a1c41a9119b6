# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image of ours says about itself, in its first file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from ..core.errors import KdumpInitrdError
from ..saver import imagepaths
from .tree import inside

#: The first file of a capture image; write_image() puts it there.
MANIFEST = inside(imagepaths.MANIFEST)
#: The first file of the segment that a first kernel's initrd has behind its base.
SEGMENT = inside(imagepaths.SEGMENT)

#: The file that tells a capture image from others.
IMAGE_ID = inside(imagepaths.IMAGE_ID)


@dataclass(frozen=True)
class Manifest:
    """The facts of one image, written as JSON.

    ``kind`` is "capture" or "first-kernel"; ``version`` is the generator's; ``kernel`` the
    release it boots with, ``machine`` its architecture as uname says it; ``target`` the dump
    device by its most stable name; ``modules`` kernel modules in load order; ``image`` the SHA-256
    of what is in a capture image; ``entries`` the path of each entry and why it is there. Of a
    first kernel's initrd ``cmdline`` and ``capture`` are the capture kernel's command line and
    release; ``base_size`` (bytes) and ``base_sha256`` are those of the initrd that the segment was
    appended to.
    """

    kind: str
    version: str
    distro: str = ""
    kernel: str = ""
    machine: str = ""
    capture: str = ""
    target: str = ""
    fstype: str = ""
    cmdline: str = ""
    modules: tuple[str, ...] = ()
    image: str = ""
    entries: Mapping[str, str] = field(default_factory=dict)
    base_size: int = 0
    base_sha256: str = ""

    def to_json(self) -> str:
        """Return the JSON text, the same for the same manifest, with a final line break."""
        record = {**asdict(self), "modules": list(self.modules), "entries": dict(self.entries)}
        return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, name: str = "manifest.json") -> Manifest:
        """Read what to_json wrote; fields that a newer version added are passed over.

        Raises KdumpInitrdError, naming ``name``, if the text is not such a record.
        """
        try:
            record = json.loads(text)
        except ValueError as error:
            raise KdumpInitrdError(f"{name}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise KdumpInitrdError(f"{name}: not a JSON object")
        for key in ("kind", "version"):
            if key not in record:
                raise KdumpInitrdError(f"{name}: {key} is missing")
        values = {each.name: record[each.name] for each in fields(cls) if each.name in record}
        for key, value in values.items():
            if not _fits(key, value):
                raise KdumpInitrdError(f"{name}: {key} is of the wrong type")
        return cls(**{**values, "modules": tuple(values.get("modules", ()))})


def _fits(key: str, value: object) -> bool:
    if key == "modules":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if key == "entries":
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    if key == "base_size":
        return isinstance(value, int) and value >= 0
    return isinstance(value, str)
