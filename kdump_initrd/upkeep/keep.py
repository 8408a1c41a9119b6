# SPDX-License-Identifier: GPL-2.0-or-later
"""How one image is kept current: it is written if it would come out differently, and only then.

Two questions are asked, a quick one and a thorough one. Has any of its inputs changed, by their
time stamps? If not, the image stays. If so, it is planned anew, which takes a second, and compared
entry by entry. A library that was reinstalled, or another kernel beside this one, is no reason to
write it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Union

from .. import __version__
from ..config.settings import CommonSettings
from ..core import publish
from ..core.errors import KdumpInitrdError, is_denied
from ..core.log import get_logger
from ..core.root import Asked, Root
from ..image.archive.base import digest
from ..image.archive.segments import read_manifest
from ..image.manifest import Manifest
from ..image.tree import Entry
from ..recipes.capture import Capture
from ..recipes.firstkernel.firstimage import FirstImage
from . import inputs, record
from .inputs import Input
from .record import Record

logger = get_logger(__name__)

Plan = Union[Capture, FirstImage]
#: Settings that decide where an image goes and what is printed, not what is in it.
_ELSEWHERE = ("root", "output", "force", "dry_run")


@dataclass(frozen=True)
class Wanted:
    """An image that is to be current: its file, and how it is planned.

    ``kind`` is that of its manifest, ``name`` that of its record. ``in_place`` says that ``out`` is
    the distribution's initrd, to which a segment is appended.
    """

    kind: str
    release: str
    name: str
    out: Path
    settings: CommonSettings
    plan: Callable[[], Plan]
    in_place: bool = False


@dataclass(frozen=True)
class Manner:
    """How images are kept: those of which root; written in any case (``force``) or never.

    ``asked`` is what the root was asked for before any image was planned.
    """

    root: Root
    force: bool
    dry_run: bool
    asked: Asked


def keep(wanted: Wanted, manner: Manner) -> bool:
    """Write the image if necessary; return whether it was. Raises KdumpInitrdError.

    If it cannot be written, the previous one stays. If the distribution has replaced its initrd in
    the meantime, all of this is done once more.
    """
    return publish.twice(lambda: _keep(wanted, manner))


def _keep(wanted: Wanted, manner: Manner) -> bool:
    before = record.load(wanted.name, root=manner.root)
    if not manner.force and before is not None and _is_current(wanted, before, manner):
        _say_kept(wanted, manner)
        return False
    planned = wanted.plan()
    asked = manner.asked | planned.root.asked
    new = replace(
        _describe(wanted, planned),
        inputs=inputs.collect(asked, root=manner.root, leave_out=[wanted.out]),
    )
    why = _why(wanted, before, new, manner)
    if manner.dry_run:
        if why:
            say_pending(wanted, why)
        else:
            _say_kept(wanted, manner)
        return bool(why)
    if why:
        size = planned.write(force=True)
        logger.info("%s: written, because %s", wanted.out, why)
        stored = _stored(wanted.out, size)
    else:
        _say_kept(wanted, manner)
        stored = inputs.take(wanted.out)
    reason = why or (before.why if before else "")
    replace(new, stored=stored, why=reason).save(wanted.name, root=manner.root)
    return bool(why)


def _stored(out: Path, size: int) -> Input:
    """Return what was written, as it is on the disk; nothing if it has been replaced by now."""
    found = inputs.take(out)
    return found if found.stamp[:1] == (size,) else Input()


def say_pending(wanted: Wanted, why: str) -> None:
    """Print what would be done."""
    logger.info("%s: would be written, because %s", wanted.out, why)


def describe(settings: CommonSettings) -> dict[str, str]:
    """Return the settings of an image, by name, as JSON."""
    values = dataclasses.asdict(settings)
    return {
        name: json.dumps(value, sort_keys=True)
        for name, value in values.items()
        if name not in _ELSEWHERE
    }


def manifest_of(image: Path) -> Manifest | None:
    """Return an image's manifest; None if it is not there, or not one of ours."""
    try:
        return read_manifest(image)
    except KdumpInitrdError as error:
        if is_denied(error):
            raise
        # Whatever it is, it is not ours.
        logger.debug("%s", error.message)
        return None


def _is_current(wanted: Wanted, before: Record, manner: Manner) -> bool:
    if (before.output, before.settings) != (str(wanted.out), describe(wanted.settings)):
        return False
    why = before.outdated(root=manner.root)
    if why:
        logger.debug("%s: %s", wanted.out, why)
    return not why


def _describe(wanted: Wanted, planned: Plan) -> Record:
    """Return the record of a planned image, without its inputs and the file on the disk."""
    entries: Iterable[Entry]
    if isinstance(planned, Capture):
        entries, base = (*planned.tree, *planned.second), ""
    else:
        entries, base = planned.entries, digest(planned.base) if planned.base else ""
    packing = planned.packing
    return Record(
        kind=wanted.kind,
        release=wanted.release,
        version=__version__,
        output=str(wanted.out),
        settings=describe(wanted.settings),
        entries={
            "the compression": f"{packing.compression.value} {packing.mtime}",
            **{str(each.dest): each.identity for each in entries},
        },
        base=base,
        inputs={},
        stored=Input(),
    )


def _why(wanted: Wanted, before: Record | None, new: Record, manner: Manner) -> str:
    """Return why the image has to be written, "" if it does not.

    Raises KdumpInitrdError if a file of that name is not ours.
    """
    out = wanted.out
    intact = before is not None and before.is_intact(out)
    if not intact and not wanted.in_place and out.exists() and not manner.force:
        manifest = manifest_of(out)
        if manifest is None or manifest.kind != wanted.kind:
            raise KdumpInitrdError(
                f"{out}: not an image of kdump-initrd", hint="--refresh --force replaces it"
            )
    if not out.exists():
        return "there was none"
    differences = before.differences(new) if before else []
    if differences:
        return f"{record.listed(differences)} changed"
    if before is None:
        known = "its inputs are not on record"
        return known if manifest_of(out) else "it lacks the segment of kdump-initrd"
    if not intact or before.output != new.output:
        return "it has been changed since it was written"
    return "--force was given" if manner.force else ""


def _say_kept(wanted: Wanted, manner: Manner) -> None:
    level = logger.info if manner.dry_run else logger.debug
    level("%s: kept: nothing changed", wanted.out)
