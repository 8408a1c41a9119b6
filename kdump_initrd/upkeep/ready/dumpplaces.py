# SPDX-License-Identifier: GPL-2.0-or-later
"""Where an image saves to, and how: by the record that --refresh keeps of it, or by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.devicename import is_tag
from ...core.errors import KdumpInitrdError
from ...core.root import Root
from ...image.archive.segments import read_segments
from ...image.tree import inside
from ...probe.distro.profiles import Distro
from ...saver import imagepaths
from ...saver.codec.rows import WORDS
from ...saver.params import Params, ParamsError
from ..record import Record


@dataclass(frozen=True)
class Place:
    """One target of an image.

    ``spec`` is the device or a URL, ``fstype`` what is on it, ``folder`` that for dumps: of the
    device, if ``on_device``, else of the host. ``level`` is the dump level, ``codecs`` are those of
    which the first that works compresses, ``keep_free`` how many per cent of the file system stay
    free. ``hardware`` are the sets of drivers that were asked for, () for those of this host.
    """

    spec: str
    fstype: str
    folder: str
    on_device: bool
    level: int
    codecs: tuple[str, ...]
    keep_free: int
    hardware: tuple[str, ...] = ()

    @property
    def is_device(self) -> bool:
        """Whether it is a block device."""
        return is_tag(self.spec) or self.spec.startswith("/dev/")


def of(made: Record | None, profile: Distro) -> tuple[Place, ...]:
    """Return the targets of an image in their order; none where its record does not tell."""
    try:
        return tuple(_each(made, profile)) if made else ()
    except (KeyError, TypeError, ValueError):
        return ()


def in_image(image: Path, profile: Distro) -> tuple[Place, ...]:
    """Return the targets that an image tells its saver, in their order; none where it does not.

    Raises KdumpInitrdError if it cannot be read.
    """
    name = str(inside(imagepaths.PARAMS))
    members = (
        member
        for segment in reversed(read_segments(image))
        for member in segment.entries(contents=lambda each: each.path == name)
    )
    found = next((each for each in members if each.path == name), None)
    try:
        params = Params.from_json(found.content.decode()) if found else None
    except (ParamsError, ValueError):  # another version's
        return ()
    return tuple(_each_of(params, profile)) if params else ()


def untold(image: Path | None) -> str:
    """Return why the targets of an image are not known."""
    if image is None:
        return "no image tells where dumps go"
    if not os.access(image, os.R_OK):
        return "only root may read the image, which tells where dumps go"
    return "the image does not tell where dumps go"


def codecs(name: str, dump_format: str, profile: Distro) -> tuple[str, ...]:
    """Return the codecs that a setting stands for, the first that works is taken.

    Raises ValueError for a name that is none.
    """
    if name not in WORDS:
        raise ValueError(name)
    if dump_format == "elf":
        return ("none",)
    return tuple(profile.dump.codecs) if name == "auto" else (name,)


def _each(made: Record, profile: Distro) -> Iterator[Place]:
    def value(name: str) -> Any:  # noqa: ANN401 - as varied as the settings
        return json.loads(made.settings[name])

    for each in value("targets"):
        yield Place(
            spec=str(each["to"]),
            fstype=str(each["fstype"]),
            folder=each["path"] or profile.dump.path,
            on_device=each["mount_options"] is not None,
            level=int(value("dump_level")),
            codecs=codecs(value("dump_compress"), value("dump_format"), profile),
            keep_free=int(value("keep_free")),
            hardware=tuple(value("hardware") or ()),
        )


def _each_of(params: Params, profile: Distro) -> Iterator[Place]:
    for each in params.targets:
        yield Place(
            spec=each.device,
            fstype=each.fstype,
            folder=each.folder,
            on_device=True,
            level=params.dump.level,
            codecs=codecs(params.dump.compress, params.dump.format, profile),
            keep_free=each.keep_free,
        )


def folder_here(place: Place, mounted: Path, root: Root) -> Path:
    """Return the folder for dumps as it is called here, where the device is ``mounted``."""
    with suppress(KdumpInitrdError):
        here = root.resolve(place.folder)
        if not place.on_device and here is not None and here.is_relative_to(mounted):
            return here
    return mounted / place.folder.lstrip("/")
