# SPDX-License-Identifier: GPL-2.0-or-later
"""Unified kernel images of a root: EFI programs that have a kernel and its initrd as sections.

Format: UAPI.5 "Unified Kernel Image" (uapi-group.org).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...core import pesections
from ...core.files import FILE, open_file
from ...core.root import Root
from ..distro import placeholder

_KERNEL, _RELEASE = ".linux", ".uname"
#: uname(2), in bytes, and generously.
_LONGEST_RELEASE = 256


@dataclass(frozen=True)
class UnifiedImage:
    """One such file; ``places`` are where its sections begin and how many bytes each has."""

    path: Path
    places: Mapping[str, tuple[int, int]]

    def kernel(self) -> bytes:
        """Return the kernel in it as it was put in; raises OSError for a file that is cut off."""
        return self._section(_KERNEL, FILE)

    def release(self) -> str:
        """Return the release that it says it is of, "" for none; raises OSError."""
        if _RELEASE not in self.places:
            return ""
        return self._section(_RELEASE, _LONGEST_RELEASE).decode("ascii", "replace").strip("\0\n ")

    def _section(self, name: str, limit: int) -> bytes:
        start, size = self.places[name]
        with open_file(self.path) as file:
            file.seek(start)
            data = file.read(min(size, limit))
        if len(data) < size:
            raise OSError(f"its section {name} is cut off, or too large")
        return data


def read(path: Path) -> UnifiedImage | None:
    """Return what the file is, None for anything but such an image; raises OSError."""
    with open_file(path) as file:
        places = pesections.places(file)
    return UnifiedImage(path, places) if _KERNEL in places else None


def find(release: str, patterns: Sequence[str], *, root: Root) -> UnifiedImage | None:
    """Return the image of a kernel release among the files of ``patterns``, None for none.

    An image tells its release itself. One that does not is of the release that its name ends with,
    as kernel-install(8) names it (ENTRY-TOKEN-RELEASE.efi).
    """
    for pattern in patterns:
        for name in placeholder.expand(pattern, root=root, release=release):
            place = PurePosixPath(name)
            for path in root.entries(place.parent, place.name):
                found = _of(release, root.file(path))
                if found is not None:
                    return found
    return None


def _of(release: str, path: Path | None) -> UnifiedImage | None:
    with suppress(OSError):
        image = read(path) if path else None
        if image is not None:
            said = image.release()
            named = image.path.stem.endswith(f"-{release}")
            return image if said == release or (not said and named) else None
    return None
