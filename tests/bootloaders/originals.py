# SPDX-License-Identifier: GPL-2.0-or-later
"""Files as people write them, of all sorts, for each boot loader that changes one."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

#: A file's bytes; None for no file.
Original = SearchStrategy["bytes | None"]

_COMMENTS = ("", "  # why", "\t# was crashkernel=77M")
_VALUES = (
    *('"quiet splash"', "'quiet'", "quiet", "", '""', "''", '"quiet "', '"  a  b\t"'),
    *('"a \\"b\\" c"', "' a '", '"$GRUB_TIMEOUT x"', '"caf\xe9"', "$(cat /x)", '"a\nb"'),
)
_OTHERS = (
    *("# caf\xe9: crashkernel=1M is but an example", "GRUB_TIMEOUT=5", "", "\t", "export X='a b'"),
    *("Y=1 # crashkernel=2M", '  # GRUB_CMDLINE_LINUX_DEFAULT="no"', "#", 'Z="a # b"'),
)
_WORDS = ("root=UUID=1", "ro", "quiet", 'a="b c"', "caf\xe9", "x#y", "console=ttyS0,115200n8")
_BLANKS = (" ", "  ", "\t")


def _file(lines: SearchStrategy[list[str]]) -> SearchStrategy[bytes]:
    """Return files of such lines: with either end of line, and with or without the last one."""
    return st.builds(
        lambda texts, end, last: f"{end.join(texts)}{end if last else ''}".encode("latin-1"),
        *(lines, st.sampled_from(["\n", "\n", "\r\n"]), st.booleans()),
    )


def _assignments(variable: str) -> SearchStrategy[bytes]:
    assigned = st.builds(
        lambda before, value, behind: f"{before}{variable}={value}{behind}",
        *(st.sampled_from(["", "", "export "]), st.sampled_from(_VALUES)),
        st.sampled_from(_COMMENTS),
    )
    line = st.one_of(st.sampled_from(_OTHERS), assigned)
    return st.one_of(st.just(b""), _file(st.lists(line, max_size=6)))


def _command_line() -> SearchStrategy[str]:
    return st.builds(
        lambda head, words, tail: head + "".join(f"{word}{blank}" for word, blank in words) + tail,
        *(st.sampled_from(["", " "]), st.lists(_worded(), min_size=1, max_size=5)),
        st.sampled_from(["", "end", "end  "]),
    )


def _worded() -> SearchStrategy[tuple[str, str]]:
    return st.tuples(st.sampled_from(_WORDS), st.sampled_from(_BLANKS))


def _command_lines() -> Original:
    lines = st.lists(st.one_of(_command_line(), st.just("# no"), st.just("")), max_size=3)
    return st.one_of(st.none(), st.sampled_from([b"", b"\n", b" \t"]), _file(lines))


def _parameters() -> SearchStrategy[bytes]:
    values = ('"root=/dev/dasda1 quiet"', "root=x", "'root=x a'", '"root=x  "', ' "root=x" ', '""')
    line = st.builds(
        lambda number, sign, value: f"[s{number}]\ntarget=/boot\nparameters{sign}{value}",
        *(st.integers(1, 9), st.sampled_from(["=", " = ", "\t="]), st.sampled_from(values)),
    )
    return _file(st.lists(st.one_of(line, st.just("# caf\xe9")), min_size=1, max_size=4))


def _options() -> SearchStrategy[bytes]:
    options = _command_line().map(lambda text: f"options {text}")
    lines = st.tuples(st.just("linux /x"), st.sampled_from(["# a", "title caf\xe9"]), options)
    return _file(lines.map(list))


_GRUB, _CMDLINE = "etc/default/grub", "etc/kernel/cmdline"
_OF_GRUB = {_GRUB: _assignments("GRUB_CMDLINE_LINUX_DEFAULT")}
_ENTRY = "boot/loader/entries/x-6.1.0-1.conf"
#: The files of each boot loader, by its name.
FILES: Mapping[str, Mapping[str, Original]] = {
    "grub": _OF_GRUB,
    "grub-mkconfig": _OF_GRUB,
    "grub2-mkconfig": _OF_GRUB,
    "pbl": {**_OF_GRUB, _CMDLINE: _command_lines()},
    "grubby": {**_OF_GRUB, _CMDLINE: _command_lines(), _ENTRY: _options()},
    "sdbootutil": {_CMDLINE: _command_lines()},
    "kernel-install": {_CMDLINE: _command_lines(), "efi/loader/entries/mine.conf": _options()},
    "u-boot-menu": {"etc/default/u-boot": _assignments("U_BOOT_PARAMETERS")},
    "u-boot-menu-cmdline": {_CMDLINE: _command_lines()},
    "zipl": {"etc/zipl.conf": _parameters()},
    "rpm-ostree": {},
}
