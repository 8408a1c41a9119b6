# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading initrds made by other programs: every codec, joined, padded, cut and scrambled."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import random
import re
import shutil
import stat
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from kdump_initrd.core.compression import Codec
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.run import find
from kdump_initrd.image.archive.segments import read_segments


def pack(*argv: str, data: bytes) -> bytes:
    done = subprocess.run(argv, input=data, capture_output=True, timeout=30, check=True)
    return done.stdout


def lzop(data: bytes) -> bytes:
    """Pack as lzop would what does not get smaller: LZO is not needed for that."""
    head = struct.pack(
        ">HHHBBIIIIB4s", 0x1030, 0x20A0, 0x0940, 1, 5, 0x3000001, 0, 0, 0, 4, b"name"
    )
    body = b"".join(
        struct.pack(">III", len(block), len(block), 1) + block
        for block in (data[at : at + 1000] for at in range(0, len(data), 1000))
    )
    return b"\x89LZO\0\r\n\x1a\n" + head + bytes(4) + body + bytes(4)


PACKERS: dict[Codec, Callable[[bytes], bytes]] = {
    Codec.NONE: lambda data: data,
    Codec.GZIP: lambda data: gzip.compress(data, mtime=0),
    Codec.BZIP2: bz2.compress,
    Codec.LZMA: lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    Codec.XZ: lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    Codec.ZSTD: lambda data: pack("zstd", "-cq", data=data),
    Codec.LZ4: lambda data: pack("lz4", "-clq", data=data),
    Codec.LZ4_FRAME: lambda data: pack("lz4", "-cq", "--content-size", data=data),
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return an archive of GNU cpio: files, a link, a pipe, and a file of two names."""
    top = tmp_path_factory.mktemp("files")
    (top / "folder").mkdir()
    (top / "folder/größe").write_bytes(random.Random(1).randbytes(3000))
    (top / "text").write_text("".join(f"{number}\n" for number in range(9999)))
    (top / "link").symlink_to("folder/größe")
    os.mkfifo(top / "pipe", 0o600)
    os.link(top / "text", top / "zwin")
    names = ["folder", "folder/größe", "link", "pipe", "text", "zwin"]
    return subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], input="\n".join(names).encode(), cwd=top,
        capture_output=True, timeout=30, check=True,
    ).stdout  # fmt: skip


def names(path: Path) -> list[list[str]]:
    return [[member.path for member in each.entries()] for each in read_segments(path)]


def failure(path: Path) -> str:
    with pytest.raises(KdumpInitrdError) as caught:
        names(path)
    return caught.value.message


@pytest.mark.parametrize("codec", PACKERS)
def test_members_are_what_cpio_lists(archive: bytes, tmp_path: Path, codec: Codec) -> None:
    path = tmp_path / "initrd"
    path.write_bytes(PACKERS[codec](archive))
    (segment,) = read_segments(path)
    assert (segment.number, segment.offset, segment.compression) == (1, 0, codec)
    listed = subprocess.run(["cpio", "-itv", "--quiet"], input=archive, capture_output=True,
                            timeout=30, check=True)  # fmt: skip
    found = []
    for member in segment.entries():
        target = f" -> {member.target}" if member.target else ""
        found.append((stat.filemode(member.mode), f"{member.size} ", member.path + target))
    for line, (mode, size, name) in zip(listed.stdout.decode().splitlines(), found):
        assert line.startswith(mode) and size in line and line.endswith(f" {name}")
    bodies = {member.path: member.content for member in segment.entries(contents=True)}
    assert bodies["zwin"] == "".join(f"{number}\n" for number in range(9999)).encode()
    assert len(bodies["folder/größe"]) == 3000
    assert {member.content for member in segment.entries()} == {b""}


@pytest.mark.parametrize("padding", [0, 5, 512])
@pytest.mark.parametrize("second", [*PACKERS, Codec.LZO])
@pytest.mark.parametrize("first", [*PACKERS, Codec.LZO])
def test_joined_segments(
    archive: bytes, tmp_path: Path, first: Codec, second: Codec, padding: int
) -> None:
    packers = {**PACKERS, Codec.LZO: lzop}
    one, two = packers[first](archive), packers[second](archive)
    path = tmp_path / "initrd"
    path.write_bytes(bytes(padding) + one + bytes(padding) + two + bytes(padding))
    segments = read_segments(path)
    assert [each.compression for each in segments] == [first, second]
    assert [each.offset for each in segments] == [padding, 2 * padding + len(one)]
    for segment, packed in zip(segments, (one, two)):
        # GNU cpio pads its archives with zeros: those are nobody's.
        assert packed.rstrip(b"\0") == segment.read().rstrip(b"\0")
        if segment.compression is not Codec.LZO:
            assert len(list(segment.entries())) == 6


def test_lzo_wants_lzop_or_a_libarchive_with_it(
    archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "initrd"
    path.write_bytes(lzop(archive))
    monkeypatch.setattr("kdump_initrd.image.archive.filters.find", lambda name: None)
    try:
        assert len(names(path)[0]) == 6
    except KdumpInitrdError as error:
        assert find("lzop") is None or "lzo" in error.message
        assert error.hint == "install lzop"


def test_two_archives_in_one_stream(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "initrd"
    path.write_bytes(gzip.compress(archive + bytes(512) + archive))
    (found,) = names(path)
    assert len(found) == 12


def test_lz4_blocks_of_full_size(tmp_path: Path) -> None:
    # Two blocks of 8 MiB and a rest, and a gzip segment whose magic number could be a size.
    body = bytes((16 << 20) + 5)
    head = f"070701{0:08X}{0o100644:08X}" + "00000000" * 4 + f"{len(body):08X}" + "00000000" * 4
    member = head.encode() + b"00000002" + b"00000000" + b"z\0" + body + bytes(3)
    trailer = b"070701" + b"00000000" * 11 + b"0000000B" + b"00000000" + b"TRAILER!!!\0" + bytes(3)
    path = tmp_path / "initrd"
    path.write_bytes(PACKERS[Codec.LZ4](member + trailer) + gzip.compress(trailer))
    assert [each.compression for each in read_segments(path)] == [Codec.LZ4, Codec.GZIP]
    assert names(path) == [["z"], []]


def test_real_initrds_of_this_host_as_lsinitramfs_lists_them(tmp_path: Path) -> None:
    images = sorted(Path("/boot").glob("initrd.img-*"))
    program = shutil.which("lsinitramfs")
    assert program, "lsinitramfs: not installed (make setup installs it)"
    assert images, "no initrd in /boot"
    listed = subprocess.run([program, images[0]], capture_output=True, timeout=60, check=True)
    found = [name for each in names(images[0]) for name in each]
    assert sorted(found) == sorted(listed.stdout.decode().splitlines())


def test_holes_are_no_padding(tmp_path: Path, archive: bytes) -> None:
    """Some GB of zero bytes, which take no room, are not read to their end."""
    path = tmp_path / "initrd"
    with path.open("wb") as file:
        file.truncate(6 << 30)
    what = f"{path}: not an initrd: more than 256 MB of zero bytes at offset"
    assert failure(path) == f"{what} 0"
    with path.open("r+b") as file:
        file.write(archive)
    assert re.fullmatch(rf"{what} \d+", failure(path))


def test_what_is_no_initrd_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "initrd"
    with path.open("wb") as file:
        file.write(b"x")
        file.truncate(6 << 30)
    tracemalloc.start()
    try:
        assert failure(path).startswith(f"{path}: is not an initrd: ")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_disk_that_fails_is_no_damage(
    tmp_path: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error gets through libarchive, which asks for the bytes."""
    path = tmp_path / "initrd"
    path.write_bytes(PACKERS[Codec.ZSTD](archive))
    (segment,) = read_segments(path)

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(OSError, match="Input/output error"):
        list(segment.entries())


def test_nothing_but_padding(tmp_path: Path) -> None:
    path = tmp_path / "initrd"
    for body in (b"", bytes(4096)):
        path.write_bytes(body)
        assert failure(path) == f"{path}: not an initrd: it contains only padding"
    assert failure(tmp_path / "gone") == f"{tmp_path / 'gone'}: No such file or directory"


def test_unknown_data_behind_a_segment(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "initrd"
    first = gzip.compress(archive)
    path.write_bytes(first + b"garbage")
    assert failure(path) == (
        f"{path}: segment 2 at offset {len(first)}: unknown magic number b'garbag'"
    )


@pytest.mark.parametrize("codec", PACKERS)
def test_cut_images_name_file_and_segment(archive: bytes, tmp_path: Path, codec: Codec) -> None:
    path = tmp_path / "initrd"
    packed = PACKERS[codec](archive).rstrip(b"\0")
    for cut in (7, len(packed) // 2, len(packed) - 3):
        path.write_bytes(packed[:cut])
        assert failure(path).startswith(f"{path}: segment 1 at offset 0: ")


def test_scrambled_images_are_errors_and_nothing_worse(archive: bytes, tmp_path: Path) -> None:
    dice = random.Random(7)
    path = tmp_path / "initrd"
    for packer in PACKERS.values():
        packed = packer(archive)
        for _ in range(60):
            body = bytearray(packed)
            for _ in range(dice.randint(1, 4)):
                place = dice.choice([dice.randrange(64), dice.randrange(len(body))])
                body[place] = dice.randrange(256)
            path.write_bytes(body)
            try:
                names(path)
            except KdumpInitrdError as error:
                assert error.message.startswith(f"{path}: ")


def test_headers_that_lie(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "initrd"
    for at, field, text in (
        (6, b"0000 000", "a number of a newc header is not hexadecimal"),
        (94, b"00000000", "a name of 0 bytes"),
        (94, b"00FFFFFF", "a name of 16777215 bytes"),
        (54, b"FFFFFFFF", "truncated cpio archive, in folder"),
    ):
        path.write_bytes(archive[:at] + field + archive[at + 8 :])
        assert failure(path) == f"{path}: segment 1 at offset 0: {text}"


def test_a_libarchive_that_ldconfig_does_not_know_yet() -> None:
    """As in a package's post-install script."""
    code = (
        "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
        "from kdump_initrd.image.archive.filters import load_libarchive\n"
        "print(load_libarchive().version_number())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 3000000
