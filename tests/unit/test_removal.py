# SPDX-License-Identifier: GPL-2.0-or-later
"""--remove: ours goes, the distribution's bytes come back, nobody else's file is touched."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from kdump_initrd.core import publish
from kdump_initrd.core.root import Root
from kdump_initrd.upkeep import record

from . import refreshroots
from .initrdwriter import write_base, write_capture
from .refreshroots import NEWER, Host, kind_of
from .thiskernel import RELEASE

#: Where images and records are.
_CHANGED = ("boot", "var")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A root with two kernels, whose images are current."""
    host = Host(refreshroots.make(tmp_path_factory.mktemp("removal") / "root"))
    host.add_kernel()
    assert host.run() == 0
    return host


@pytest.fixture(scope="module")
def kept(host: Host) -> Path:
    """A copy of what --remove may change."""
    kept = host.root.with_name("kept")
    for name in _CHANGED:
        shutil.copytree(host.root / name, kept / name, symlinks=True)
    return kept


@pytest.fixture(autouse=True)
def current(host: Host, kept: Path) -> None:
    for name in _CHANGED:
        shutil.rmtree(host.root / name, ignore_errors=True)
        shutil.copytree(kept / name, host.root / name, symlinks=True)
    assert host.run() == 0


def names(host: Host) -> set[str]:
    """Return what is in /boot beside what the distribution has there."""
    theirs = {f"{kind}-{release}" for kind in ("vmlinuz", "config", "initrd.img")
              for release in (RELEASE, NEWER)}  # fmt: skip
    return {path.name for path in (host.root / "boot").iterdir()} - theirs


def test_one_kernels(host: Host, tmp_path: Path) -> None:
    assert host.remove(NEWER) == 0
    base = write_base(tmp_path / "base").read_bytes()
    assert (host.root / f"boot/initrd.img-{NEWER}").read_bytes() == base
    assert names(host) == {f"initrd.img-{RELEASE}-kdump"}
    assert kind_of(host.base) == "first-kernel"
    assert {each.release for each in record.every(root=Root(host.root)).values()} == {RELEASE}


def test_all_leaves_nothing(host: Host, tmp_path: Path) -> None:
    assert host.remove() == 0
    base = write_base(tmp_path / "base").read_bytes()
    for release in (RELEASE, NEWER):
        assert (host.root / f"boot/initrd.img-{release}").read_bytes() == base
    assert names(host) == set()
    assert not (host.root / record.FOLDER).exists()
    assert host.remove() == 0


def test_all_without_records_finds_ours_by_their_names(host: Host) -> None:
    shutil.rmtree(host.root / record.FOLDER)
    assert host.remove() == 0
    assert names(host) == set()
    assert kind_of(host.base) == ""


def test_a_kernel_that_is_gone_with_its_initrd(host: Host) -> None:
    kept = [host.root / f"boot/{kind}-{NEWER}" for kind in ("vmlinuz", "initrd.img")]
    for path in kept:
        path.rename(path.with_name(f"kept-{path.name}"))
    try:
        assert host.remove(NEWER) == 0
        assert not (host.root / f"boot/initrd.img-{NEWER}").exists()
    finally:
        for path in kept:
            path.with_name(f"kept-{path.name}").rename(path)
    assert names(host) == {f"initrd.img-{RELEASE}-kdump"}


def test_what_is_not_ours_stays(host: Host) -> None:
    theirs = host.root / f"boot/initrd.img-{NEWER}-kdump"
    write_base(theirs)
    other = host.root / "boot/initrd.img-other-kdump"
    other.write_bytes(b"not even an initrd")
    before = theirs.read_bytes()
    try:
        assert host.remove() == 0
        assert theirs.read_bytes() == before
        assert other.exists()
    finally:
        other.unlink()


def test_an_image_that_is_another_kernels_by_now_stays(host: Host) -> None:
    """A distribution may name initrds by the package, so that the next kernel takes the name."""
    image = host.root / f"boot/initrd.img-{NEWER}-kdump"
    write_capture(image, kernel="100.0")
    assert host.remove(NEWER) == 0
    assert kind_of(image) == "capture"


def test_another_segment_behind_ours_is_an_error_and_the_rest_goes(
    host: Host, tmp_path: Path
) -> None:
    image = host.root / f"boot/initrd.img-{NEWER}"
    more = write_base(tmp_path / "more").read_bytes()
    image.write_bytes(image.read_bytes() + more)
    assert host.remove() == 1
    assert kind_of(host.base) == ""
    assert not host.capture.exists()


def test_what_frees_room_comes_first(host: Host) -> None:
    """On a full file system the copy of an initrd has room in the place of a capture initrd."""
    before = publish.things()
    assert host.remove(NEWER) == 0
    images = [words for words in publish.done(before) if "/boot/" in words]
    assert images == [
        f"{host.root}/boot/initrd.img-{NEWER}-kdump removed",
        f"{host.root}/boot/initrd.img-{NEWER} written",
    ]


def test_what_a_killed_run_left_goes(host: Host) -> None:
    for folder in (host.root / "boot", host.root / record.FOLDER):
        (folder / ".kdump-initrd-0123456789ab.new").touch()
    assert host.remove() == 0
    assert names(host) == set()
    assert not (host.root / record.FOLDER).exists()


def test_what_was_written_by_hand_stays_and_is_said(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    mine = host.root / "boot/kdump.img"
    write_capture(mine, kernel=RELEASE)
    appended = host.root / "boot/mine.img"
    shutil.copy(host.base, appended)
    try:
        with caplog.at_level(logging.WARNING, logger="kdump-initrd"):
            assert host.remove(NEWER) == 0
            assert [each for each in caplog.messages if "stays" in each] == []
            assert host.remove() == 0
        stays = "initrd that --refresh has not written"
        assert [each for each in caplog.messages if "stays" in each] == [
            f"{mine}: stays: it is a capture {stays}: rm {mine} removes it",
            f"{appended}: stays: it is a first-kernel {stays}: rm {appended} removes it",
        ]
        assert kind_of(mine) == "capture"
    finally:
        mine.unlink()
        appended.unlink()


def test_nothing_outside_the_root_is_removed(host: Host, tmp_path: Path) -> None:
    mine = write_capture(tmp_path / "image", kernel=RELEASE)
    kept = mine.read_bytes()
    path = host.root / record.FOLDER / f"capture-{RELEASE}.json"
    path.write_text(
        path.read_text().replace(f"{host.root}/boot/initrd.img-{RELEASE}-kdump", str(mine))
    )
    (host.root / f"boot/initrd.img-{RELEASE}-kdump").unlink()
    (host.root / f"boot/initrd.img-{RELEASE}-kdump").symlink_to(mine)
    (host.root / "boot/initrd.img-99-kdump").symlink_to(mine)
    assert host.remove() == 0
    assert mine.read_bytes() == kept
    for name in (RELEASE, "99"):
        (host.root / f"boot/initrd.img-{name}-kdump").unlink()
