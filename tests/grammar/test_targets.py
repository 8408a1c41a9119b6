# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets on a command line: a list, and what belongs to which, in all three grammars."""

from __future__ import annotations

import pytest

from kdump_initrd.config.targetsettings import TargetSettings
from tests.aimed import aimed

from .asking import complaint, said

A, B = "/dev/sda1", "LABEL=b"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--target LABEL=b", aimed(B)),
        ("--target ssh://kdump@host/srv", aimed("ssh://kdump@host/srv")),
        ("-c /dev/sda1 --target LABEL=b", (*aimed(A), *aimed(B))),
        ("--target LABEL=b -c /dev/sda1", (*aimed(B), *aimed(A))),
        ("-c /dev/sda1 -c LABEL=b", (*aimed(A), *aimed(B))),
        # What follows one is that one's, what stands before the first is everybody's.
        ("-c /dev/sda1 -f xfs --target LABEL=b", (*aimed(A, "xfs"), *aimed(B))),
        ("-f xfs -c /dev/sda1 --target LABEL=b", (*aimed(A, "xfs"), *aimed(B, "xfs"))),
        ("-f xfs -c /dev/sda1 -f ext4 --target LABEL=b", (*aimed(A, "ext4"), *aimed(B, "xfs"))),
        (
            "--path /x --deadline 9 -c /dev/sda1 --path /y --target LABEL=b --deadline 0",
            (*aimed(A, path="/y", deadline=9), *aimed(B, path="/x", deadline=0)),
        ),
        ("-c /dev/sda1 -f xfs -f ext4", aimed(A, "ext4")),
        (
            "--layer lvm -c LABEL=b --layer md --layer multipath --target /dev/sda1",
            (*aimed(B, layers=("md", "multipath")), *aimed(A, layers=("lvm",))),
        ),
        ("--deadline 5 6.1 -c /dev/sda1", aimed(A, deadline=5)),
    ],
)
def test_ours(words: str, wanted: tuple[TargetSettings, ...]) -> None:
    found = said(words)
    assert found.pop("targets") == wanted
    assert found.keys() <= {"release"}


def test_red_hats_and_suses() -> None:
    words = "--dump-dev=/dev/sda1 --dump-fs=ext4 --target LABEL=b --path /x /boot/x 6.1"
    assert said(words)["targets"] == (*aimed(A, "ext4"), *aimed(B, path="/x"))
    assert said("--target LABEL=b --layer lvm --layer md --dump-fs=xfs /boot/x 6.1")[
        "targets"
    ] == aimed(B, "xfs", layers=("lvm", "md"))
    assert said("-v LABEL=b -f xfs --layer md -k vmlinuz -i x")["targets"] == aimed(
        B, "xfs", layers=("md",)
    )
    assert said("--dump-fs=ext4 --target LABEL=b /boot/x 6.1")["targets"] == aimed(B, "ext4")
    words = "-v /dev/sda1 -f ext4 --target LABEL=b -k vmlinuz -i x"
    assert said(words)["targets"] == (*aimed(A, "ext4"), *aimed(B))


def test_without_a_target_it_is_meant_for_the_configured_ones() -> None:
    assert said("-o x --path /x --deadline 9") == {"output": "x", "path": "/x", "deadline": 9}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--target ''", "--target: the value is empty"),
        ("--target '' --target LABEL=b", "--target: the value is empty"),
        ("--path '' -c /dev/sda1 --path /x", "--path: the value is empty"),
        ("-c LABEL=b --layer raid", "--layer raid: unknown value"),
        ("-c LABEL=b --layer ''", "--layer: the value is empty"),
        ("--target LABEL=b --deadline x", "--deadline x: not a value"),
        ("--target 'LABEL=b '", "--target LABEL=b : not a value"),
        ("-i x -v y --target LABEL=b", "-c and -i (-v) are mutually exclusive"),
        ("-i x -v y --deadline 9", "--deadline: not with -i"),
        ("--refresh --target LABEL=b", "--target: not with --refresh"),
        ("-o x -f ext4", "-f requires -c"),
    ],
)
def test_wrong_usage(words: str, message: str) -> None:
    assert complaint(words).message.startswith(message)
