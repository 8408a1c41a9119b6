# SPDX-License-Identifier: GPL-2.0-or-later
"""The codec of the dump: what the root holds and the distribution's readers open."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdump_initrd.config.settings import CAPTURE
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.probe.distro import profiles
from kdump_initrd.saver import params
from kdump_initrd.saver.codec.rows import BY_NAME

from .codeclibraries import ALL, DEFLATE, LZO, SHIPPED, SNAPPY, ZLIB, ZSTD, choose


@pytest.mark.parametrize(
    ("profile", "libraries", "wanted"),
    [
        ("fedora", ALL, ("lzo", LZO)),
        ("fedora", (SNAPPY, ZSTD, DEFLATE, ZLIB), ("snappy", SNAPPY)),
        ("fedora", (ZSTD, DEFLATE, ZLIB), ("zstd", ZSTD)),
        ("fedora", (DEFLATE, ZLIB), ("zlib", DEFLATE)),
        ("fedora", (ZLIB,), ("zlib", ZLIB)),
        ("rhel", (ZSTD, ZLIB), ("zlib", ZLIB)),
        ("sles", (SNAPPY, ZSTD, ZLIB), ("snappy", SNAPPY)),
        ("debian", ALL, ("lzo", LZO)),
        ("debian", (SNAPPY, ZSTD, DEFLATE, ZLIB), ("zlib", DEFLATE)),
        ("linux", (SNAPPY, ZSTD, ZLIB), ("zlib", ZLIB)),
    ],
)
def test_auto(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    profile: str,
    libraries: tuple[str, ...],
    wanted: tuple[str, str],
) -> None:
    assert choose(tmp_path, "auto", *libraries, profile=profile) == wanted
    assert caplog.text == ""


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("profile", profiles.known(SHIPPED, root=Root()))
def test_a_named_codec_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, profile: str
) -> None:
    assert choose(tmp_path, name, *ALL, profile=profile)[0] == name
    facts = profiles.load(profile, search_path=SHIPPED, root=Root())
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        f"--dump-compress {name}: not every dump reader of {facts.name} supports it: "
        f"{', '.join(facts.dump.codecs)} are safe"
    ] * (name not in facts.dump.codecs)


def test_none_needs_no_library(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert choose(tmp_path, "none") == ("none", "")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        ("auto", "liblzo2.so.2 or libdeflate.so.0 or libz.so.1"),
        ("zlib", "libdeflate.so.0 or libz.so.1"),
        ("snappy", "libsnappy.so.1"),
    ],
)
def test_no_library(tmp_path: Path, wanted: str, missing: str) -> None:
    with pytest.raises(KdumpInitrdError) as caught:
        choose(tmp_path, wanted, profile="debian")
    assert caught.value.message == f"--dump-compress {wanted}: {missing} not found in {tmp_path}"
    assert caught.value.hint == "install one, or use --dump-compress none"


def test_the_names_are_the_savers() -> None:
    (setting,) = [each for each in CAPTURE if each.name == "dump_compress"]
    assert setting.choices == params.CHOICES["compress"] == ("auto", *BY_NAME, "none")
    assert {name: tuple(row.libraries) for name, row in BY_NAME.items()} == {
        "lzo": (LZO,), "snappy": (SNAPPY,), "zstd": (ZSTD,), "zlib": (DEFLATE, ZLIB)
    }  # fmt: skip
