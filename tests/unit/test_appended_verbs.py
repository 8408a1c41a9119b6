# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done with a base and a segment of ours: names, in place and back, lists, no trace."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core import publish
from kdump_initrd.image.archive import cpio, filters
from kdump_initrd.image.archive.segments import read_segments
from kdump_initrd.probe.kernel.releases import KernelRelease
from kdump_initrd.upkeep.ready import readiness

from .commandline import complain
from .firstimages import REGULAR, Parts, make_parts, ours
from .initrdwriter import EARLY, pipe, write_base


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def image(parts: Parts) -> Path:
    """The base and a segment of ours, which no test changes."""
    return parts.make(parts.top / "image", "--append-cmdline", "loglevel=7")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base of a test's own, behind microcode and with padding at its end."""
    path = write_base(tmp_path / "base", before=EARLY, behind=bytes(24))
    path.chmod(0o640)
    return path


@pytest.mark.parametrize(
    ("distro", "name"),
    [
        ("debian", f"initrd.img-kdump-{REGULAR}"),
        ("fedora", f"initramfs-kdump-{REGULAR}.img"),
        ("rhel", f"initramfs-kdump-{REGULAR}.img"),
        ("sles", f"initrd-kdump-{REGULAR}"),
    ],
)
def test_the_image_is_beside_its_base(parts: Parts, base: Path, distro: str, name: str) -> None:
    before = base.read_bytes()
    assert main(parts.argv("--distro", distro, base=base)) == 0
    assert sorted(path.name for path in base.parent.iterdir()) == sorted(["base", name])
    assert base.read_bytes() == before
    assert stat.S_IMODE((base.parent / name).stat().st_mode) == 0o640


def test_two_builds_are_identical(parts: Parts, image: Path, tmp_path: Path) -> None:
    again = parts.make(tmp_path / "again", "--append-cmdline", "loglevel=7")
    assert again.read_bytes() == image.read_bytes()


def test_source_date_epoch_is_the_time_of_ours(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    archive = ours(parts.make(tmp_path / "image"), parts.base)
    lines = pipe(["cpio", "-itv", "--quiet"], archive).decode().splitlines()
    assert len(lines) > 10
    assert {line.split()[7] for line in lines} == {"1970"}
    assert len({tuple(line.split()[5:8]) for line in lines}) == 1


def test_in_place_twice_is_once_and_strip_undoes_it(parts: Parts, base: Path) -> None:
    before = base.read_bytes()
    images = []
    for _ in range(2):
        assert main(parts.argv("--in-place", base=base)) == 0
        images.append(base.read_bytes())
        assert stat.S_IMODE(base.stat().st_mode) == 0o640
    assert images[0] == images[1]
    assert images[0].startswith(before)
    assert len(images[0]) > len(before)
    assert main(["--strip", str(base)]) == 0
    assert base.read_bytes() == before
    assert stat.S_IMODE(base.stat().st_mode) == 0o640
    assert [path.name for path in base.parent.iterdir()] == ["base"]


def test_in_place_replaces_an_older_segment(parts: Parts, base: Path) -> None:
    before = base.read_bytes()
    assert main(parts.argv("--in-place", "--append-cmdline", "word=older", base=base)) == 0
    assert main(parts.argv("--in-place", "--append-cmdline", "word=newer", base=base)) == 0
    (base.parent / "before").write_bytes(before)
    archive = ours(base, base.parent / "before")
    assert b"word=newer" in archive
    assert b"word=older" not in archive


def test_without_the_program_of_the_base(
    parts: Parts, base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = base.read_bytes()
    monkeypatch.setattr(filters, "find", lambda name: None)
    assert main(parts.argv("--in-place", base=base)) == 0
    warning = "kdump-initrd: warning: zstd: program not found: the image is not compressed, so that"
    assert warning in capsys.readouterr().err
    # Where the kernel looks for a plain archive: at a multiple of four (init/initramfs.c).
    last = read_segments(base)[-1]
    assert (last.compression.value, last.offset % 4) == ("none", 0)
    assert main(["--strip", str(base)]) == 0
    assert base.read_bytes() == before


def test_in_place_goes_through_a_link(parts: Parts, base: Path) -> None:
    """As /boot/initrd.img is one."""
    link = base.parent / "link"
    link.symlink_to("base")
    before = base.read_bytes()
    assert main(parts.argv("--in-place", base=link)) == 0
    assert link.is_symlink()
    assert len(base.read_bytes()) > len(before)
    assert main(["--strip", str(link)]) == 0
    assert link.is_symlink()
    assert base.read_bytes() == before


def test_an_image_of_ours_as_base_is_its_base(parts: Parts, image: Path, tmp_path: Path) -> None:
    out = parts.make(tmp_path / "out", "--append-cmdline", "loglevel=7", base=image)
    assert out.read_bytes() == image.read_bytes()


def test_strip_to_another_file(
    parts: Parts, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = image.read_bytes(), tmp_path / "out"
    assert main(["--strip", str(image), "-o", str(out)]) == 0
    assert out.read_bytes() == parts.base.read_bytes()
    assert image.read_bytes() == before
    said = capsys.readouterr().err
    assert f"{out}: {parts.base.stat().st_size} bytes, as before" in said
    status, error, hint = complain(capsys, "--strip", str(image), "-o", str(out))
    assert (status, error, hint) == (1, f"{out}: exists already", "--force replaces it")
    assert main(["--strip", str(image), "-o", str(out), "--force"]) == 0


def test_strip_where_nothing_is_to_be_stripped(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = base.stat()
    assert main(["--strip", str(base)]) == 0
    assert f"{base}: no segment of kdump-initrd in it" in capsys.readouterr().err
    assert (base.stat().st_ino, base.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    out = base.parent / "out"
    assert main(["--strip", str(base), "-o", str(out)]) == 0
    assert out.read_bytes() == base.read_bytes()


def test_strip_of_what_has_no_base(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    before = parts.capture.read_bytes()
    status, error, hint = complain(capsys, "--strip", str(parts.capture))
    assert (status, hint) == (1, "it can only be removed")
    assert error == (
        f"{parts.capture}: a complete capture initrd of kdump-initrd, without a base in it"
    )
    assert parts.capture.read_bytes() == before


@pytest.mark.parametrize(
    ("body", "message"),
    [(None, "No such file or directory"), (b"", "not an initrd: it contains only padding")],
)
def test_strip_of_no_initrd(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: bytes | None, message: str
) -> None:
    path = tmp_path / "x"
    if body is not None:
        path.write_bytes(body)
    status, error, _ = complain(capsys, "--strip", str(path))
    assert (status, error) == (1, f"{path}: {message}")


def test_list_shows_both_parts(
    parts: Parts, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--list", str(image)]) == 0
    lines = capsys.readouterr().out.splitlines()
    size = parts.base.stat().st_size
    assert "# image: first-kernel, made by kdump-initrd" in lines[0]
    assert f"# kernel: {REGULAR}" in lines
    assert "# capture kernel: 6.1.0-test" in lines
    assert "# command line: panic=10 nr_cpus=1 loglevel=7" in lines
    (base,) = (line for line in lines if line.startswith("# base: "))
    assert re.fullmatch(rf"# base: {size} bytes, SHA-256 [0-9a-f]{{64}}", base)
    first = lines.index(next(line for line in lines if line.startswith("# segment 1: offset 0")))
    second = lines.index(
        next(line for line in lines if line.startswith(f"# segment 2: offset {size}, zstd"))
    )
    assert not [line for line in lines[first + 1 : second] if "  # " in line]
    assert [line for line in lines[first:second] if line.endswith(" scripts/init-top/udev")]
    reasons = {line.split()[2]: line.partition("  # ")[2] for line in lines[second + 1 :]}
    assert reasons.pop("kdump-initrd/segment.json") == ""
    assert reasons["kdump-initrd/kernel"] == "capture kernel"
    assert reasons["scripts/init-top/ORDER"] == "calls the hook"
    assert all(reasons.values()), reasons


def test_print_cmdline(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print-cmdline", str(image)]) == 0
    assert capsys.readouterr().out == "panic=10 nr_cpus=1 loglevel=7\n"


def test_print_cmdline_of_a_base(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    status, error, _ = complain(capsys, "--print-cmdline", str(parts.base))
    assert (status, error) == (1, f"{parts.base}: not an image of kdump-initrd")


@pytest.mark.parametrize("options", [[], ["--in-place"]])
def test_dry_run_writes_nothing(
    parts: Parts, base: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    before = base.read_bytes()
    assert main(parts.argv("--dry-run", *options, base=base)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [path.name for path in base.parent.iterdir()] == ["base"]
    assert base.read_bytes() == before
    assert [line for line in lines if line.endswith("scripts/init-top/ORDER  # calls the hook")]
    assert [line for line in lines if line.endswith("kdump-initrd/initrd  # capture initrd")]
    assert not [line for line in lines if line.endswith(" scripts")]


def test_the_summary(parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = parts.make(tmp_path / "image", "--force")
    lines = capsys.readouterr().err.splitlines()
    kernel = KernelRelease("6.1.0-test", parts.kernel, None, {})
    stored = image.stat().st_size
    added = stored - parts.base.stat().st_size
    assert lines[-6:] == [
        f"  image          {image}",
        f"  size           {stored / 1e6:.2f} MB stored, {added / 1e6:.2f} MB of it added",
        f"  base           {parts.base} (initramfs-tools with udev without busybox, zstd)",
        "  capture kernel 6.1.0-test (x86_64)",
        f"  reserve        crashkernel={readiness.needed(parts.capture, kernel)[1]}M",
        "  command line   panic=10 nr_cpus=1",
    ]


def test_in_place_while_the_distribution_makes_it_anew(
    parts: Parts, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = write_base(tmp_path / "theirs").read_bytes()
    assert theirs != base.read_bytes()
    real, once = cpio._write, iter([True])

    def slow(*arguments: Any) -> None:  # noqa: ANN401
        if next(once, False):
            (tmp_path / "theirs").replace(base)
        real(*arguments)

    monkeypatch.setattr(cpio, "_write", slow)
    assert main(parts.argv("--in-place", base=base)) == 0
    assert base.read_bytes().startswith(theirs)
    assert len(base.read_bytes()) > len(theirs)
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_strip_while_the_distribution_makes_it_anew(
    parts: Parts, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(parts.argv("--in-place", base=base)) == 0
    theirs = write_base(tmp_path / "theirs").read_bytes()
    real = publish._publish

    def slow(*arguments: Any) -> None:  # noqa: ANN401
        (tmp_path / "theirs").replace(base)
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(publish, "_publish", slow)
        assert main(["--strip", str(base)]) == 0
    assert base.read_bytes() == theirs


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a base and not for ours."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_full_disk_leaves_what_was_there(
    parts: Parts, small: Path, capsys: pytest.CaptureFixture[str], in_place: bool
) -> None:
    base = write_base(small / "base")
    before = (base.read_bytes(), base.stat().st_ino)
    out = base if in_place else small / f"initrd.img-kdump-{REGULAR}"
    options = ["--in-place"] if in_place else ["--distro", "debian"]
    status, error, hint = complain(capsys, *parts.argv(*options, base=base))
    assert (status, error) == (1, f"{out}: No space left on device")
    assert hint == f"make room in {small}"
    assert os.listdir(small) == ["base"]  # noqa: PTH208 - hidden ones, too
    assert (base.read_bytes(), base.stat().st_ino) == before


def test_strip_needs_no_room(
    parts: Parts, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the segment takes is what is lacking for a copy."""
    image = parts.make(tmp_path / "image", base=write_base(tmp_path / "theirs"))
    subprocess.run(["mount", "-o", "remount,size=4m", small], check=True)
    shutil.copy(image, small / "base")
    with suppress(OSError):
        (small / "filler").write_bytes(bytes(4 << 20))
    assert main(["--strip", str(small / "base")]) == 0
    theirs = (tmp_path / "theirs").read_bytes()
    assert (small / "base").read_bytes() == theirs
    assert f"{small}/base: {len(theirs)} bytes, as before" in capsys.readouterr().err
    assert sorted(os.listdir(small)) == ["base", "filler"]  # noqa: PTH208 - hidden ones, too
