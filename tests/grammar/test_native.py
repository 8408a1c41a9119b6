# SPDX-License-Identifier: GPL-2.0-or-later
"""Our own grammar: every option and verb, and what was Debian's mkinitrd's."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from kdump_initrd.commands.grammar import debian
from kdump_initrd.commands.grammar.choice import understand
from kdump_initrd.commands.grammar.retired import Retired
from kdump_initrd.commands.verb import Request
from kdump_initrd.commands.verbs.build import Capture, FirstKernel, Image
from kdump_initrd.commands.verbs.checkconfig import CheckConfig
from kdump_initrd.commands.verbs.importconfig import ImportConfig
from kdump_initrd.commands.verbs.listimage import ListImage
from kdump_initrd.commands.verbs.printcmdline import PrintCmdline
from kdump_initrd.commands.verbs.refresh import Refresh
from kdump_initrd.commands.verbs.remove import Remove
from kdump_initrd.commands.verbs.showdistro import ShowDistro
from kdump_initrd.commands.verbs.strip import Strip
from kdump_initrd.config.settings import CAPTURE, COMMON, FIRST_KERNEL, Setting
from kdump_initrd.config.targetsettings import TargetSettings
from tests.aimed import aimed

from .asking import asked, complaint, said, warned
from .optionwords import WORDS, with_option

DUMP = "-c /dev/sda1 -f ext4"
FIRST = "-i capture.img -v 6.1"
#: A command line of each verb, and what it asks for.
ASKED: list[tuple[str, Request | Image]] = [
    ("-o out.img", Capture({"output": "out.img"})),
    ("-o out.img 6.1 --jobs 4", Capture({"output": "out.img", "jobs": 4, "release": "6.1"})),
    ("--dry-run", Capture({"dry_run": True})),
    ("--list x", ListImage(Path("x"))),
    ("--print-cmdline x", PrintCmdline(Path("x"))),
    ("--strip x", Strip(Path("x"))),
    ("--strip x -o y --force", Strip(Path("x"), "y", force=True)),
    ("--show-distro", ShowDistro()),
    ("--show-distro rhel --root /mnt", ShowDistro(Path("/mnt"), "rhel")),
    ("--show-distro --distro rhel", ShowDistro(distro="rhel")),
    ("--check-config", CheckConfig()),
    ("--check-config --root /mnt --distro sles", CheckConfig(Path("/mnt"), "sles")),
    ("--import-config", ImportConfig()),
    ("--import-config -o - --distro rhel", ImportConfig(Path("/"), "rhel", Path("-"))),
    ("--import-config --force", ImportConfig(force=True)),
    ("--refresh", Refresh()),
    ("--refresh --quiet 6.1", Refresh(releases=("6.1",))),
    ("--refresh 6.1 6.2 --force", Refresh(releases=("6.1", "6.2"), force=True)),
    ("--refresh --root /mnt --dry-run", Refresh(Path("/mnt"), dry_run=True)),
    ("6.1 --refresh 6.2", Refresh(releases=("6.1", "6.2"))),
    ("--remove", Remove()),
    ("--remove --quiet 6.1 --distro rhel", Remove(distro="rhel", releases=("6.1",))),
]  # fmt: skip


@pytest.mark.parametrize("setting", [*CAPTURE, *COMMON], ids=lambda row: row.flags[0])
def test_every_option_of_a_capture_initrd(setting: Setting) -> None:
    word, value = WORDS[setting.name]
    plain = {"targets": aimed("/dev/sda1", "ext4"), "release": "6.1"}
    if setting.name == "device":
        assert said(f"{DUMP} 6.1") == plain
        return
    needed = f"{setting.flags[0]} {word}"
    assert said(f"{DUMP} {needed} 6.1") == with_option(plain, setting.name, value)
    if setting.name not in ("target", "fstype"):
        assert said(f"{needed} {DUMP} 6.1") == with_option(plain, setting.name, value)


@pytest.mark.parametrize("setting", [*FIRST_KERNEL, *COMMON], ids=lambda row: row.flags[0])
def test_every_option_of_a_first_kernels_initrd(setting: Setting) -> None:
    word, value = WORDS[setting.name]
    told = setting.name in ("capture_initrd", "capture_kernel")
    request = asked(f"{FIRST} {'' if told else f'{setting.flags[0]} {word}'} 6.12")
    assert isinstance(request, FirstKernel)
    assert request.said == {
        "capture_initrd": "capture.img",
        "capture_kernel": "6.1",
        "release": "6.12",
        setting.name: value,
    }
    assert getattr(request.settings({}), setting.name) == value


@pytest.mark.parametrize(("words", "wanted"), ASKED)
def test_every_verb(words: str, wanted: Request | Image) -> None:
    assert asked(words) == wanted


def test_every_verb_is_in_the_table_above() -> None:
    words = " ".join(words for words, _ in ASKED)
    assert {verb.flag for verb in debian.asks()} <= {"-c", "-i", *words.split()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "expected one of -c, -o, -i, --refresh"),
        ("6.1", "expected one of -c, -o, -i, --refresh"),
        ("--force", "expected one of -c, -o, -i, --refresh"),
        ("--refresh --remove", "--remove: not with --refresh"),
        ("--refresh -c /dev/sda3 -f ext4", "-c: not with --refresh"),
        ("-i x -v y --check-config", "-i: not with --check-config"),
        ("-o x -f ext4", "-f requires -c"),
        ("-c '' -f ext4", "-c: the value is empty"),
        ("-c /dev/sda1 -f ''", "-f: the value is empty"),
        ("-o ''", "-o: the value is empty"),
        ("-i '' -v x", "-i: the value is empty"),
        ("--list ''", "--list: the value is empty"),
        ("-o x --add-module ''", "--add-module: the value is empty"),
        ("--check-config --root ''", "--root: the value is empty"),
        (f"{DUMP} 6.1 6.2", "6.2: -c takes at most one KERNEL_VERSION"),
        (f"{FIRST} 6.1 6.2", "6.2: -i takes at most one KERNEL_VERSION"),
        ("-o x 6.1 6.2", "6.2: -o takes at most one KERNEL_VERSION"),
        ("--check-config 6.1", "6.1: --check-config takes no KERNEL_VERSION"),
        ("--list x 6.1", "6.1: --list takes no KERNEL_VERSION"),
        ("-o x --base y", "--base: not with -o"),
        ("--list x -o y", "-o: not with --list"),
        ("--strip x --dry-run", "--dry-run: not with --strip"),
        ("--strip x --root /mnt", "--root: not with --strip"),
        ("--print-cmdline x --force", "--force: not with --print-cmdline"),
        ("--refresh --compress xz", "--compress: not with --refresh"),
        ("--remove --dry-run", "--dry-run: not with --remove"),
        ("--check-config -o x", "-o: not with --check-config"),
        (
            "--show-distro rhel --distro sles",
            "--show-distro ID and --distro are mutually exclusive",
        ),
        ("-c", "argument -c: expected one argument"),
        ("-b /boot -o x", "unrecognized arguments: -b"),
    ],
)  # fmt: skip
def test_wrong_usage(words: str, message: str) -> None:
    assert complaint(words).message.startswith(message)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            "--refresh -c /dev/sda3",
            "leave it out: --refresh builds what /etc/kdump-initrd.toml says",
        ),
        ("--refresh --jobs 1", "leave it out: --refresh builds what /etc/kdump-initrd.toml says"),
        ("--list x -c /dev/sda3", "leave it out, or use it alone"),
        ("", "mkinitrd-kdump --refresh builds the configured images; "),
        ("6.1.0-50-amd64", "mkinitrd-kdump --refresh builds the configured images; "),
        ("refresh", "did you mean --refresh? "),
        ("list boot.img", "did you mean --list? "),
        ("check-confg", "did you mean --check-config? "),
    ],
)
def test_the_way_out(words: str, hint: str) -> None:
    said = complaint(words).hint or ""
    assert said.removesuffix("mkinitrd-kdump --help lists the options") == hint


@pytest.mark.parametrize("row", debian.RETIRED, ids=lambda row: row.flag)
def test_what_debians_tool_had(row: Retired) -> None:
    words = f"{DUMP} -o out.img {row.flag} {row.metavar}"
    assert said(words) == {"targets": aimed("/dev/sda1", "ext4"), "output": "out.img"}
    assert warned(words) == (f"{row.flag} no longer has a meaning: {row.why}",)


@pytest.mark.parametrize(
    "question", ["--supported-host-version=6.1", "--supported-target-version 6"]
)
def test_what_was_asked_before_a_build_is_answered_yes(question: str) -> None:
    command = understand(question.split())
    assert command.requests == ()
    assert len(command.warnings) == 1


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ("", logging.INFO),
        ("--verbose", logging.DEBUG),
        ("--debug", logging.DEBUG),
        ("--quiet", logging.WARNING),
    ],
)
def test_how_much_is_said(words: str, level: int) -> None:
    assert understand(["--list", "x", *words.split()]).level == level


def test_what_is_said_wins_over_what_is_configured() -> None:
    configured = {
        "targets": (TargetSettings("LABEL=a", deadline=9),),
        "fstype": "xfs",
        "dump_level": 1,
        "path": "/dumps",
    }
    # Its file system is not the configured device's.
    other = Capture({"targets": (TargetSettings("LABEL=b"),)})
    assert other.settings(configured).targets == (TargetSettings("LABEL=b", path="/dumps"),)
    known = TargetSettings("LABEL=a", "xfs", "/dumps", 9)
    assert Capture({"jobs": 2}).settings(configured).targets == (known,)
    assert Capture({"path": "/x", "deadline": 0}).settings(configured).targets == (
        TargetSettings("LABEL=a", "xfs", "/x", 0),
    )
    said = {"targets": (TargetSettings("LABEL=b", "ext4"),), "dump_level": 31}
    settings = Capture(said).settings(configured)
    assert settings.targets == (TargetSettings("LABEL=b", "ext4", "/dumps"),)
    assert settings.dump_level == 31
    assert Capture({"output": "x"}).settings({}).targets == (TargetSettings(),)
