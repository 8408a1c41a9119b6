# SPDX-License-Identifier: GPL-2.0-or-later
"""The first kernel's initrd as a segment appended to the distribution's own; and back."""

from __future__ import annotations

import errno
import stat
from dataclasses import replace
from pathlib import Path

from ...core.compression import Codec
from ...core.errors import KdumpInitrdError
from ...core.log import get_logger, step
from ...core.publish import new_file, shorten, twice
from ...core.resources import search_path
from ...core.root import Root
from ...image.archive.base import Base, place, read_base, stripped
from ...image.archive.cpio import Packing
from ...image.archive.segments import read_manifest
from ...image.archive.stored import Bytes, Part, pieces
from ...image.manifest import MANIFEST, SEGMENT
from ...image.render import render
from ...image.tree import Tree
from ...probe.distro.profiles import Distro, InitrdKind
from ...probe.kernel import releases
from ..parts import imagecodec
from ..parts.layout import time_stamp
from .firstimage import FirstImage, Order

logger = get_logger(__name__)


def find_base(named: str | None, *, root: Root, profile: Distro, release: str) -> Path | None:
    """Return the base: the file ``named``, else the distribution's initrd of ``release``.

    None if the root has no initrd of that release. Raises KdumpInitrdError if the ``named`` one
    does not exist.
    """
    if named is None:
        return releases.first(profile.kernel.initrd, root=root, release=release)
    path = root.file(root.named(named))
    if path is None:
        raise KdumpInitrdError(f"--base {named}: no such file", hint="name an initrd")
    return path


def plan(order: Order, path: Path) -> FirstImage:
    """Decide the segment that is appended to the initrd at ``path``.

    Raises KdumpInitrdError for a base that is not a sound initrd of a known kind.
    """
    settings = order.settings
    with step(f"Reading {path}"):
        base = read_base(path)
        kind = _kind(base, order.profile)
        compression = _compression(base)
    tree = order.tree
    with step("Fitting the hook into it"):
        for name, template in kind.files.items():
            _add_hook(tree, base, name, template, order)
        # By their final paths, as the base's links lead to them.
        reasons = {str(entry.dest): entry.why for entry in place(tree, base)}
        manifest = replace(
            order.manifest,
            base_size=len(base.data),
            base_sha256=base.sha256,
            entries=reasons,
        )
        tree.add_content(SEGMENT, manifest.to_json().encode(), why="what this segment is")
        entries = tuple(place(tree, base))
    in_place = settings.in_place
    facts = {"base": f"{path} ({_describe(base, kind)}, {base.codec.value})", **order.facts}
    return FirstImage(
        out=path if in_place else _out(order, path),
        entries=entries,
        packing=Packing(compression, time_stamp(), fast=True),
        facts=facts,
        base=_joined(base, compression),
        mode=stat.S_IMODE(path.stat().st_mode),
        root=order.root,
        instead=base.stamp if in_place else None,
    )


def strip(image: Path, out: str | None, *, force: bool) -> None:
    """Write the bytes that ``image`` had before our segment, in place unless ``out`` is given.

    In place it needs no space: if there is none for a copy, the file is truncated. Raises
    KdumpInitrdError for a file that is not an initrd, or is damaged, and for a whole initrd of
    ours.
    """
    twice(lambda: _strip(image, out, force=force))


def _strip(image: Path, out: str | None, *, force: bool) -> None:
    path = Root().named(image)
    found = stripped(path)
    if not found.extended:
        manifest = read_manifest(path)
        if manifest is not None:
            raise KdumpInitrdError(
                f"{image}: a complete {manifest.kind} initrd of kdump-initrd, without a base in it",
                hint="it can only be removed",
            )
        logger.info("%s: no segment of kdump-initrd in it", image)
        if out is None:
            return
    target = path if out is None else Path(out)
    mode = stat.S_IMODE(path.stat().st_mode)
    instead = found.stamp if out is None else None
    try:
        written = new_file(target, force=force or out is None, mode=mode, instead=instead)
        with written as new, open(new.descriptor, "wb", closefd=False) as file:
            for piece in pieces(found.data):
                file.write(piece)
    except KdumpInitrdError as error:
        if instead is None or not _lacks_room(error):
            raise
        logger.debug("%s: no room for a copy: truncating it in place", target)
        # The bytes that remain are those whose SHA-256 has just been compared.
        shorten(target, len(found.data), before=instead)
    logger.info("%s: %s bytes, as before", target, len(found.data))


def _lacks_room(error: KdumpInitrdError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def _kind(base: Base, profile: Distro) -> InitrdKind:
    for kind in profile.initrds:
        if all(base.find(mark) is not None for mark in kind.marks):
            break
    else:
        known = ", ".join(kind.name for kind in profile.initrds)
        raise KdumpInitrdError(
            f"{base.path}: an initrd of an unknown kind (known kinds: {known})",
            hint="--standalone writes a complete initrd without it",
        )
    manifest = read_manifest(base.path) if MANIFEST in base.members else None
    if manifest is not None and manifest.kind == "capture":
        raise KdumpInitrdError(
            f"{base.path}: a capture initrd, not the regular kernel's",
            hint="name the distribution's initrd",
        )
    return kind


def _describe(base: Base, kind: InitrdKind) -> str:
    has = [word for word, path in kind.features.items() if base.find(path) is not None]
    lacks = [word for word in kind.features if word not in has]
    words = [f"with {' and '.join(has)}"] if has else []
    words += [f"without {' and '.join(lacks)}"] if lacks else []
    return " ".join([kind.name, *words])


def _compression(base: Base) -> Codec:
    if base.codec is Codec.LZ4_FRAME:
        raise KdumpInitrdError(
            f"{base.path}: an lz4 frame, which no kernel can unpack",
            hint="compress it again with lz4 -l",
        )
    return imagecodec.behind(base.codec)


def _joined(base: Base, compression: Codec) -> Bytes:
    # lsinitramfs runs the unpacking program once for the whole file: there must be no gap.
    # Only a plain archive must begin at a multiple of four (init/initramfs.c).
    padding = -len(base.data) % 4 if compression is Codec.NONE else 0
    return Part(base.data, 0, len(base.data), padding=padding)


def _add_hook(tree: Tree, base: Base, name: str, template: str, order: Order) -> None:
    present = base.find(name)
    content = present.content if present else b""
    if present and stat.S_ISREG(present.mode) and len(content) != present.size:
        raise KdumpInitrdError(
            f"{base.path}: {name}: {present.size} bytes are too large to be extended",
            hint="rebuild the base",
        )
    # Its bytes must be the same at the end, whatever they are.
    values = {**order.values, "previous": content.decode("utf-8", "surrogateescape")}
    folders = search_path("templates", root=order.root)
    text = render(template, values, search_path=folders, root=order.root)
    own = 0o755 if text.startswith("#!") else 0o644
    mode = stat.S_IMODE(present.mode) if present else own
    body = text.encode("utf-8", "surrogateescape")
    tree.add_content(name, body, why="calls the hook", mode=mode)


def _out(order: Order, base: Path) -> Path:
    if order.settings.output:
        return Path(order.settings.output)
    return base.parent / order.profile.kernel.first_image.format(release=order.release)
