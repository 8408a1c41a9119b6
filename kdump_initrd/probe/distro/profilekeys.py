# SPDX-License-Identifier: GPL-2.0-or-later
"""What a profile may say: its keys, and what each value has to look like."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ...core.errors import KdumpInitrdError
from ...core.schema import Read, Table, one_of, record, relative, some, text, texts, word
from ...saver.codec import rows as pagecodecs
from ..kernel import versions
from . import architectures, placeholder

#: The packages that configure kdump on a distribution; "" if it has none of them.
PEERS = ("kdump-utils", "suse-kdump", "kdump-tools", "")
#: How a boot loader's command line is changed (kdump_initrd/bootloaders/ways.py).
WAYS = (*("drop-in", "variable", "grubby", "pbl", "rpm-ostree", "kernel-install", "uki", "zipl"),)
#: Names of profiles: those of os-release's ID (os-release(5)).
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{,63}")
#: Sections whose values are lists of words.
LISTS = ("hardware", "filesystems", "cmdline")
#: A time whose numbers all differ, so that a name shows each: 2001-02-03 16:05:06 UTC.
_EXAMPLE = time.gmtime(981216306)


@dataclass(frozen=True)
class Kernel:
    """Where kernels, their modules and images lie; kernel.first() resolves the words in braces.

    ``uki`` are patterns (fnmatch) for unified kernel images. ``initrd`` are the candidates for the
    distribution's own initrd, ``first_image`` is the name of ours for the first kernel, beside it;
    of ``managed``, any file says that /boot is replaced as a whole. ``debug`` are the ends of the
    releases of debug kernels, whose plain sibling lacks it. ``versions`` orders releases
    (versions.ORDERS).
    """

    image: tuple[str, ...]
    uki: tuple[str, ...]
    config: tuple[str, ...]
    modules: tuple[str, ...]
    firmware: tuple[str, ...]
    initrd: tuple[str, ...]
    managed: tuple[str, ...]
    debug: tuple[str, ...]
    capture_image: str
    first_image: str
    versions: str


@dataclass(frozen=True)
class Dump:
    """Where dumps go and what they are called: strftime patterns of the crash time in UTC.

    ``readme`` is a text for people beside the dump, "" for none. ``codecs`` are the compressions
    of pages that the distribution's readers of dumps open, the fastest first.
    """

    path: str
    directory: str
    dump: str
    dmesg: str
    capture_log: str
    readme: str
    codecs: tuple[str, ...]


@dataclass(frozen=True)
class Tools:
    """Candidates for the shell and tools of the image, relative to the root."""

    busybox: tuple[str, ...]
    shell: tuple[str, ...]
    path: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """What configures kdump on the distribution: ``peer`` is the package, "" for none."""

    peer: str


@dataclass(frozen=True)
class BootLoader:
    """A boot loader, and how words get onto its command line; all paths are of the root.

    It is there if all of ``marks`` are, and one of ``any``, if that has any. ``file`` is what is
    written, ``formerly`` what earlier versions wrote instead, ``variable`` the name in it,
    ``usual`` what that means where it is empty, ``run`` the command that makes it count.
    ``sources`` are files in which a person may have a word, and ``reads`` those that the boot
    loader reads: the first that has a command line counts. Of a path in the last three and in
    ``any`` the last part may have wildcards.
    """

    way: str
    marks: tuple[str, ...]
    any: tuple[str, ...] = ()
    file: str = ""
    formerly: tuple[str, ...] = ()
    variable: str = ""
    usual: str = ""
    run: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


#: The sections that are records.
SECTIONS: Mapping[str, type] = {"kernel": Kernel, "dump": Dump, "tools": Tools, "config": Config}


def check_complete(distro: str, merged: Mapping[str, Any]) -> None:
    """Refuse a profile that lacks something, mostly because ``inherits`` is missing."""
    hint = 'inherits = "linux" has a value for every key'
    if "name" not in merged or "common" not in merged.get("cmdline", {}):
        raise KdumpInitrdError(f"{distro}.toml: name and cmdline.common are missing", hint=hint)
    for section, kind in SECTIONS.items():
        for row in fields(kind):
            if row.name not in merged.get(section, {}):
                raise KdumpInitrdError(f"{distro}.toml: {section}.{row.name} is missing", hint=hint)


def _absolute(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/"):
        raise ValueError("expected a path that begins with /, without ..")
    return text


def _file_name(text: str) -> str:
    if text in ("", ".", "..") or "/" in text:
        raise ValueError("expected the name of a file, without a /")
    return text


def _stamped(text: str) -> str:
    # A name with the crash time in it, as the saver will expand it.
    try:
        name = time.strftime(text, _EXAMPLE)
    except ValueError:
        raise ValueError("expected a pattern of strftime(3)") from None
    _file_name(name)
    return text


def _pattern(*words: str, path: Read = relative) -> Read:
    names = ", ".join(f"{{{word}}}" for word in words)

    def check(text: str) -> Any:  # noqa: ANN401 - what path returns
        if placeholder.unknown(text, words):
            raise ValueError(f"expected only the words {names}")
        return path(text)

    return check


def _module(text: str) -> str:
    if not re.fullmatch(r"[\w-]+", text):
        raise ValueError("expected the name of a kernel module")
    return text


def _profile(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("expected the name of a profile, without .toml")
    return text


_ANY, _RELEASE = _pattern(*placeholder.WORDS), _pattern(placeholder.RELEASE)


@functools.cache
def declared() -> Table:
    """Return what a profile may say; raises KdumpInitrdError if architectures.toml is broken."""
    machines = architectures.facts().known
    return Table({
        "inherits": text(_profile),
        "name": text(word),
        "ids": texts(_profile),
        "files": texts(relative),
        "kernel": record(
            Kernel, relative,
            image=texts(_ANY), config=texts(_ANY), initrd=texts(_ANY), modules=texts(_RELEASE),
            uki=texts(_RELEASE),
            debug=texts(word),
            capture_image=text(_RELEASE),
            first_image=text(_pattern(placeholder.RELEASE, path=_file_name)),
            versions=text(one_of(*versions.ORDERS)),
        ),
        "dump": record(
            Dump, _stamped,
            path=text(_absolute), capture_log=text(_file_name),
            readme=text(lambda name: name and _stamped(name)),
            codecs=some(texts(one_of(*pagecodecs.BY_NAME))),
        ),
        "tools": record(Tools, relative),
        "config": record(Config, peer=text(one_of(*PEERS))),
        "hardware": Table(others=texts(_module)),
        "filesystems": Table(others=texts(_module)),
        "cmdline": Table({name: texts(word) for name in ("common", "inherit", *machines)}),
        "initrd": Table(others=Table({
            "marks": texts(relative),
            "files": Table(others=text(relative), names=relative),
            "features": Table(others=text(relative)),
        }, needed=("marks", "files"))),
        "bootloader": Table(others=replace(record(
            BootLoader, relative, way=text(one_of(*WAYS)), run=texts(word),
            **dict.fromkeys(("variable", "usual"), text(word)),
        ), needed=("way", "marks", "reads"))),
    })  # fmt: skip
