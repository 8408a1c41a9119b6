# SPDX-License-Identifier: GPL-2.0-or-later
"""The codecs' fences: round trips, limits, and libraries that are not there."""

from __future__ import annotations

import ctypes

import pytest

from kdump_initrd.saver import codec
from kdump_initrd.saver.codec import library, lzo, zlib, zstd
from kdump_initrd.saver.failure import SaverError

from .vmcore import PAGE, noise, repeating, text, zero

NAMES = ["lzo", "zstd", "zlib"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page_size", [PAGE, 65536])
def test_round_trip_between_addresses(name: str, page_size: int) -> None:
    chosen = codec.open_codec(name, page_size)
    assert chosen is not None and chosen.name == name
    count = page_size // PAGE
    for data in (zero(count), text(count), repeating(count)):
        source = ctypes.create_string_buffer(data, len(data))
        room = chosen.room(page_size)
        target = ctypes.create_string_buffer(room + 16)
        target.raw = bytes(room) + b"g" * 16
        size = chosen.compress(ctypes.addressof(source), page_size, ctypes.addressof(target), room)
        assert size < page_size // 2
        back = ctypes.create_string_buffer(page_size)
        packed, unpacked = ctypes.addressof(target), ctypes.addressof(back)
        assert chosen.decompress(packed, size, unpacked, page_size) == page_size
        assert back.raw == data
        with pytest.raises(SaverError, match="damaged data"):
            chosen.decompress(packed, size, unpacked, page_size - 1)
        with pytest.raises(SaverError, match="damaged data"):
            chosen.decompress(packed, size // 2, unpacked, page_size)
    data = noise(count)
    source = ctypes.create_string_buffer(data, len(data))
    size = chosen.compress(ctypes.addressof(source), page_size, ctypes.addressof(target), room)
    assert size >= page_size
    assert target.raw[room:] == b"g" * 16


def test_none_and_unknown_flags() -> None:
    assert codec.open_codec("none", PAGE) is None
    with pytest.raises(SaverError, match=r"unknown codec \(flag 0x4\)"):
        codec.open_by_flag(4, PAGE)
    assert [codec.open_by_flag(flag, PAGE).name for flag in (1, 2, 0x20)] == ["zlib", "lzo", "zstd"]


def test_auto_takes_the_first_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found = codec.open_codec("auto", PAGE)
    assert found is not None and found.name == "lzo"
    monkeypatch.setattr(lzo, "_LIBRARY", "liblzo2-missing.so.2")
    found = codec.open_codec("auto", PAGE)
    assert found is not None and found.name == "zstd"
    monkeypatch.setattr(zstd, "_LIBRARY", "libzstd-missing.so.1")
    found = codec.open_codec("auto", PAGE)
    assert found is not None and found.name == "zlib"
    monkeypatch.setattr(zlib, "_LIBRARY", "libz-missing.so.1")
    with pytest.raises(SaverError) as caught:
        codec.open_codec("auto", PAGE)
    for name in ("liblzo2-missing.so.2", "libzstd-missing.so.1", "libz-missing.so.1"):
        assert f"{name}: the library cannot be loaded" in str(caught.value)


def test_a_missing_library_is_named() -> None:
    with pytest.raises(SaverError, match=r"^libnothing.so.9: the library cannot be loaded"):
        library.load("libnothing.so.9")
