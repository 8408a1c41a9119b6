# SPDX-License-Identifier: GPL-2.0-or-later
"""The codec of the dump: what the root holds and the distribution's readers open."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from kdump_initrd.config.settings import CAPTURE
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.resources import search_path
from kdump_initrd.probe.distro import profiles
from kdump_initrd.probe.python.minimal import PythonRuntime
from kdump_initrd.recipes.found import Site
from kdump_initrd.recipes.parts import pagecodec
from kdump_initrd.saver import codec, params
from kdump_initrd.saver.codec import libdeflate, lzo, snappy, zlib, zstd

from .elfwriter import write_elf

SHIPPED = search_path("distros", root=Path("/nonexistent"))
LZO, SNAPPY, ZSTD, DEFLATE, ZLIB = (
    "liblzo2.so.2", "libsnappy.so.1", "libzstd.so.1", "libdeflate.so.0", "libz.so.1"
)  # fmt: skip
ALL = (LZO, SNAPPY, ZSTD, DEFLATE, ZLIB)


def choose(
    root: Path,
    wanted: str,
    *libraries: str,
    profile: str = "fedora",
    makedumpfile: Path | None = None,
) -> tuple[str, str]:
    """Return the codec and its library in a root that holds these libraries."""
    python = write_elf(root / "usr/bin/python3.11")
    for name in libraries:
        write_elf(root / "usr/lib" / name)
    runtime = SimpleNamespace(interpreter=SimpleNamespace(source=python))
    facts = profiles.load(profile, search_path=SHIPPED)
    site = SimpleNamespace(root=root, profile=facts, makedumpfile=makedumpfile)
    name, found = pagecodec.choose(wanted, cast(PythonRuntime, runtime), cast(Site, site))
    return name, " ".join(library.dest.name for library in found.libraries)


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


@pytest.mark.parametrize("name", codec.AUTO)
@pytest.mark.parametrize("profile", profiles.known(SHIPPED))
def test_a_named_codec_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, profile: str
) -> None:
    assert choose(tmp_path, name, *ALL, profile=profile)[0] == name
    facts = profiles.load(profile, search_path=SHIPPED)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        f"--dump-compress {name}: not every reader of dumps of {facts.name} opens that: "
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
    assert caught.value.hint == "install one, or say --dump-compress none"


def test_the_names_are_the_savers() -> None:
    (setting,) = [each for each in CAPTURE if each.name == "dump_compress"]
    assert setting.choices == params.CODECS == ("auto", *codec.AUTO, "none")
    assert tuple(pagecodec.LIBRARIES) == codec.AUTO
    saver = {
        "lzo": (lzo._LIBRARY,),
        "snappy": (snappy._LIBRARY,),
        "zstd": (zstd._LIBRARY,),
        "zlib": (libdeflate._LIBRARY, zlib._LIBRARY),
    }
    assert saver == pagecodec.LIBRARIES
