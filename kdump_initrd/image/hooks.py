# SPDX-License-Identifier: GPL-2.0-or-later
"""The runtime hooks of a capture image: which ones exist, their order, and what they need."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core import files
from ..core.errors import KdumpInitrdError
from ..core.root import Root

#: The stages of a capture, in order; inside a stage the order is lexical. The last two come once.
STAGES = (
    *("pre-mount", "mount", "pre-save", "save", "post-save", "success", "emergency", "umount"),
    *("failure", "final"),
)
LAST = STAGES[-2:]
_NAME = re.compile(r"[0-9][\w-]*")
#: The header of a hook ends within so many bytes.
_HEAD = 1 << 16
_SECONDS = re.compile(r"[0-9]{1,6}")
_HEADER = re.compile(r"# (needs|applets|timeout): (.*)")


@dataclass(frozen=True)
class Needs:
    """What a script's header says that it needs.

    ``commands`` must be in the image; ``applets`` are taken from busybox where there is one and
    done by Python elsewhere; ``timeout`` is in seconds, 0 for none. ``files`` are files of the
    root, by their absolute paths.
    """

    commands: tuple[str, ...]
    applets: tuple[str, ...]
    timeout: int
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hook:
    """One hook: hooks/<stage>/<name> on the host, the same below the image's hooks folder.

    ``source`` is where that is, free of links.
    """

    stage: str
    name: str
    source: Path
    needs: Needs

    @property
    def path(self) -> str:
        """Where the hook is, relative to the folder of hooks."""
        return f"{self.stage}/{self.name}"

    @property
    def timeout(self) -> int:
        """Seconds that the hook may take, 0 for no limit."""
        return self.needs.timeout


def discover(search_path: Sequence[Path], *, root: Root) -> tuple[Hook, ...]:
    """Return the hooks on ``search_path`` in their order; of two with one name the first wins.

    Links in folders of ``root`` are followed within it. Raises KdumpInitrdError for a hook that is
    not executable, or not a file.
    """
    found: dict[tuple[int, str], Hook] = {}
    for order, stage in enumerate(STAGES):
        for folder in search_path:
            for path in root.entries(folder / stage, "[0-9]*"):
                if not _NAME.fullmatch(path.name):
                    continue  # an editor's backup
                source = root.real_path(path)
                found.setdefault((order, path.name), read_one(stage, path.name, source))
    return tuple(found[key] for key in sorted(found))


def read_one(stage: str, name: str, source: Path) -> Hook:
    """Return a hook from any place; raises KdumpInitrdError as discover() does."""
    return Hook(stage, name, source, _read_hook(source))


def _read_hook(source: Path) -> Needs:
    try:
        # It may be a program of any size: its header is at its beginning.
        with files.open_file(source) as file:
            head = file.read(_HEAD)
            executable = os.fstat(file.fileno()).st_mode & 0o100
    except OSError as error:
        raise KdumpInitrdError(f"{source}: {error.strerror}") from error
    if not executable:
        raise KdumpInitrdError(f"{source}: not executable", hint=f"chmod +x {source}")
    return read_needs(head.decode("utf-8", "replace"), source)


def read_needs(text: str, source: Path) -> Needs:
    """Return what the header of script ``text`` says; raises KdumpInitrdError if it is wrong."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if match := _HEADER.fullmatch(line):
            values[match.group(1)] = match.group(2)
    timeout = values.get("timeout", "60")
    if not _SECONDS.fullmatch(timeout):
        raise KdumpInitrdError(f"{source}: timeout: expected whole seconds, not {timeout!r}")
    words = values.get("needs", "").split()
    return Needs(
        tuple(word for word in words if not word.startswith("/")),
        tuple(values.get("applets", "").split()),
        int(timeout),
        tuple(word for word in words if word.startswith("/")),
    )
