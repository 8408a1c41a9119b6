# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept between builds: of nobody's but this user's own folder."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.core import cache, trust

KEY = hashlib.sha256(b"key").hexdigest()
#: A user that is not this one.
OTHER = 12345
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for caches, as another user's environment would name it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home/cache"))
    return tmp_path / "home"


def entry(home: Path) -> Path:
    return home / "cache/kdump-initrd" / KEY


def kept(home: Path) -> bool:
    """Tell whether an entry can be stored and fetched."""
    cache.store(KEY, b"what was made")
    return cache.fetch(KEY) == b"what was made"


def test_what_is_stored_is_fetched(home: Path) -> None:
    assert cache.fetch(KEY) is None
    assert kept(home)
    assert [path.name for path in (home / "cache/kdump-initrd").iterdir()] == [KEY]
    modes = [path.stat().st_mode & 0o777 for path in (entry(home), entry(home).parent)]
    assert modes == [0o600, 0o700]


def give_to_group(home: Path) -> None:
    os.chown(home, 0, OTHER)
    home.chmod(0o775)


def link_of_another(home: Path) -> None:
    (home / "cache").rename(home / "moved")
    (home / "cache").symlink_to("moved")
    os.lchown(home / "cache", OTHER, OTHER)


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "its folder is another's": (
        lambda home: os.chown(home / "cache/kdump-initrd", OTHER, 0),
        "kdump-initrd on the way to it: it belongs to user 12345",
    ),
    "a folder above is another's": (
        lambda home: os.chown(home, OTHER, OTHER),
        "home on the way to it: it belongs to user 12345",
    ),
    "a folder above is everybody's": (
        lambda home: home.chmod(0o757),
        "home on the way to it: everybody can write to it",
    ),
    "a folder above is a group's": (
        give_to_group,
        "home on the way to it: group 12345 can write to it",
    ),
    "its folder is sticky and everybody's": (
        lambda home: (home / "cache/kdump-initrd").chmod(0o1777),
        "everybody can write to it",
    ),
    "a link of another": (
        link_of_another,
        "cache on the way to it is a link of user 12345",
    ),
}


@needs_root
@pytest.mark.parametrize(("spoil", "why"), SPOILT.values(), ids=SPOILT)
def test_a_folder_that_another_could_fill_or_exchange(
    home: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None],
    why: str,
) -> None:
    """As with `su` and `sudo -E`: root's rights, and the environment of another user."""
    assert kept(home)
    stored = entry(home).read_bytes()
    spoil(home)
    caplog.set_level(logging.DEBUG, "kdump-initrd")
    assert cache.fetch(KEY) is None
    cache.store("0" * 64, b"more")
    assert not kept(home)
    assert f"no cache: {home}/cache/kdump-initrd: {why}" in caplog.messages
    assert entry(home).read_bytes() == stored
    assert len(list(entry(home).parent.iterdir())) == 1


def test_a_sticky_folder_on_the_way_and_a_link_of_ones_own(home: Path) -> None:
    home.mkdir()
    home.chmod(0o1777)
    (home / "real").mkdir()
    (home / "cache").symlink_to(home / "nowhere/../real")
    (home / "nowhere").mkdir()
    assert kept(home)
    assert (home / "real/kdump-initrd" / KEY).exists()


@needs_root
@pytest.mark.parametrize("what", ["another's", "a group's", "a link", "a FIFO", "a folder", "cut"])
def test_an_entry_that_another_could_have_made(home: Path, what: str) -> None:
    assert kept(home)
    path = entry(home)
    if what == "another's":
        os.chown(path, OTHER, OTHER)
    elif what == "a group's":
        os.chown(path, 0, OTHER)
        path.chmod(0o660)
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.rename(home / "entry")
        if what == "a link":
            path.symlink_to(home / "entry")
        elif what == "a FIFO":
            os.mkfifo(path)
        else:
            path.mkdir()
    assert cache.fetch(KEY) is None


def test_only_old_entries_of_ours_go(home: Path) -> None:
    assert kept(home)
    folder = entry(home).parent
    old, other = folder / ("a" * 64), folder / "notes.txt"
    link = folder / ("b" * 64)
    for path in (old, other):
        path.write_text("x")
        os.utime(path, (0, time.time() - 61 * 24 * 3600))
    link.symlink_to(old)
    cache.store("c" * 64, b"")
    assert {path.name for path in folder.iterdir()} == {KEY, "c" * 64, "notes.txt", link.name}


@pytest.mark.parametrize("place", ["relative/place", "/dev/null", "/proc/1/none"])
def test_no_place_for_a_cache(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    assert not kept(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        trust.open_folder(str(tmp_path / "a"))
