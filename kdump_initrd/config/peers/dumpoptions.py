# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of makedumpfile(8) in the peers' files, translated into our settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ...saver.codec import rows as pagecodecs
from ..findings import Findings, Said
from .meanings import split

_CODECS = {row.option: row.name for row in pagecodecs.ROWS}
#: Options that have a value; one-letter options without one can be joined in a single word.
_WITH_VALUE = (
    *("-d", "-L", "-x", "-i", "-g", "-b", "--message-level", "--num-threads", "--cyclic-buffer"),
    *("--splitblock-size", "--work-dir", "--config", "--eppic", "--xen-syms", "--xen-vmcoreinfo"),
    *("--xen_phys_start", "--vtop", "--diskset"),
)
#: Options that change how makedumpfile works, but not what is in the dump.
_IDLE = (
    *("-f", "-D", "-b", "--message-level", "--cyclic-buffer", "--work-dir", "--non-mmap"),
    *("--non-cyclic", "--splitblock-size", "--show-stats", "--check-params", "-x", "-i"),
)
_COPIES = ("cp", "cat", "dd")


@dataclass(frozen=True)
class _Wanted:
    codec: str = ""
    level: str = ""
    threads: str = ""
    elf: bool = False
    flat: bool = False
    unknown: tuple[str, ...] = ()


def collector(findings: Findings, said: Said) -> None:
    """A whole command that writes the dump: makedumpfile, or a plain copy."""
    words = split(findings, said, said.value)
    if not words:
        return
    program = PurePosixPath(words[0]).name
    if program == "makedumpfile":
        _take(findings, said, _read(words[1:]), whole=True)
    elif program in _COPIES:
        plain_copy(findings, said)
    else:
        findings.warn(said, f"not used: {words[0]} is not run, the saver writes the dump")


def options(findings: Findings, said: Said) -> None:
    """All options that makedumpfile gets."""
    words = split(findings, said, said.value)
    if words:
        _take(findings, said, _read(words), whole=True)


def more_options(findings: Findings, said: Said) -> None:
    """Options that makedumpfile gets in addition to those that come from other keys."""
    words = split(findings, said, said.value)
    if words:
        _take(findings, said, _read(words), whole=False)


def plain_copy(findings: Findings, said: Said) -> None:
    """A verbatim copy of /proc/vmcore: ELF, with nothing left out."""
    findings.take("dump_format", "elf", said)
    findings.take("dump_level", "0", said)
    findings.forget("dump_compress")


def _read(words: Sequence[str]) -> _Wanted:
    found = _Wanted()
    for option, value in _options(words):
        if option in _CODECS:
            found = replace(found, codec=_CODECS[option])
        elif option == "-d":
            found = replace(found, level=value.partition(",")[0] or "none")
        elif option == "--num-threads":
            found = replace(found, threads=value or "none")
        elif option == "-E":
            found = replace(found, elf=True)
        elif option == "-F":
            found = replace(found, flat=True)
        elif option not in _IDLE:
            found = replace(found, unknown=(*found.unknown, f"{option} {value}".rstrip()))
    return found


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (option, value) as getopt_long(3) would: -cd31, --num-threads=4."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            if option in _WITH_VALUE and not equals and rest:
                value = rest.pop(0)
            yield option, value
            continue
        if not word.startswith("-") or word == "-":
            yield word, ""
            continue
        letters = word[1:]
        while letters:
            option, letters = f"-{letters[0]}", letters[1:]
            value = ""
            if option in _WITH_VALUE:
                value = letters or (rest.pop(0) if rest else "")
                letters = ""
            yield option, value


def _take(findings: Findings, said: Said, wanted: _Wanted, *, whole: bool) -> None:
    """Add these options; with ``whole``, what is not there has makedumpfile's own default."""
    if wanted.unknown:
        findings.warn(said, f"not used: {', '.join(wanted.unknown)}: the saver has no such option")
    if wanted.elf and wanted.flat:
        findings.warn(said, "not used: -F: an ELF dump is not flattened")
    if wanted.elf:
        findings.take("dump_format", "elf", said)
    elif wanted.flat:
        findings.take("dump_format", "flat", said)
    elif whole:
        findings.take("dump_format", "kdump", said)
    codec = wanted.codec or ("none" if whole else "")
    if codec and not wanted.elf:
        findings.take("dump_compress", codec, said)
    level = wanted.level or ("0" if whole else "")
    if level:
        findings.take("dump_level", level, said)
    if wanted.threads:
        findings.take("jobs", wanted.threads if wanted.threads != "0" else "1", said)
