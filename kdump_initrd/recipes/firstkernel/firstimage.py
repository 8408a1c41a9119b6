# SPDX-License-Identifier: GPL-2.0-or-later
"""A first kernel's initrd, decided and written: what both of its recipes have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...config.settings import FirstKernelSettings
from ...core.log import step
from ...core.publish import Stamp
from ...core.root import Root
from ...image import listing
from ...image.archive.cpio import Packing, write_image
from ...image.archive.stored import Bytes
from ...image.manifest import Manifest
from ...image.tree import Entry, Tree
from ...probe.distro.profiles import Distro


@dataclass(frozen=True)
class Order:
    """What to make: the settings, the root that it comes from, the regular kernel's release.

    ``tree`` contains the payload, ``manifest`` what is known of the image so far; ``values`` are
    for the templates that call the payload's hook; ``facts`` are lines of the summary, as name and
    value.
    """

    settings: FirstKernelSettings
    root: Root
    profile: Distro
    release: str
    tree: Tree
    manifest: Manifest
    values: Mapping[str, object]
    facts: Mapping[str, str]


@dataclass(frozen=True)
class FirstImage:
    """A first kernel's initrd, decided: what is written, after which base, and where.

    ``root`` is what it was decided from; it remembers everything that it was asked for. ``base`` is
    empty for a whole initrd; ``mode`` are the permission bits of the file; ``instead`` is the stamp
    of the base, if ``out`` replaces it.
    """

    out: Path
    entries: tuple[Entry, ...]
    packing: Packing
    facts: Mapping[str, str]
    root: Root
    base: Bytes = b""
    mode: int = 0o600
    instead: Stamp | None = None

    def lines(self) -> Iterator[str]:
        """Yield what would be written after the base, a line for each entry."""
        yield from listing.list_entries(self.entries)

    def write(self, *, force: bool) -> int:
        """Write the image and return its size in bytes; raises KdumpInitrdError.

        ChangedError means that the base has been replaced since it was read.
        """
        with step(f"Writing {self.out}"):
            return write_image(
                self.entries,
                self.out,
                self.packing,
                force=force or self.instead is not None,
                mode=self.mode,
                base=self.base,
                instead=self.instead,
            )

    def summary(self, stored: int) -> Iterator[str]:
        """Yield what the user wants to know about the image, a file of ``stored`` bytes."""
        size = f"{stored / 1e6:.2f} MB stored"
        if self.base:
            size += f", {(stored - len(self.base)) / 1e6:.2f} MB of it added"
        for name, value in {"image": str(self.out), "size": size, **self.facts}.items():
            yield f"  {name:<14} {value}"
