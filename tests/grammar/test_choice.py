# SPDX-License-Identifier: GPL-2.0-or-later
"""Which grammar is meant: by its marks, whatever the words' order; letters that all have."""

from __future__ import annotations

import contextlib
import io
import shlex
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kdump_initrd import __version__
from kdump_initrd.commands import mkinitrd, verbs
from kdump_initrd.commands.grammar import debian, redhat, suse
from kdump_initrd.commands.grammar.choice import understand
from kdump_initrd.commands.grammar.requests import Command, Print
from kdump_initrd.commands.verbs.build import Capture, FirstKernel, Images
from tests.aimed import aimed

from .asking import complaint, said, warned

DUMP = {"targets": aimed("/dev/a", "xfs")}
X = {**DUMP, "output": "x"}
OF_61 = {"release": "6.1"}
IN_BOOT = Capture({**DUMP, "output": "/boot/x"}, "vmlinuz", "/boot")
ARMED = {"capture_initrd": "x", "capture_kernel": "/boot/vmlinuz"}
NATIVE, RED_HAT, SUSE = (each.GRAMMAR.hint for each in (debian, redhat, suse))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        # -v and -f in all three.
        ("-i x -v /boot/vmlinuz -f ext4", FirstKernel({**ARMED, "fstype": "ext4"})),
        ("-f -v --dump-dev=/dev/a --dump-fs=xfs x 6.1", Capture({**X, "force": True, **OF_61})),
        ("-f xfs -v /dev/a -k vmlinuz -i x", IN_BOOT),
        # -i in two, -k of Debian in SLES's place.
        ("-v /dev/a -i x -k vmlinuz -f xfs", IN_BOOT),
        ("-k -c /dev/a -f xfs -o x", Capture(X)),
        ("-c /dev/a -f xfs -o x 6.1 -k", Capture({**X, **OF_61})),
        # A value is not an option, and what is behind -- neither.
        ("-c /dev/a -f xfs -o=-k", Capture({**DUMP, "output": "-k"})),
        ("-c /dev/a -f xfs --path=-k", Capture({"targets": aimed("/dev/a", "xfs", path="-k")})),
        ("-c /dev/a -f xfs -- -k", Capture({**DUMP, "release": "-k"})),
        ("--image-version -- x --dump-dev=y",
         Capture({"output": "x---dump-dev=y", "release": "--dump-dev=y"})),
        # Two words, where ours would take the first for a value: only if it is a path.
        ("-f ./x 6.1", Capture({"force": True, "output": "./x", "release": "6.1"})),
    ],
)  # fmt: skip
def test_told_by_parsed_options(words: str, wanted: Capture | FirstKernel) -> None:
    assert understand(shlex.split(words)).requests == (Images((wanted,)),)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("-c /dev/a -f xfs --frob", "unrecognized arguments: --frob", NATIVE),
        ("-c /dev/a -f", "argument -f: expected one argument", NATIVE),
        ("-f ext4 6.1", "expected one of -c, -o, -i", None),
        ("-v vmlinuz 6.1", "-i and -v belong together", None),
        ("--dump-dev=/dev/a -c /dev/b x 6.1", "unrecognized arguments: -c", RED_HAT),
        ("x 6.1 --dump-fs", "argument --dump-fs: expected one argument", RED_HAT),
        ("-f x 6.1 --preload --with=b", "argument --preload: expected one argument", RED_HAT),
        ("-c --dump-dev=/dev/a x 6.1", "unrecognized arguments: -c", RED_HAT),
        ("-k vmlinuz -i x --dump-dev=/dev/a", "unrecognized arguments: --dump-dev=/dev/a", SUSE),
        # What is wrong may stand in front of what tells the grammar.
        ("-v -f -k vmlinuz -i x", "argument -v: expected one argument", SUSE),
        ("-i -k vmlinuz", "argument -i: expected one argument", SUSE),
        ("-k -i x -v", "argument -k: expected one argument", SUSE),
        ("--jobs --fstab=x y 6.1", "argument --jobs: expected one argument", RED_HAT),
        # An option in front of both tells nothing: then it is ours.
        ("-v", "argument -v: expected one argument", NATIVE),
    ],
)
def test_whose_usage_error_it_is(words: str, message: str, hint: str | None) -> None:
    error = complaint(words)
    assert error.message.startswith(message)
    assert hint is None or error.hint == hint


def test_debians_k_is_told_by_what_is_complete() -> None:
    (warning,) = warned("-k -c /dev/a -f xfs -o x")
    assert warning.startswith("-k no longer has a meaning: ")
    assert said("-k -o x") == {"output": "x"}
    # Where a word follows, it is SLES's, and -o is nothing of theirs.
    assert complaint("-o x -k 2.6.8").message == "unrecognized arguments: -o"


@pytest.mark.parametrize(
    ("words", "grammar"),
    [
        ("--help", debian),
        ("-h", debian),
        ("--frob --help", debian),
        ("-c /dev/a --help", debian),
        ("--help --dump-dev=x", redhat),
        ("-k vmlinuz -h", suse),
    ],
)
def test_help_is_that_of_the_grammar(words: str, grammar: ModuleType) -> None:
    (request,) = understand(words.split()).requests
    assert isinstance(request, Print)
    assert request.text.startswith(f"usage: {grammar.parser().usage}\n")


def test_help_shows_all_three() -> None:
    (request,) = understand(["--help"]).requests
    assert isinstance(request, Print)
    for words in (
        "-c DEV [-f FS]",
        "--dump-dev=DEV --dump-fs=FS",
        "-v DEV -f FS] -k KERNEL -i IMAGE",
    ):
        assert words in request.text.split("\n\n")[0]
    assert "mkinitrd-kdump-grammars(7)" in request.text


@pytest.mark.parametrize(
    "words", ["--version", "-c x --version", "-k x --version", "--with=a --version"]
)
def test_version(words: str) -> None:
    assert understand(words.split()).requests == (Print(f"kdump-initrd {__version__}"),)


def flags() -> list[str]:
    """Return every option of every grammar."""
    text = [flag for grammar in (debian, redhat, suse) for flag in grammar.parser().flags()]
    return sorted(set(text))


WORDS = st.lists(
    st.one_of(
        st.sampled_from(flags()),
        st.sampled_from(flags()).map(lambda flag: f"{flag}=x"),
        st.sampled_from(["x", "/dev/a", "ext4", "6.1", "", "--", "-", "-1", "a b", "all", "kdump"]),
        st.text(st.characters(blacklist_characters="\0"), max_size=6),
    ),
    max_size=8,
)


@settings(max_examples=300)
@given(WORDS)
@example(["--dump-dev=\udce9"])
@example(["--", "--", "--"])
@example(["-k", "--", "-k"])
def test_any_words_are_a_request_or_one_line_and_a_hint(words: list[str]) -> None:
    asked: list[Command] = []

    def perform(requests: object) -> int:
        asked.append(requests)  # type: ignore[arg-type]
        return 0

    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(out):
        patch.setattr(verbs, "perform", perform)
        status = mkinitrd.main([word for word in words if word != "--debug"])
    lines = [line for line in out.getvalue().split("\n") if ": warning: " not in line]
    if status == 0:
        assert len(asked) == 1
        assert lines == [""]
    else:
        assert status == 2
        assert asked == []
        assert lines[0].startswith("kdump-initrd: error: ")
        assert lines[-2].startswith("hint: ")
        assert "Traceback" not in out.getvalue()
