# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of architectures: what it says, how it is read, and that the saver's files agree."""

from __future__ import annotations

import platform
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.probe.distro import architectures
from kdump_initrd.probe.distro.architectures import Architecture, Facts, facts, runs_here
from kdump_initrd.probe.kernel import kernelimage
from kdump_initrd.recipes.firstkernel import kexeccall
from kdump_initrd.recipes.parts.kernelterms import terms_of
from kdump_initrd.saver import arch

from . import firstboot

REPO = Path(__file__).parents[2]
SHIPPED = (REPO / "distros/linux/architectures.toml").read_text()
SAVERS = sorted((REPO / "kdump_initrd/saver/arch").glob("[!_]*.py"))
#: One more, with all that can be said.
DUMMY = """
[dummy]
elf = 4711
bits = 32
byte_order = "big"
uname = ["dummy", "dum-*"]
libraries = ["lib/dummy"]
cmdline = ["quiet"]
kexec = ["-c", "-s"]
image = { magic = "64 75", magic_at = 16, size_at = 32, cmdline_at = 40, pe = 17, cmdline = 99 }
reservation = { runtime = 1048576 }
old_call = { symbol = "_dummy", mark = "whole", lacks = "all", remedy = "wait" }
"""
#: What is said of options of kexec that are none.
CALLS = 'dummy.kexec: expected options of kexec that begin with "-s" or "-c", each once'


def read(folder: Path, text: str) -> Facts:
    path = folder / "architectures.toml"
    path.write_text(text)
    return architectures.read(path)


@pytest.mark.parametrize("each", facts().known.values(), ids=lambda each: str(each.name))
def test_the_saver_agrees(each: Architecture) -> None:
    """Each table has a file there: of the same number, names, word size and byte order."""
    theirs = arch.of_elf(each.elf)
    assert theirs.unames, "no file in saver/arch"
    for name in each.uname:
        assert arch.of_uname(name) is theirs
        assert each.is_called(name)
    assert theirs.word == each.bits // 8 or not each.uname
    assert theirs.big in (None, each.order == ">")
    assert each.is_called(theirs.uname(each.order == ">")) or not each.uname


def test_what_the_saver_runs_on_is_in_the_table() -> None:
    for path in SAVERS:
        theirs = arch.of_uname(path.stem)
        for name in {theirs.uname(True), theirs.uname(False)} if theirs.finit_module else ():
            called = [each.name for each in facts().known.values() if each.is_called(name)]
            assert len(called) == 1, name


def test_no_two_are_told_alike() -> None:
    known = facts().known.values()
    for mark in ("pe", "magic"):
        marks = [getattr(each.image, mark) for each in known if getattr(each.image, mark)]
        assert len(set(marks)) == len(marks)
    names = [name for each in known for name in each.uname]
    assert len(set(names)) == len(names)


def test_an_architecture_is_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known wherever an architecture matters, with what holds for all."""
    more = read(tmp_path, SHIPPED + DUMMY)
    assert [*more.known] == [*facts().known, "dummy"]
    for module in (architectures, kernelimage, kexeccall):
        monkeypatch.setattr(module, "facts", lambda: more)
    monkeypatch.setattr(f"{terms_of.__module__}.facts", lambda: more)
    dummy = more.of_elf(4711, bits=32, order=">")
    assert (dummy.name, dummy.libraries, dummy.cmdline) == ("dummy", ("lib/dummy",), ("quiet",))
    assert dummy.old_call.by(b"a whole kexec").lacks == ""
    assert dummy.old_call.by(b"another").lacks == "all"
    common = more.named("4711").reservation
    assert dummy.reservation == replace(common, runtime=1 << 20)
    assert terms_of("dummy", None, {}).runtime == (1 << 20) + common.pages * common.page
    # A kernel image of it: magic number, size in memory, length of the command line with the NUL.
    data = bytearray(1 << 17)
    data[16:18] = b"du"
    data[32:48] = (3 << 20).to_bytes(8, "big") + (80).to_bytes(8, "big")
    (tmp_path / "kernel").write_bytes(data)
    found = kernelimage.read(tmp_path / "kernel")
    assert (found.machine, found.unpacked, found.cmdline) == ("dummy", 3 << 20, 79)
    monkeypatch.setattr(platform, "machine", lambda: "dum-2")
    assert runs_here("dummy")
    assert not runs_here("x86_64")


def test_the_hook_loads_as_the_architecture_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = firstboot.render(firstboot.Wanted("a=1")).splitlines()
    text = SHIPPED.replace('kexec = ["-s", "-c"]', 'kexec = ["-c -i", "-s"]')
    other = read(tmp_path, text)
    monkeypatch.setattr(kexeccall, "facts", lambda: other)
    changed = firstboot.render.__wrapped__(firstboot.Wanted("a=1")).splitlines()
    assert [pair for pair in zip(usual, changed) if pair[0] != pair[1]] == [
        ("for call in -s -c; do", "for call in '-c -i' -s; do")
    ]


@pytest.mark.parametrize(
    ("own", "machine", "possible"),
    [("x86_64", "x86_64", True), ("x86_64", "i386", False), ("x86_64", "x32", False),
     ("i486", "i386", True), ("i686", "i386", True), ("armv7l", "arm", True),
     ("ppc64le", "ppc64le", True), ("ppc64le", "ppc64", False), ("mips", "mips", True)],
)  # fmt: skip
def test_what_this_host_runs(
    monkeypatch: pytest.MonkeyPatch, own: str, machine: str, possible: bool
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: own)
    assert runs_here(machine) is possible


def test_of_an_unknown_one_is_known_what_holds_for_all() -> None:
    for found in (facts().of_elf(4711, bits=64, order=">"), facts().named("4711")):
        assert (found.name, found.libraries, found.cmdline) == ("4711", ("lib",), ())
        assert found.image.cmdline == 511
        assert found.kexec == ("-s", "-c")
    assert facts().of_elf(62, bits=64, order=">", otherwise="odd").name == "odd"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("elf = 4711", "elf = 62.0", "dummy.elf: expected a whole number"),
        ("elf = 4711", "elf = true", "dummy.elf: expected a whole number"),
        ("elf = 4711", "elf = -1", "dummy.elf: expected a whole number"),
        ("elf = 4711", "elf = 20\n", None),
        ("bits = 32", "bits = 31", "dummy.bits: expected 32 or 64"),
        ('"big"', '"bigg"', "dummy.byte_order: 'bigg': did you mean big?"),
        ('["dummy", "dum-*"]', '"dummy"', "dummy.uname: expected a list of strings"),
        ('["lib/dummy"]', '["/lib"]',
         "dummy.libraries: '/lib': expected a path without a / in front and without .."),
        ('["lib/dummy"]', "[]", "dummy.libraries: expected at least one"),
        ('["quiet"]', '[" "]', "dummy.cmdline: ' ': expected a word"),
        ('kexec = ["-c", "-s"]', 'kexec = ["-c"]', None),
        ('kexec = ["-c", "-s"]', 'kexec = ["-c", "-c -i"]', CALLS),
        ('kexec = ["-c", "-s"]', 'kexec = []', CALLS),
        ('kexec = ["-c", "-s"]', 'kexec = ["--load"]', CALLS),
        ('"_dummy"', '" "', "dummy.old_call.symbol: ' ': expected a word"),
        ("lacks =", "lack =", "dummy.old_call.lack: unknown key"),
        ('"64 75"', '"6"', "dummy.image.magic: '6': expected hexadecimal digits, two per byte"),
        ("pe = 17", "pee = 17", "dummy.image.pee: unknown key"),
        ("pe = 17", "bzimage = 1", "dummy.image.bzimage: expected true or false"),
        ("runtime = 1048576", "run = 1", "dummy.reservation.run: unknown key"),
        ("libraries =", "library =", "dummy.library: unknown key"),
        ("elf = 4711\nbits = 32", "elf = 4711\n", "dummy: bits is missing"),
        ("elf = 4711\nbits = 32", "elf = 22\nbits = 64",
         "dummy.elf: another architecture has these already"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_key_and_line(
    tmp_path: Path, old: str, new: str, message: str | None
) -> None:
    assert old in DUMMY
    text = SHIPPED + DUMMY.replace(old, new)
    if message is None:
        read(tmp_path, text)
        return
    with pytest.raises(KdumpInitrdError) as caught:
        read(tmp_path, text)
    key = message.split(":")[0].split(".")[1:2]
    at = next(n for n, line in enumerate(text.splitlines(), 1)
              if line.startswith(f"{key[0]} = " if key else "[dummy]")
              and n > text[: text.index("[dummy]")].count("\n"))  # fmt: skip
    assert caught.value.message == f"{tmp_path}/architectures.toml:{at}: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DUMMY, ": common is missing"),
        ("[common]\n", ":1: common: libraries is missing"),
        (re.sub(r"\nfreed = .*", "", SHIPPED, count=1), ": common.reservation: freed is missing"),
        ("x", ":1: not TOML"),
    ],
)
def test_a_file_that_lacks_something(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        read(tmp_path, text)
    assert caught.value.message.startswith(f"{tmp_path}/architectures.toml")
    assert message in caught.value.message
