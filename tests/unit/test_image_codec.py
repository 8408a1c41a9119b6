# SPDX-License-Identifier: GPL-2.0-or-later
"""Which codec an image gets: what its kernel unpacks, and what this host has the program for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from kdump_initrd.core.compression import Codec
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.image.archive import filters
from kdump_initrd.probe.kernel.releases import KernelRelease
from kdump_initrd.recipes.parts import imagecodec

GZIP_ONLY = {"CONFIG_RD_GZIP": "y", "CONFIG_RD_ZSTD": "n"}


def release(config: dict[str, str]) -> KernelRelease:
    return KernelRelease("6.1.0-test", None, Path("/none"), config)


@pytest.fixture
def lacks(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    """Programs that this host lacks: those that a test puts into the list."""
    names: list[str] = []
    monkeypatch.setattr(filters, "find", lambda name: None if name in names else f"/usr/bin/{name}")
    caplog.set_level(logging.WARNING, logger="kdump-initrd")
    return names


@pytest.mark.parametrize(
    ("config", "missing", "expected", "how"),
    [
        ({}, [], "zstd", ""),
        ({}, ["zstd"], "xz", "compressed by xz instead"),
        ({}, ["zstd", "xz"], "gzip", "compressed by gzip instead"),
        (GZIP_ONLY, ["zstd", "xz", "lz4"], "gzip", ""),
        ({"CONFIG_RD_ZSTD": "y"}, ["zstd"], "none", "not compressed"),
        ({"CONFIG_RD_LZ4": "y"}, [], "lz4", ""),
        ({"CONFIG_X": "y"}, ["zstd"], "none", ""),
    ],
)
def test_what_is_there(
    lacks: list[str],
    caplog: pytest.LogCaptureFixture,
    config: dict[str, str],
    missing: list[str],
    expected: str,
    how: str,
) -> None:
    lacks += missing
    assert imagecodec.choose(None, release(config)) is Codec(expected)
    warning = (
        f"{missing[0]}: program not found: the image is {how}, which needs a larger reservation "
        f"(install {missing[0]})"
        if how
        else ""
    )
    assert caplog.messages == ([warning] if warning else [])


def test_what_was_asked_for_is_not_exchanged(
    lacks: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lacks.append("zstd")
    assert imagecodec.choose("zstd", release({})) is Codec.ZSTD
    with pytest.raises(KdumpInitrdError, match="cannot unpack it"):
        imagecodec.choose("zstd", release(GZIP_ONLY))
    assert caplog.messages == []


@pytest.mark.parametrize("base", [each for each in Codec if each is not Codec.LZ4_FRAME])
def test_behind_a_base(lacks: list[str], caplog: pytest.LogCaptureFixture, base: Codec) -> None:
    assert imagecodec.behind(base) is base
    assert caplog.messages == []
    lacks += ["zstd", "xz", "lz4", "bzip2", "lzop"]
    needs_none = base in (Codec.NONE, Codec.GZIP)
    assert imagecodec.behind(base) is (base if needs_none else Codec.NONE)
    assert len(caplog.messages) == (0 if needs_none else 1)
