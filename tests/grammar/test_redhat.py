# SPDX-License-Identifier: GPL-2.0-or-later
"""Red Hat's grammar: every option that its mkinitrd had, and ours beside them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from kdump_initrd.commands.grammar import redhat
from kdump_initrd.commands.grammar.choice import understand
from kdump_initrd.commands.grammar.retired import Retired
from kdump_initrd.commands.grammar.vocabulary import SHARED
from kdump_initrd.config.settings import Setting
from tests.aimed import aimed

from .asking import complaint, said, warned
from .optionwords import WORDS, with_option

DUMP = "--dump-dev=/dev/sda1 --dump-fs=ext4"
IMAGE = "/boot/kdump.img 6.1"
PLAIN = {
    "targets": aimed("/dev/sda1", "ext4"),
    "output": "/boot/kdump.img",
    "release": "6.1",
}


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (f"{DUMP} {IMAGE}", {}),
        (f"{IMAGE} {DUMP}", {}),
        ("/boot/kdump.img --dump-dev /dev/sda1 6.1 --dump-fs ext4", {}),
        (f"{DUMP} -f {IMAGE}", {"force": True}),
        (f"{DUMP} --force {IMAGE}", {"force": True}),
        (f"{DUMP} -v {IMAGE}", {}),
        (f"{DUMP} -fv {IMAGE}", {"force": True}),
        (f"{DUMP} --with=a --with b {IMAGE}", {"add_modules": ("a", "b")}),
        (f"{DUMP} --with=a --add-module=b {IMAGE}", {"add_modules": ("a", "b")}),
        (f"{DUMP} --with=a --preload=b {IMAGE}", {"add_modules": ("b", "a")}),
        (f"{DUMP} --builtin=a --builtin=b {IMAGE}", {"omit_modules": ("a", "b")}),
        (f"{DUMP} --builtin=a --omit-module=b {IMAGE}", {"omit_modules": ("a", "b")}),
        (f"{DUMP} --image-version {IMAGE}", {"output": "/boot/kdump.img-6.1"}),
        (f"{DUMP} --nocompress {IMAGE}", {"compress": "none"}),
        (f"{DUMP} --nocompress --compress none {IMAGE}", {"compress": "none"}),
    ],
)
def test_its_own_words(words: str, more: dict[str, Any]) -> None:
    assert said(words) == {**PLAIN, **more}


@pytest.mark.parametrize("words", [IMAGE, "kdump.img 6.1", "-v -f /boot/kdump.img 6.1",
                                   "-f /boot/kdump.img 6.1", "-v /boot/kdump.img 6.1"])  # fmt: skip
def test_two_names_are_an_image_for_the_configured_target(words: str) -> None:
    image, release = words.split()[-2:]
    force = {"force": True} if "-f" in words else {}
    assert said(words) == {"output": image, "release": release, **force}


@pytest.mark.parametrize("row", redhat.RETIRED, ids=lambda row: row.flag)
def test_what_has_no_meaning_any_more(row: Retired) -> None:
    words = f"{row.flag}{f'={row.metavar}' if row.metavar else ''} {IMAGE}"
    assert said(words) == {"output": "/boot/kdump.img", "release": "6.1"}
    assert warned(words) == (f"{row.flag} no longer has a meaning: {row.why}",)


def test_preload_cannot_keep_its_promise() -> None:
    (warning,) = warned(f"{DUMP} --preload=a {IMAGE}")
    assert warning.startswith("--preload: ")


@pytest.mark.parametrize("setting", SHARED, ids=lambda row: row.flags[0])
def test_our_long_options(setting: Setting) -> None:
    word, value = WORDS[setting.name]
    words = f"{DUMP} {setting.flags[0]} {word} {IMAGE}"
    assert said(words) == with_option(PLAIN, setting.name, value)
    assert warned(words) == ()


def test_verbose() -> None:
    for words in ("-v", "--verbose", "--debug"):
        assert understand(f"{DUMP} {words} {IMAGE}".split()).level == logging.DEBUG
    assert understand(f"{DUMP} --quiet {IMAGE}".split()).level == logging.WARNING


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (DUMP, "IMAGE and KERNEL_VERSION are both required"),
        (f"{DUMP} kdump.img", "IMAGE and KERNEL_VERSION are both required"),
        (f"{DUMP} {IMAGE} more", "IMAGE and KERNEL_VERSION are both required"),
        (f"{DUMP} '' 6.1", "IMAGE and KERNEL_VERSION are both required"),
        (f"--dump-dev=/dev/sda1 {IMAGE}", "--dump-dev and --dump-fs belong together"),
        (f"--dump-fs=ext4 {IMAGE}", "--dump-dev and --dump-fs belong together"),
        (f"--dump-dev= --dump-fs=ext4 {IMAGE}", "--dump-dev: the value is empty"),
        (f"{DUMP} --with= {IMAGE}", "--with, --preload, --builtin: the value is empty"),
        (f"{DUMP} --nocompress --compress zstd {IMAGE}", "--nocompress and --compress are mutual"),
        (f"{DUMP} --compress rar {IMAGE}", "--compress rar: unknown value"),
        (f"{DUMP} -o x {IMAGE}", "unrecognized arguments: -o"),
        (f"{DUMP} --base x {IMAGE}", "unrecognized arguments: --base"),
        (f"{DUMP} --list x {IMAGE}", "unrecognized arguments: --list"),
        (f"{DUMP} --frobnicate {IMAGE}", "unrecognized arguments: --frobnicate"),
        (f"--nocompress -c x {IMAGE}", "unrecognized arguments: -c"),
        ("--dump-dev", "argument --dump-dev: expected one argument"),
        (f"{DUMP} {IMAGE} --with", "argument --with: expected one argument"),
        (f"--quiet -v {DUMP} {IMAGE}", "argument -v/--verbose: not allowed with"),
    ],
)  # fmt: skip
def test_wrong_usage(words: str, message: str) -> None:
    error = complaint(words)
    assert error.message.startswith(message)
