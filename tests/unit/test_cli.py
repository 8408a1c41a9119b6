# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: exit statuses, one line and a hint for each error, help and man page."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kdump_initrd import __version__
from kdump_initrd.commands.grammar.debian import asks
from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.config.settings import SETTINGS
from kdump_initrd.core import exits

from . import loadhost
from .commandline import CAPTURE, UUID, complain
from .manpage import PAGES, option_paragraph
from .thiskernel import RELEASE

FIRST = ["-i", "x", "-v", "x"]
WANTED = (
    "expected one of -c, -o, -i, --refresh, --remove, --check-config, --import-config, "
    "--show-distro, --list, --strip and --print-cmdline"
)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], WANTED),
        ([*CAPTURE, "-i", "x"], "-c and -i (-v) are mutually exclusive"),
        ([*CAPTURE, "-v", "x"], "-c and -i (-v) are mutually exclusive"),
        (["-i", "x"], "-i and -v belong together"),
        (["-v", "x"], "-i and -v belong together"),
        ([*CAPTURE, "--list", "x"], "-c: not with --list"),
        ([*FIRST, "--list", "x"], "-i: not with --list"),
        (["--strip", "x", "--list", "x"], "--strip: not with --list"),
        ([*CAPTURE, "--strip", "x"], "-c: not with --strip"),
        ([*CAPTURE, "--base", "x"], "--base: not with -c"),
        ([*CAPTURE, "--in-place"], "--in-place: not with -c"),
        ([*CAPTURE, "--append-cmdline", ""], "--append-cmdline: not with -c"),
        ([*CAPTURE, "--standalone"], "--standalone: not with -c"),
        ([*CAPTURE, "--root-device", "x"], "--root-device: not with -c"),
        ([*FIRST, "--path", "x"], "--path: not with -i"),
        ([*FIRST, "--python", "x"], "--python: not with -i"),
        ([*FIRST, "--dump-format", "elf"], "--dump-format: not with -i"),
        ([*FIRST, "--timeout", "0"], "--timeout: not with -i"),
        (["--strip", "x", "--base", "x"], "--base: not with --strip"),
        (["--strip", "x", "--timeout", "0"], "--timeout: not with --strip"),
        (["-o", "x", "-f", "ext4"], "-f requires -c, the device with that file system"),
        (["-o", "x", "--base", "y"], "--base: not with -o"),
        (["--dump-dev", UUID, "x", "6.1"], "--dump-dev and --dump-fs belong together"),
        (["-k", "vmlinuz"], "-k and -i belong together: 1 kernels, 0 images"),
        ([*FIRST, "--in-place", "-o", "x"], "--in-place and -o are mutually exclusive"),
        ([*FIRST, "--standalone", "--base", "x"], "--standalone takes no base"),
        ([*FIRST, "--standalone", "--in-place"], "--standalone takes no base"),
        ([*FIRST, "--append-cmdline", "a\tb"], "--append-cmdline a\tb: not a value"),
        (["-c", "LABEL=x ", "-f", "ext4"], "-c LABEL=x : not a value"),
        (["-c", "LABEL=x\n", "-f", "ext4"], "-c LABEL=x\\n: not a value"),
        (["-c", "/dev/x", "-f", "ext4", "--path", "/x "], "--path /x : not a value"),
        (["-c", "/dev/x", "-f", "ext4", "--path", "/x\x1b[2J"], "--path /x\\x1b[2J: not a value"),
        ([*FIRST, "--append-cmdline", "caf\udce9"], "'caf\\udce9': not UTF-8"),
        ([*CAPTURE, "--no-such-option"], "unrecognized arguments: --no-such-option"),
        ([*CAPTURE, "--compress", "rar"], "--compress rar: unknown value"),
        ([*CAPTURE, "--dump-format", "raw"], "--dump-format raw: unknown value"),
        ([*CAPTURE, "--dump-compress", "x"], "--dump-compress x: unknown value"),
        ([*CAPTURE, "--final-action", "x"], "--final-action x: unknown value"),
        ([*CAPTURE, "--tools", "x"], "--tools x: unknown value"),
        ([*CAPTURE, "--jobs", "all"], "--jobs all: not a value"),
        ([*CAPTURE, "--keep-free", "100"], "--keep-free 100: not a value"),
        ([*CAPTURE, "--verify", "x"], "--verify x: unknown value"),
        ([*CAPTURE, "--dump-level", "32"], "--dump-level 32: not a value"),
        ([*CAPTURE, "--timeout", "soon"], "--timeout soon: not a value"),
        ([*CAPTURE, "--setup-timeout=-1"], "--setup-timeout -1: not a value"),
        ([*CAPTURE, "--hardware", "floppy"], "--hardware floppy: unknown set"),
        ([*CAPTURE, "--hardware", "host,nvme"], "--hardware host,nvme: not a value"),
        ([*CAPTURE, "--root", "/usr"], "--root requires -o"),
        (["-c", "LABEL=caf\udce9", "-f", "ext4"], "'LABEL=caf\\udce9': not UTF-8"),
        ([*CAPTURE, "--quiet", "--verbose"], "argument --verbose: not allowed"),
    ],
)  # fmt: skip
def test_wrong_usage(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    status, error, hint = complain(capsys, *argv, *([RELEASE] if "-c" in argv else []))
    assert status == 2
    assert error.startswith(message)
    assert hint


def test_help_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for setting in SETTINGS:
        assert setting.flags[0] in text
    for verb in asks():
        assert verb.flag in text
    assert "(default: )" not in text


@pytest.mark.parametrize("words", [["--help"], ["--nothing"], ["-k", "a"], ["x", "6.1", "--with"]])
def test_help_and_usage_errors_need_no_library(words: list[str]) -> None:
    program = (
        "import sys; from kdump_initrd.commands.mkinitrd import main; main(sys.argv[1:]); "
        "sys.exit(any(name.split('.')[-1] in {'jinja2', 'libarchive', 'elftools', 'subprocess', "
        "'recipes', 'upkeep', 'probe', 'image'} for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_man_page_has_every_setting_and_default() -> None:
    text = (PAGES / "mkinitrd-kdump.8").read_text(encoding="utf-8").replace("\\-", "-")
    for setting in SETTINGS:
        paragraph = option_paragraph(text, setting.flags[0])
        default = getattr(setting.default, "value", setting.default)
        if isinstance(default, (str, int)) and not isinstance(default, bool):
            assert str(default) in paragraph, f"{setting.flags[0]}: default {default}"
        for choice in setting.choices:
            assert choice in paragraph, f"{setting.flags[0]}: {choice}"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kdump-initrd {__version__}\n"


def test_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kdump_initrd"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("kdump-initrd: error: expected one of -c")


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "/no/such/file", "--debug"]) == 1
    text = capsys.readouterr().err
    assert "Traceback (most recent call last)" in text
    assert "kdump-initrd: error: /no/such/file" in text


def test_a_warning_is_said_even_if_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--supported-host-version=6.1", "--quiet"]) == 0
    assert capsys.readouterr().err.startswith(
        "kdump-initrd: warning: --supported-host-version no longer has"
    )


def test_nobody_listens_any_more(tmp_path: Path) -> None:
    """A closed pipe, as of `--list IMAGE | head -1`, is not an error."""
    image = tmp_path / "x.img"
    assert main([*CAPTURE, "-o", str(image), "--quiet", RELEASE]) == 0
    with subprocess.Popen(
        [sys.executable, "-m", "kdump_initrd", "--list", image],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(30) == 0


#: Some have a short answer, some more than a stream buffers; "no" is an answer, too.
@pytest.mark.parametrize(
    ("command", "words", "answer"),
    [
        ("mkinitrd", "--version", exits.DONE),
        ("mkinitrd", "--help", exits.DONE),
        ("mkinitrd", "--show-distro debian", exits.DONE),
        ("vmcore", "--help", exits.DONE),
        ("admin", "--version", exits.DONE),
        ("admin", "reserve --table", exits.DONE),
        ("admin", "status --root ROOT", exits.NO),
        ("admin", "status --json --root ROOT", exits.NO),
        ("admin", "check --json --root ROOT", exits.NO),
    ],
)
@pytest.mark.parametrize("buffer", ["", "1000000"])
def test_where_its_output_goes(
    tmp_path: Path, command: str, words: str, answer: int, buffer: str
) -> None:
    """However much of it is buffered: bytes, "" for the usual."""
    root = loadhost.make(tmp_path / "root").root
    size = f"io.BufferedWriter = functools.partial(io.BufferedWriter, buffer_size={buffer}); "
    start = f"from kdump_initrd.commands.start import {command}; raise SystemExit({command}())"
    code = f"import functools, io; {size if buffer else ''}{start}"
    line = f"{shlex.join([sys.executable, '-c', code])} {words.replace('ROOT', str(root))}"
    for where, status, error in (
        (" | true", answer, ""),
        (" >/dev/full", exits.ERROR, "error: standard output: No space left on device"),
        (" 2>/dev/null >&-", answer, ""),
    ):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line + where],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        said = done.stderr.strip().partition(": ")[2]
        assert (done.returncode, said) == (status, error), f"{line}{where}"


def test_an_image_never_takes_the_place_of_a_closed_stream() -> None:
    code = (
        "import os, sys; from kdump_initrd.commands import mkinitrd, start; "
        "mkinitrd.main = lambda: os.open('/dev/null', os.O_RDONLY); "
        "raise SystemExit(start.mkinitrd())"
    )
    line = f"{shlex.join([sys.executable, '-c', code])} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], timeout=60, check=False).returncode > 2


def test_release_without_an_image_to_build(capsys: pytest.CaptureFixture[str]) -> None:
    status, error, _ = complain(capsys, "--list", "/boot/x", "6.1")
    assert (status, error) == (2, "6.1: --list takes no KERNEL_VERSION")


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("--lsit x", "--list"), ("--dry", "--dry-run"), ("--bas x", "--base"),
        ("--check-conf", "--check-config"), ("--dump_level=1", "--dump-level"), ("--xyzzy", ""),
        ("--refesh", "--refresh"), ("-c /dev/a -f xfs --dumplevel 31", "--dump-level"),
    ],
)  # fmt: skip
def test_the_nearest_word(capsys: pytest.CaptureFixture[str], words: str, near: str) -> None:
    status, error, hint = complain(capsys, *words.split())
    assert (status, error.startswith("unrecognized arguments: --")) == (2, True)
    start = f"did you mean {near}? " if near else ""
    assert hint == f"{start}mkinitrd-kdump --help lists the options"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"MZ" + bytes(0x200) + b"HdrS", "is a kernel, not an initrd"),
        (b"MZ\0\0", "is a kernel, or another program for EFI, not an initrd"),
        (b"\x7fELF\2\1", "is a program or a kernel (ELF), not an initrd"),
        (b"#!/bin/sh\n", "is a script, not an initrd"),
        (b"KDUMP   ", "is a dump, not an initrd"),
        (b"MEMTEST", "is not an initrd: neither a cpio archive nor a compressed one"),
    ],
)
@pytest.mark.parametrize("verb", ["--list", "--strip", "--print-cmdline"])
def test_what_is_not_an_initrd(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, body: bytes, what: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(body)
    assert complain(capsys, verb, str(path))[:2] == (1, f"{path}: {what}")


def test_where_it_is_to_be_written_is_looked_at_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kdump_initrd.recipes.capture.plan", lambda settings: pytest.fail("planned")
    )
    there = tmp_path / "there"
    there.touch()
    for out, message in (
        (there, "exists already"), (tmp_path, "is a folder"), (there / "x", "Not a directory"),
    ):  # fmt: skip
        assert complain(capsys, *CAPTURE, "-o", str(out))[1].endswith(message)


def test_a_kernel_by_its_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x"
    assert main([*CAPTURE, "-o", str(out), f"/boot/vmlinuz-{RELEASE}"]) == 0
    assert f" of {RELEASE}\n" in capsys.readouterr().err
    status, error, _ = complain(capsys, *CAPTURE, "-o", str(out), "--force", "/boot/vmlinuz-none")
    assert (status, error.partition(" (")[0]) == (1, "none: no such kernel in /")


ROOTS = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534); "


@pytest.mark.parametrize(
    "words", ["--list IMAGE", "--strip IMAGE", f"-c UUID=1-1 -f vfat -o DIR/x {RELEASE}"]
)
def test_without_roots_rights(tmp_path: Path, words: str) -> None:
    tmp_path.chmod(0o755)
    image = tmp_path / "image"
    image.touch(mode=0o600)
    words = words.replace("IMAGE", str(image)).replace("DIR", str(tmp_path))
    start = "from kdump_initrd.commands.mkinitrd import main; "
    code = f"{ROOTS}{start}raise SystemExit(main({words.split()!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "Permission denied" in lines[-2]
    assert lines[-1] == f"hint: this needs root: sudo mkinitrd-kdump {words}"
