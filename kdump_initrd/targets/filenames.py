# SPDX-License-Identifier: GPL-2.0-or-later
"""The names of a crash's files, fitted to what the dump's file system accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..core.errors import KdumpInitrdError
from ..core.log import get_logger
from ..saver.low.failure import SaverError
from ..saver.store.naming import REPORT, expand

if TYPE_CHECKING:
    from ..probe.distro.profilekeys import Dump
    from ..probe.distro.profiles import Distro

logger = get_logger(__name__)

#: Replaces a character that is not allowed.
_INSTEAD = "-"
#: A conversion of strftime(3) with glibc's flags, width and modifier.
_CONVERSION = re.compile(r"%[_\-0^#]*\d*[EO]?([A-Za-z%+])")
#: Replacements for conversions whose result has forbidden characters; they are as in the locale C.
_PLAINER = {
    "T": "%H-%M-%S", "X": "%H-%M-%S", "R": "%H-%M", "r": "%I-%M-%S %p",
    "c": "%a %b %e %H-%M-%S %Y", "n": _INSTEAD, "t": _INSTEAD,
}  # fmt: skip
#: The names of the files in the crash's folder.
_FILES = ("dump", "dmesg", "capture_log", "readme")
#: A Wednesday in September, 22:22:22 in the afternoon: no name is longer.
_LONGEST = 1001542942
#: Bytes for what is added to a name that exists, or is incomplete: "-raw-incomplete", "-1000".
_ROOM = 24


@dataclass(frozen=True)
class _Rule:
    # What a name must not have in it and at its end (characters below the blank neither, where
    # anything is forbidden), whether it must be ASCII, whether "A" and "a" are one name, and how
    # long it can be: bytes, which are as many UTF-16 units where it is ASCII.
    forbidden: str = ""
    last: str = ""
    ascii: bool = False
    folds: bool = False
    most: int = 255

    def holds(self, char: str) -> bool:
        """Tell whether a name can contain the character."""
        if self.forbidden and (char < " " or char in self.forbidden):
            return False
        return char.isascii() or not self.ascii


#: As fs/fat/namei_vfat.c (vfat_is_used_badchars), fs/exfat/nls.c (bad_uni_chars) and Windows have
#: it. What is not ASCII depends on how vfat and ntfs3 were built and are mounted.
_DOS = _Rule('"*/:<>?|\\', " .", folds=True)
_RULES: Mapping[str, _Rule] = {
    "vfat": replace(_DOS, ascii=True),
    "exfat": _DOS,
    "ntfs3": replace(_DOS, ascii=True),
    "hpfs": replace(_DOS, ascii=True, most=254),
    "hfsplus": _Rule(folds=True),
    "udf": _Rule(ascii=True, most=254),
    "jfs": _Rule(ascii=True),
}
_ANY = _Rule()


def fit(profile: Distro, fstype: str) -> Distro:
    """Return the profile with names that a file system of that type accepts.

    Raises KdumpInitrdError if a name is too long for it, or if two are the same on it.
    """
    rule = _RULES.get(fstype, _ANY)
    dump = replace(
        profile.dump,
        directory=_fit_pattern(profile.dump.directory, rule),
        dump=_fit_pattern(profile.dump.dump, rule),
        dmesg=_fit_pattern(profile.dump.dmesg, rule),
        readme=_fit_pattern(profile.dump.readme, rule),
        capture_log=_fit_name(profile.dump.capture_log, rule),
    )
    if dump != profile.dump:
        logger.info("%s cannot hold the usual names: a folder is called %s", fstype, dump.directory)
    try:
        _check(dump, fstype, rule)
    except KdumpInitrdError as error:
        hint = f"mkinitrd-kdump --show-distro {profile.id} shows where file names come from"
        raise KdumpInitrdError(error.message, hint=hint) from error
    return replace(profile, dump=dump)


def check_folder(folder: str, fstype: str) -> None:
    """Refuse a folder that the file system cannot hold; raises KdumpInitrdError."""
    rule = _RULES.get(fstype, _ANY)
    for name in PurePosixPath(folder).parts[1:]:
        wrong = [char for char in name if not _Rule(rule.forbidden).holds(char)]
        wrong += [name[-1]] if name[-1] in rule.last else []
        if wrong or len(name.encode()) > rule.most:
            what = f"{wrong[0]!r} in a name, or at its end" if wrong else "such a long name"
            raise KdumpInitrdError(
                f"{folder}: {fstype} cannot hold {what}",
                hint="choose another dump folder: --path DIR, or path in /etc/kdump-initrd.toml",
            )


def _fit_pattern(pattern: str, rule: _Rule) -> str:
    """Return a pattern of strftime that only gives names that the rule allows."""
    done, fitted = 0, ""
    for match in _CONVERSION.finditer(pattern):
        fitted += _fit(pattern[done : match.start()], rule)
        plainer = _PLAINER.get(match[1]) if rule.forbidden else None
        fitted += plainer if plainer is not None else match[0]
        done = match.end()
    return fitted + _fit_name(pattern[done:], rule)


def _fit_name(name: str, rule: _Rule) -> str:
    kept = name.rstrip(rule.last) if rule.last else name
    return _fit(kept, rule) + _INSTEAD * (len(name) - len(kept))


def _fit(text: str, rule: _Rule) -> str:
    return "".join(char if rule.holds(char) else _INSTEAD for char in text)


def _check(dump: Dump, fstype: str, rule: _Rule) -> None:
    taken = {REPORT: "report"}
    for field in ("directory", *_FILES):
        pattern = getattr(dump, field)
        try:
            name = pattern if field == "capture_log" else expand(pattern, _LONGEST)
        except SaverError:
            continue  # the contract with the saver reports it
        if len(name.encode()) + _ROOM > rule.most:
            raise KdumpInitrdError(
                f"{field}: {fstype} cannot hold such a long name: {name[:40]}… (at most "
                f"{rule.most - _ROOM} bytes, not counting what is added to names)"
            )
        same = name.lower() if rule.folds else name
        if field != "directory" and taken.setdefault(same, field) != field:
            raise KdumpInitrdError(
                f"{field}: another file of the crash has that name on {fstype}: {name}"
            )
