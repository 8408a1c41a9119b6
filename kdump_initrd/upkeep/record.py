# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of an image that --refresh has written, so that it is not written for nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..config.native import key_of
from ..config.settings import SETTINGS
from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..core.publish import new_file
from ..core.root import Root
from ..image.manifest import IMAGE_ID, MANIFEST, SEGMENT
from ..image.stage import SECOND_STAGE
from ..recipes.firstkernel.loadedname import FACTS
from . import inputs
from .inputs import Input

logger = get_logger(__name__)

#: Relative to the root.
FOLDER = "var/lib/kdump-initrd"
#: Entries that are made from others, so that their change explains nothing.
_DERIVED = tuple(map(str, (MANIFEST, SEGMENT, SECOND_STAGE, FACTS, IMAGE_ID)))
#: The largest record, in bytes: some thousand paths with their digests.
_LARGEST = 16 << 20
#: The settings' names in our file.
_KEYS = {row.name: key_of(row) for row in SETTINGS}
#: The number of changes that one line names.
_NAMED = 3
#: Seconds that one run waits for another: a run takes some seconds for each kernel.
_PATIENCE = 600.0


@dataclass(frozen=True)
class Record:
    """One image, as it was written.

    ``settings`` and ``entries`` are texts by name: each setting as JSON, each entry of the image
    with its mode and SHA-256. ``base`` is the SHA-256 of the initrd to which a segment was
    appended, "" if there was none. ``inputs`` are what it was made from; ``stored`` is the image's
    file; ``why`` is the reason for which it was written.
    """

    kind: str
    release: str
    version: str
    output: str
    settings: Mapping[str, str]
    entries: Mapping[str, str]
    base: str
    inputs: Mapping[str, Input]
    stored: Input
    why: str = ""

    def differences(self, new: Record) -> list[str]:
        """Return why a newly planned image differs from this one, the best explanations first.

        A setting alone is not a reason: a disk may have another name, and be the same disk.
        """
        entries = _unlike(self.entries, new.entries)
        if not entries and self.base == new.base:
            return []
        found = []
        if self.version != new.version:
            found.append(f"kdump-initrd itself ({self.version}, now {new.version})")
        settings = _unlike(self.settings, new.settings)
        found += [f"the setting {_KEYS.get(name, name)}" for name in settings]
        if self.base != new.base:
            found.append("the initrd that it is appended to")
        found += [name for name in entries if name not in _DERIVED]
        return found or entries

    def is_intact(self, out: Path) -> bool:
        """Tell whether the file ``out`` is the image as it was written."""
        return bool(self.stored.digest) and inputs.is_same(out, self.stored)

    def outdated(self, *, root: Root) -> str:
        """Return why the image may have to be written anew, "" if nothing has changed."""
        if not self.is_intact(Path(self.output)):
            return f"it {_become(self.output)} since it was written"
        if self.version != __version__:
            return f"it was written by kdump-initrd {self.version}, and this is {__version__}"
        name = inputs.changed(self.inputs, root=root)
        return "" if name is None else f"{name} {_become(name)} since it was written"

    def save(self, name: str, *, root: Root) -> None:
        """Keep it as ``name``, completely or not at all. Raises KdumpInitrdError."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True)
        with new_file(_path(name, root), force=True) as new:
            new.write(f"{text}\n".encode())


def load(name: str, *, root: Root) -> Record | None:
    """Return what was kept as ``name``; None if there is nothing usable.

    A record of an image outside ``root`` is not usable either.
    """
    try:
        table = json.loads(root.read_text(_path(name, root), limit=_LARGEST))
        taken = {path: _input(each) for path, each in table["inputs"].items()}
        record = Record(**{**table, "inputs": taken, "stored": _input(table["stored"])})
        return record if _is_sound(record) and _is_inside(record.output, root) else None
    except (KdumpInitrdError, OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    except RecursionError:
        return None


def every(*, root: Root) -> dict[str, Record]:
    """Return all that were kept, by name."""
    names = [path.stem for path in root.entries(FOLDER, "*.json")]
    found = {name: load(name, root=root) for name in names}
    return {name: record for name, record in found.items() if record is not None}


def forget(name: str, *, root: Root) -> None:
    """Delete what was kept as ``name``."""
    _path(name, root).unlink(missing_ok=True)


def listed(reasons: list[str]) -> str:
    """Return the reasons as a part of one line: the first ones, and how many more there are."""
    more = len(reasons) - _NAMED
    return ", ".join(reasons[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def alone(*, root: Root, patience: float = _PATIENCE) -> Iterator[None]:
    """Let only one run at a time execute the block; ``patience`` is how many seconds to wait.

    The folder of the records exists in the block, and after it if there is a record in it. Raises
    KdumpInitrdError if another run is still at work after that time, or if the folder cannot be
    made.
    """
    end = time.monotonic() + patience
    descriptor = _try(root)
    if descriptor is None:
        logger.info("waiting for another run of --refresh or --remove")
    while descriptor is None:
        if time.monotonic() > end:
            raise KdumpInitrdError(
                f"{_folder(root)}: another run is still at work after {patience:g} s",
                hint="check what that run waits for, then run mkinitrd-kdump --refresh",
            )
        time.sleep(0.1)
        descriptor = _try(root)
    try:
        yield
    finally:
        with suppress(OSError):
            _folder(root).rmdir()
        os.close(descriptor)


def _try(root: Root) -> int | None:
    # The folder itself is locked: nothing is left behind, even if the process is killed.
    folder = _folder(root)
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KdumpInitrdError(
            f"{folder}: {error.strerror}", hint="make that folder writable"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The previous owner may have removed it.
        if os.path.samestat(os.fstat(descriptor), folder.stat()):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def is_hidden(name: str, *, root: Root) -> bool:
    """Tell whether there is something kept as ``name`` that this process may not read."""
    path = root.file(_path(name, root))
    return path is not None and not os.access(path, os.R_OK)


def _become(path: str) -> str:
    return "has been changed" if os.path.lexists(path) else "has been removed"


def _path(name: str, root: Root) -> Path:
    return _folder(root) / f"{name}.json"


def _folder(root: Root) -> Path:
    folder = root.resolve(FOLDER)
    if folder is None:
        raise KdumpInitrdError(f"{root.path / FOLDER}: {os.strerror(errno.ELOOP)}")
    return folder


def _is_inside(output: str, root: Root) -> bool:
    path = Path(output)
    return path.is_relative_to(root.path) and root.real_path(path.parent) == path.parent


def _input(table: Any) -> Input:  # noqa: ANN401 - what JSON has
    return replace(Input(**table), stamp=tuple(table["stamp"]))


def _is_sound(record: Record) -> bool:
    words = (record.kind, record.release, record.version, record.output, record.base, record.why)
    tables = (record.settings, record.entries)
    return all(isinstance(word, str) for word in words) and all(
        isinstance(table, dict) and all(isinstance(each, str) for each in table.values())
        for table in tables
    )


def _unlike(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
