# SPDX-License-Identifier: GPL-2.0-or-later
"""SLES's grammar: every option that its mkinitrd had, lists by position, and ours beside them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from kdump_initrd.commands.grammar import suse
from kdump_initrd.commands.grammar.choice import understand
from kdump_initrd.commands.grammar.retired import Retired
from kdump_initrd.commands.grammar.vocabulary import SHARED
from kdump_initrd.commands.verbs.build import Capture, Images
from kdump_initrd.config.settings import Setting
from tests.aimed import aimed

from .asking import asked, complaint, said, warned
from .optionwords import WORDS, with_option

DUMP = "-v /dev/sda1 -f ext4"
PAIR = "-k vmlinuz-6.4 -i kdump.img"
PLAIN = {"targets": aimed("/dev/sda1", "ext4"), "output": "/boot/kdump.img"}


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (f"{DUMP} {PAIR}", {}),
        (f"{PAIR} {DUMP}", {}),
        (f"{DUMP} {PAIR} -m 'a b'", {"add_modules": ("a", "b")}),
        (f"{DUMP} {PAIR} -m a --add-module=b", {"add_modules": ("a", "b")}),
        (f"{DUMP} {PAIR} -m ''", {}),
        (f"{DUMP} {PAIR} -b /srv/boot/", {"output": "/srv/boot/kdump.img"}),
        (f"{DUMP} {PAIR} -b srv", {"output": "/srv/kdump.img"}),
        (f"{DUMP} -k vmlinuz-6.4 -i ./kdump.img", {"output": "./kdump.img"}),
        (f"{DUMP} -k vmlinuz-6.4 -i /tmp/x /mnt", {"output": "/tmp/x", "root": "/mnt"}),
        (f"{DUMP} -k vmlinuz-6.4 -i /tmp/x --root /mnt", {"output": "/tmp/x", "root": "/mnt"}),
        (f"{DUMP} {PAIR} /mnt --dry-run", {"root": "/mnt", "dry_run": True}),
        (f"{DUMP} {PAIR} /", {"root": "/"}),
        (f"{DUMP} {PAIR} --force", {"force": True}),
    ],
)
def test_its_own_words(words: str, more: dict[str, Any]) -> None:
    assert said(words) == {**PLAIN, **more}


def test_without_a_device_it_is_the_configured_target() -> None:
    assert asked(PAIR) == Capture({"output": "/boot/kdump.img"}, "vmlinuz-6.4", "/boot")
    assert asked(f"{PAIR} -b /srv") == Capture({"output": "/srv/kdump.img"}, "vmlinuz-6.4", "/srv")


def test_lists_are_matched_by_position() -> None:
    command = understand(["-k", " vmlinuz  /srv/Image ", "-i", "a /tmp/b", "-m", "x"])
    images = (
        Capture({"output": "/boot/a", "add_modules": ("x",)}, "vmlinuz", "/boot"),
        Capture({"output": "/tmp/b", "add_modules": ("x",)}, "/srv/Image", "/boot"),
    )
    assert command.requests == (Images(images),)


@pytest.mark.parametrize("row", suse.RETIRED, ids=lambda row: row.flag)
def test_what_has_no_meaning_any_more(row: Retired) -> None:
    words = f"{row.flag} {row.metavar} {DUMP} {PAIR}"
    assert said(words) == PLAIN
    assert warned(words) == (f"{row.flag} no longer has a meaning: {row.why}",)


@pytest.mark.parametrize("flag", ["-D", "-I"])
def test_a_network_is_refused(flag: str) -> None:
    error = complaint(f"{PAIR} {flag} eth0")
    assert error.message == f"{flag} eth0: a capture initrd has no network"
    assert error.hint == "save to a disk of this machine: -v DEV -f FS"


@pytest.mark.parametrize("setting", SHARED, ids=lambda row: row.flags[0])
def test_our_long_options(setting: Setting) -> None:
    word, value = WORDS[setting.name]
    words = f"{DUMP} -k vmlinuz -i /tmp/x {setting.flags[0]} {word}"
    assert said(words) == with_option({**PLAIN, "output": "/tmp/x"}, setting.name, value)
    assert warned(words) == ()


def test_how_much_is_said() -> None:
    assert understand(f"{PAIR} --verbose".split()).level == logging.DEBUG
    assert understand(f"{PAIR} --quiet".split()).level == logging.WARNING


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-k vmlinuz", "-k and -i belong together: 1 kernels, 0 images"),
        ("-k 'a b' -i x", "-k and -i belong together: 2 kernels, 1 images"),
        ("-k a -i 'x y'", "-k and -i belong together: 1 kernels, 2 images"),
        ("-k '' -i ''", "-k and -i belong together: 0 kernels, 0 images"),
        ("-k 'a b' -i 'x x'", "-i x x: the same image twice"),
        (f"-v /dev/sda1 {PAIR}", "-v and -f belong together"),
        (f"-f ext4 {PAIR}", "-v and -f belong together"),
        (f"-f 'md lvm2' {PAIR}", "-v and -f belong together"),
        (f"-v '' -f ext4 {PAIR}", "-v: the value is empty"),
        (f"{DUMP} {PAIR} /mnt", "-i kdump.img: with another root, this must be a path"),
        (f"{DUMP} {PAIR} --root /mnt", "-i kdump.img: with another root, this must be a path"),
        (f"{DUMP} {PAIR} / /", "/ /: expected one ROOT_DIR"),
        (f"{DUMP} {PAIR} --root / /", "/: expected one ROOT_DIR"),
        (f"{DUMP} {PAIR} -o x", "unrecognized arguments: -o"),
        (f"{DUMP} {PAIR} -c x", "unrecognized arguments: -c"),
        (f"{DUMP} {PAIR} --base x", "unrecognized arguments: --base"),
        (f"{DUMP} {PAIR} --dump-dev=x", "unrecognized arguments: --dump-dev=x"),
        (f"{DUMP} {PAIR} -z", "unrecognized arguments: -z"),
        (f"-v {PAIR}", "argument -v: expected one argument"),
        (f"{PAIR} -f", "argument -f: expected one argument"),
        ("-k -i x", "argument -k: expected one argument"),
        ("-i x -k", "argument -k: expected one argument"),
        (f"{PAIR} --jobs all", "--jobs all: not a value"),
    ],
)  # fmt: skip
def test_wrong_usage(words: str, message: str) -> None:
    assert complaint(words).message.startswith(message)
