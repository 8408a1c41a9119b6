# SPDX-License-Identifier: GPL-2.0-or-later
"""The codecs' fences: round trips, limits, and libraries that are not there."""

from __future__ import annotations

import ctypes
import zlib as python_zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.saver.codec import libdeflate, library, lzo, opening, snappy, zlib, zstd
from kdump_initrd.saver.codec.rows import BY_NAME
from kdump_initrd.saver.low.failure import SaverError

from .running import save
from .synthetic import EVERY_KIND, build
from .vmcore import PAGE, Core, noise, repeating, text, zero

#: What makes each codec for a page size, by its library.
MAKERS: dict[str, Callable[[int], library.Codec]] = {
    "liblzo2": lzo.Lzo,
    "libsnappy": lambda _: snappy.Snappy(),
    "libzstd": lambda _: zstd.Zstd(),
    "libdeflate": lambda _: libdeflate.LibDeflate(),
    "libz": zlib.Zlib,
}
PAGES = {"zero": zero, "text": text, "repeating": repeating}
MODULES = {"lzo": lzo, "snappy": snappy, "zstd": zstd, "libdeflate": libdeflate, "libz": zlib}
GUARD = b"guard" * 4


@pytest.fixture(params=[PAGE, 65536])
def page_size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=list(MAKERS))
def chosen(request: pytest.FixtureRequest, page_size: int) -> library.Codec:
    made = MAKERS[request.param](page_size)
    assert made.library == request.param
    assert made.row in BY_NAME.values()
    return made


def compress(chosen: library.Codec, data: bytes) -> tuple[int, bytes]:
    """Return the size that compress says and what is in dest, whose end nobody may touch."""
    source = ctypes.create_string_buffer(data, len(data))
    room = chosen.room(len(data))
    dest = ctypes.create_string_buffer(b"x" * room + GUARD, room + len(GUARD))
    size = chosen.compress(ctypes.addressof(source), len(data), ctypes.addressof(dest))
    assert dest.raw[room:] == GUARD
    assert source.raw == data
    return size, dest.raw[:size]


def decompress(chosen: library.Codec, data: bytes, capacity: int) -> bytes:
    source = ctypes.create_string_buffer(data, len(data))
    dest = ctypes.create_string_buffer(b"x" * capacity + GUARD, capacity + len(GUARD))
    try:
        addresses = ctypes.addressof(source), ctypes.addressof(dest)
        size = chosen.decompress(addresses[0], len(data), addresses[1], capacity)
    finally:
        assert dest.raw[capacity:] == GUARD
    return dest.raw[:size]


@pytest.mark.parametrize("kind", list(PAGES))
def test_round_trip(chosen: library.Codec, page_size: int, kind: str) -> None:
    data = PAGES[kind](page_size // PAGE)
    size, packed = compress(chosen, data)
    assert size == len(packed) < page_size // 2
    assert decompress(chosen, packed, page_size) == data
    with pytest.raises(SaverError, match=rf"^{chosen.library}\.so\.\d: damaged data"):
        decompress(chosen, packed, page_size - 1)
    with pytest.raises(SaverError, match="damaged data"):
        decompress(chosen, packed[: size // 2], page_size)
    # Less than asked for is not an error of the codec: the reader compares.
    assert len(decompress(chosen, packed, 2 * page_size)) == page_size


def test_noise_is_not_compressible(chosen: library.Codec, page_size: int) -> None:
    assert compress(chosen, noise(page_size // PAGE))[0] == page_size


def test_pages_of_every_kind_in_turn(chosen: library.Codec, page_size: int) -> None:
    """Nothing stays in a codec from one page to the next, and other lengths do as well."""
    count = page_size // PAGE
    pages = [noise(count), text(count), zero(count), noise(count, 9), repeating(count), text(1, 3)]
    alone = [MAKERS[chosen.library](page_size) for _ in pages]
    for data, fresh in zip(2 * pages, 2 * alone):
        size, packed = compress(chosen, data)
        assert size == compress(fresh, data)[0]
        if size < len(data):
            assert decompress(chosen, packed, page_size) == data


def test_rubbish_is_refused_or_at_least_survived(chosen: library.Codec, page_size: int) -> None:
    data = text(page_size // PAGE)
    _, packed = compress(chosen, data)
    refused = 0
    for seed in range(200):
        damaged = bytearray(packed)
        damaged[seed * 7919 % len(damaged)] ^= 1 + seed
        try:
            back = decompress(chosen, bytes(damaged), page_size)
        except SaverError:
            refused += 1
        else:
            # The others have no checksum here: a changed letter is a letter.
            assert back == data or chosen.row.name != "zlib"
    assert refused > 0


def test_both_libraries_of_zlib_write_what_zlib_reads(page_size: int) -> None:
    data = text(page_size // PAGE)
    for name in ("libdeflate", "libz"):
        _, packed = compress(MAKERS[name](page_size), data)
        assert python_zlib.decompress(packed) == data
        for other in ("libdeflate", "libz"):
            assert decompress(MAKERS[other](page_size), packed, page_size) == data


def test_what_is_bare_keeps_what_it_needs() -> None:
    for make in MAKERS.values():
        function, arguments, slots = make(PAGE).bare(PAGE)
        source = ctypes.create_string_buffer(text(), PAGE)
        dest = ctypes.create_string_buffer(make(PAGE).room(PAGE))
        sizes = set()
        for _ in range(3):
            slots[0], slots[1] = ctypes.addressof(source), ctypes.addressof(dest)
            sizes.add(function(*arguments) or slots[2])
        assert len(sizes) == 1
        assert 0 < sizes.pop() < PAGE


def test_none_and_unknown_flags() -> None:
    assert opening.open_codec("none", PAGE) is None
    with pytest.raises(SaverError, match=r"unknown codec \(flag 0x40\)"):
        opening.open_by_flag(0x40, PAGE)
    names = [opening.open_by_flag(flag, PAGE).row.name for flag in (1, 2, 4, 0x20)]
    assert names == ["zlib", "lzo", "snappy", "zstd"]
    assert {row.flag for row in BY_NAME.values()} == {1, 2, 4, 0x20}


def test_auto_takes_the_first_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = []
    for name, module in MODULES.items():
        found = opening.open_codec("auto", PAGE)
        assert found is not None
        assert name in (found.row.name, found.library)
        missing.append(f"{name}-missing.so.1")
        monkeypatch.setattr(module, "_LIBRARY", missing[-1])
    with pytest.raises(SaverError) as caught:
        opening.open_codec("auto", PAGE)
    missing.remove("libdeflate-missing.so.1")
    for name in missing:
        assert f"{name}: the library cannot be loaded" in str(caught.value)


def test_zlib_is_done_by_libdeflate_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = opening.open_codec("zlib", PAGE)
    assert found is not None
    assert (found.row.name, found.library) == ("zlib", "libdeflate")
    monkeypatch.setattr(libdeflate, "_LIBRARY", "libdeflate-missing.so.0")
    found = opening.open_codec("zlib", PAGE)
    assert found is not None
    assert (found.row.name, found.library) == ("zlib", "libz")
    assert opening.open_by_flag(1, PAGE).library == "libz"


def broken(path: Path, kind: str) -> str:
    """Make a library that is not what its name says; return its name for dlopen(3)."""
    if kind == "missing":
        return str(path)
    if kind == "another":
        return "libc.so.6"
    if kind == "a folder":
        path.mkdir()
    elif kind != "empty":
        path.write_bytes({"garbage": b"garbage" * 999, "cut": b"\x7fELF" + bytes(60)}[kind])
    else:
        path.touch()
    return str(path)


KINDS = ("missing", "another", "a folder", "empty", "garbage", "cut")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["lzo", "snappy", "zstd", "zlib"])
def test_what_does_not_load_gives_way_to_what_does(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = broken(tmp_path / "library.so.1", kind)
    for module in (libdeflate, zlib) if name == "zlib" else (MODULES[name],):
        monkeypatch.setattr(module, "_LIBRARY", file)
    with pytest.raises(SaverError) as caught:
        opening.open_codec(name, PAGE)
    found, note = opening.open_any(name, PAGE)
    other = "snappy" if name == "lzo" else "lzo"
    assert found is not None and found.row.name == other
    assert note == f"{caught.value}: pages are compressed by {other} instead of {name}"
    assert "the library of" in note if kind == "another" else f"{file}: the library cannot" in note
    assert "Traceback" not in note and "\n" not in note
    found, note = opening.open_any("auto", PAGE)
    assert found is not None and not note
    for module in MODULES.values():
        monkeypatch.setattr(module, "_LIBRARY", file)
    found, note = opening.open_any(name, PAGE)
    assert found is None and note.endswith(": pages are not compressed")
    assert opening.open_any("auto", PAGE)[0] is None
    assert opening.open_any("none", PAGE) == (None, "")


@pytest.mark.parametrize("name", ["lzo", "snappy", "zstd", "zlib"])
def test_what_does_not_give_back_a_page_is_not_used(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for maker in (lzo.Lzo, snappy.Snappy, zstd.Zstd, libdeflate.LibDeflate, zlib.Zlib):
        if maker.row.name == name:
            monkeypatch.setattr(maker, "decompress", lambda *_: 17)
    with pytest.raises(SaverError, match="it does not give back what it has compressed"):
        opening.open_codec(name, PAGE)
    found, _ = opening.open_any(name, PAGE)
    assert found is not None and found.row.name != name


@pytest.mark.parametrize("kind", ["kdump", "flat"])
@pytest.mark.parametrize("all_of_them", [False, True])
def test_a_dump_without_the_library_of_its_codec(
    tmp_path: Path,
    kind: str,
    all_of_them: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wanted = build(f"kernel 6.1\n{EVERY_KIND}", tmp_path / "in")
    for name, module in MODULES.items():
        if name == "lzo" or all_of_them:
            monkeypatch.setattr(module, "_LIBRARY", f"{name}-missing.so.2")
    done = save(tmp_path, wanted, dump_compress="lzo", dump_level=31, dump_format=kind)
    assert (done.status, done.report["result"]) == (0, "saved")
    facts = done.report["dump"]
    used = "none" if all_of_them else "snappy"
    assert (facts["codec"], facts["level"], facts["verified"]) == (used, 31, "sample")
    assert facts["codec_note"].startswith("lzo-missing.so.2: the library cannot be loaded")
    assert f"warning: {facts['codec_note']}\n" in capfd.readouterr().err


def test_no_room_without_the_library(
    tmp_path: Path, small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The forecast decides, as with any codec.
    for name, module in MODULES.items():
        monkeypatch.setattr(module, "_LIBRARY", f"{name}-missing.so.2")
    core = Core().load(0x1000000, text(3000))
    done = save(tmp_path, core, output=small_disk(4096) / "crash", dump_compress="lzo")
    assert done.status == 4
    assert done.step("dump")["detail"].startswith("no room for the dump: about 12 MB")


def test_a_missing_library_is_named() -> None:
    with pytest.raises(SaverError, match=r"^libnothing.so.9: the library cannot be loaded"):
        library.load("libnothing.so.9")
