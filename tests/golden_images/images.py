# SPDX-License-Identifier: GPL-2.0-or-later
"""The images of a system, decided but not packed, and the texts in them that are agreed upon."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from kdump_initrd.config.settings import CaptureSettings, FirstKernelSettings
from kdump_initrd.config.targetsettings import TargetSettings
from kdump_initrd.core.resources import search_path
from kdump_initrd.core.root import Root
from kdump_initrd.image import listing
from kdump_initrd.image.manifest import MANIFEST, SEGMENT, Manifest
from kdump_initrd.image.stage import SECOND_STAGE
from kdump_initrd.image.tree import Entry, Kind
from kdump_initrd.recipes import capture
from kdump_initrd.recipes.firstkernel import recipe
from kdump_initrd.recipes.firstkernel.firstimage import FirstImage

from ..unit.initrdwriter import write_capture
from . import fakeroot
from .systems import System

DUMP_UUID = "UUID=4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"
LIB = "usr/lib/kdump-initrd"
ON_DEMAND = "etc/kdump-initrd/on-demand"
#: Sets that the roots have some drivers of.
HARDWARE = ("virtio", "nvme", "scsi", "hyperv")
#: Tables of a base that are sourced, and have no line that says so.
TABLES = ("config", "scripts/init-top/ORDER")
#: What is made from this checkout or by the Python that runs this: no size of it is agreed upon.
UNSIZED = {
    f"{LIB}/python.zip": "the saver, compiled where that Python is the root's",
    str(SECOND_STAGE): "holds the former, packed",
    str(MANIFEST): "a golden file of its own, with this version's number in it",
    str(SEGMENT): "the same",
    "kdump-initrd/initrd": "packed by whatever zstd there is",
    "etc/kdump-initrd/image-id": "the SHA-256 of all of it",
    "kdump-initrd/facts": "tells its SHA-256",
}
#: Scripts that are copied as they lie: to lint them there is enough.
AS_THEY_LIE = frozenset(
    path.read_bytes()
    for folder in search_path("hooks", root=Root(Path("/none")))
    for path in folder.rglob("*")
    if path.is_file()
)


@dataclass(frozen=True)
class Image:
    """One image: ``kind`` is "capture", "first-kernel" (appended) or "whole".

    ``entries`` are what the kernel unpacks, ``later`` is the second stage. ``facts`` are what is
    said about it; ``base`` is the kind of initrd that it is appended to, "" for none.
    """

    system: System
    kind: str
    entries: tuple[Entry, ...]
    later: tuple[Entry, ...]
    manifest: Manifest
    facts: Mapping[str, str]
    base: str = ""

    @property
    def name(self) -> str:
        """What the golden files lie below."""
        return f"{self.system.profile}/{self.kind}"

    def texts(self) -> dict[str, str]:
        """Return the golden texts by their names: facts and entries, manifest, what is rendered."""
        found = {"list": self._list(), f"{self.manifest_place.name}": self._manifest()}
        for entry in (*self.entries, *self.later):
            if is_composed(entry) and str(entry.dest.parent) != ON_DEMAND:
                found[str(entry.dest)] = _by_lines(entry)
        lists = [each for each in self.entries if str(each.dest.parent) == ON_DEMAND]
        if lists:
            parts = (f"[{each.dest.name}]\n{each.content.decode()}" for each in lists)
            found[ON_DEMAND] = "".join(parts)
        return found

    def scripts(self) -> dict[str, str]:
        """Return the rendered shell scripts by their places."""
        texts = {str(each.dest): each.content.decode() for each in self.entries
                 if is_composed(each)}  # fmt: skip
        return {
            name: text
            for name, text in texts.items()
            if text.startswith(("#!", "# shellcheck shell=")) or name in TABLES
        }

    @property
    def manifest_place(self) -> PurePosixPath:
        """Where the image has its manifest."""
        return SEGMENT if self.base else MANIFEST

    def _list(self) -> str:
        lines = [f"# {name}: {value}" for name, value in self.facts.items()]
        lines += listing.list_entries(map(_sized, self.entries))
        if self.later:
            lines += ["# second stage", *listing.list_entries(map(_sized, self.later))]
        return "".join(f"{line}\n" for line in lines)

    def _manifest(self) -> str:
        """Return the manifest without its entries, which the list has, version and hash."""
        place = self.manifest_place
        (text,) = (each.content.decode() for each in self.entries if each.dest == place)
        record = json.loads(text)
        del record["entries"], record["version"], record["image"]
        return json.dumps(record, indent=1) + "\n"


def is_composed(entry: Entry) -> bool:
    """Tell whether an entry is a text that the generator has put together."""
    copied = entry.content in AS_THEY_LIE | fakeroot.COPIED or b"\0" in entry.content
    return entry.kind is Kind.FILE and str(entry.dest) not in UNSIZED and not copied


def _by_lines(entry: Entry) -> str:
    """Return a text; of JSON, packed as it is in the image, a line has one value."""
    text = entry.content.decode()
    if entry.dest.suffix == ".json":
        return json.dumps(json.loads(text), indent=1) + "\n"
    return text


def _sized(entry: Entry) -> Entry:
    """Return the entry as it is listed: of size 0 where its bytes are not the root's alone."""
    unsized = str(entry.dest) in UNSIZED or entry.content in AS_THEY_LIE
    return replace(entry, content=b"") if unsized and entry.kind is Kind.FILE else entry


def build(system: System, top: Path) -> list[Image]:
    """Build the root of ``system`` in the new folder ``top``, and decide its images."""
    root = fakeroot.build(top / "root", system)
    settings = CaptureSettings(
        targets=(TargetSettings(DUMP_UUID, system.fstype),), release=system.release,
        root=str(root), dry_run=True, hardware=HARDWARE,
    )  # fmt: skip
    plan = capture.plan(settings)
    facts = {
        "written to": str(plan.out.relative_to(root)),
        "packed by": plan.packing.compression.value,
    }
    found = [Image(system, "capture", tuple(plan.tree), plan.second, plan.manifest, facts)]
    written = write_capture(
        top / "capture.img",
        kernel=system.release,
        machine=system.machine,
        cmdline=plan.manifest.cmdline,
    )
    first = FirstKernelSettings(
        capture_initrd=str(written), capture_kernel=system.release, release=system.release,
        root=str(root), dry_run=True, append_cmdline="loglevel=7 it's",
    )  # fmt: skip
    found.append(_first_kernel(system, recipe.plan(first), root))
    if system.whole:
        whole = replace(first, standalone=True, hardware=HARDWARE)
        found.append(_first_kernel(system, recipe.plan(whole), root))
    return found


def _first_kernel(system: System, plan: FirstImage, root: Path) -> Image:
    place = SEGMENT if plan.base else MANIFEST
    (text,) = (each.content.decode() for each in plan.entries if each.dest == place)
    facts = {name: value.replace(f"{root}/", "") for name, value in plan.facts.items()}
    return Image(
        system,
        "first-kernel" if plan.base else "whole",
        plan.entries,
        (),
        Manifest.from_json(text),
        {
            "written to": str(plan.out.relative_to(root)),
            "packed by": plan.packing.compression.value,
            **facts,
        },
        base=facts["base"].split("(")[1].split()[0] if plan.base else "",
    )


def distinct(images: Iterable[Image]) -> dict[str, str]:
    """Return every rendered script once, by "profile/kind/place" of the first that has it."""
    found: dict[str, str] = {}
    for image in images:
        for name, text in image.scripts().items():
            found.setdefault(text, f"{image.name}/{name}")
    return {place: text for text, place in found.items()}
