# SPDX-License-Identifier: GPL-2.0-or-later
"""Base initrds: what is read of them, what is refused, and where entries of ours go in them."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from kdump_initrd.core.compression import Codec
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.image.archive.base import Base, place, read_base, stripped
from kdump_initrd.image.archive.cpio import Packing, write_image
from kdump_initrd.image.manifest import SEGMENT, Manifest
from kdump_initrd.image.tree import Entry, Tree

from .initrdwriter import (
    DRACUT,
    EARLY,
    INITRAMFS_TOOLS,
    ORDER,
    PACK,
    Item,
    file,
    folder,
    link,
    newc,
    pipe,
    write_base,
)

CODECS = list(PACK)


def failure(path: Path) -> KdumpInitrdError:
    with pytest.raises(KdumpInitrdError) as caught:
        read_base(path)
    return caught.value


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.value)
def test_every_codec_behind_microcode_and_padding(tmp_path: Path, codec: Codec) -> None:
    before = EARLY + bytes(1024)
    path = write_base(tmp_path / "initrd", codec=codec, before=before, behind=bytes(512))
    base = read_base(path)
    assert (base.path, base.data, base.extended) == (path, path.read_bytes(), False)
    assert base.codec is codec
    assert base.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = {PurePosixPath(item.path): item for item in INITRAMFS_TOOLS}
    names = {PurePosixPath(name) for name in ("kernel", "kernel/x86", "kernel/x86/microcode.bin")}
    assert set(base.members) == {*wanted, *names}
    for name, item in wanted.items():
        member = base.members[name]
        small = item.body if item.path != "usr/bin/big" else b""
        content = member.target.encode() if item.path in ("bin", "lib", "kdump") else member.content
        assert (member.mode, content) == (item.mode, small), name
    assert (stripped(path).data, stripped(path).extended) == (path.read_bytes(), False)


def test_an_archive_of_gnu_cpio(tmp_path: Path) -> None:
    """It names its entries "./usr" where find does, and gives a body to one of two names only."""
    top = tmp_path / "top"
    (top / "usr/lib").mkdir(parents=True)
    (top / "usr/lib/x").write_text("small")
    (top / "lib").symlink_to("usr/lib")
    names = pipe(["find", ".", "-print0"], b"", cwd=top)
    path = tmp_path / "initrd"
    path.write_bytes(pipe(["cpio", "-0o", "-H", "newc", "--quiet"], names, cwd=top))
    base = read_base(path)
    assert {str(name) for name in base.members} == {".", "usr", "usr/lib", "usr/lib/x", "lib"}
    found = base.find("/lib/x")
    assert found is not None
    assert found.content == b"small"


def test_links_are_followed_in_the_base(tmp_path: Path) -> None:
    items = (*INITRAMFS_TOOLS, link("a", "b"), link("b", "/usr/../bin/sh"), link("c", "../../c"))
    base = read_base(write_base(tmp_path / "initrd", items))
    assert base.resolve("/a") == PurePosixPath("usr/bin/sh")
    assert base.resolve("lib/new/er") == PurePosixPath("usr/lib/new/er")
    assert base.find("gone") is None
    with pytest.raises(KdumpInitrdError) as caught:
        base.resolve("c")
    assert caught.value.message == f"{base.path}: c: too many symbolic links in it"


def test_what_comes_later_counts(tmp_path: Path) -> None:
    path = write_base(tmp_path / "initrd")
    more = newc([file("scripts/init-top/ORDER", b"later\n", 0o600), link("conf", "usr/conf")])
    path.write_bytes(path.read_bytes() + pipe(PACK[Codec.GZIP], more))
    base = read_base(path)
    order = base.find("scripts/init-top/ORDER")
    assert order is not None
    assert (order.content, order.mode & 0o777) == (b"later\n", 0o600)
    assert base.resolve("conf/x") == PurePosixPath("usr/conf/x")
    assert base.codec is Codec.GZIP


def test_a_later_segment_may_go_through_a_link(tmp_path: Path) -> None:
    """The kernel puts lib/x of it where the link of the first one leads."""
    path = write_base(tmp_path / "initrd")
    path.write_bytes(path.read_bytes() + newc([file("lib/x", b"later", 0o640)]))
    base = read_base(path)
    for name in ("lib/x", "usr/lib/x", "kdump/x"):
        found = base.find(name)
        assert found is not None, name
        assert found.content == b"later"


@pytest.mark.parametrize("name", ["../x", "usr/../../x", "/..", "a/.."])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = write_base(tmp_path / "initrd", [folder("a"), file(name)], before=EARLY)
    error = failure(path)
    assert error.message == f"{path}: segment 2: {name}: leads out of the root"
    assert error.hint == "this is not a distribution's initrd: rebuild the base"


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.value)
def test_a_cut_segment_is_named(tmp_path: Path, codec: Codec) -> None:
    path = write_base(tmp_path / "initrd", codec=codec, before=EARLY)
    whole = path.read_bytes().rstrip(b"\0")
    for cut in (len(EARLY) + 7, (len(EARLY) + len(whole)) // 2, len(whole) - 12):
        path.write_bytes(whole[:cut])
        assert failure(path).message.startswith(f"{path}: segment 2 at offset {len(EARLY)}: "), cut


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.value)
def test_a_damaged_segment_is_named(tmp_path: Path, codec: Codec) -> None:
    """The middle of the packed bytes, or a header of cpio where the format has no checksum."""
    path = write_base(tmp_path / "initrd", codec=codec, before=EARLY)
    body = bytearray(path.read_bytes())
    at = (len(EARLY) + len(body)) // 2
    if codec in (Codec.NONE, Codec.LZ4):
        at = body.index(b"070701", len(EARLY) + 1)
    body[at : at + 40] = bytes(byte ^ 0x55 for byte in body[at : at + 40])
    path.write_bytes(body)
    assert failure(path).message.startswith(f"{path}: segment 2 at offset {len(EARLY)}: ")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not an initrd: it contains only padding"),
        (b"#!/bin/sh\n", "is a script, not an initrd"),
        (EARLY + b"junk", f"segment 2 at offset {len(EARLY)}: unknown magic number b'junk'"),
    ],
)
def test_what_is_no_initrd(tmp_path: Path, body: bytes, message: str) -> None:
    path = tmp_path / "initrd"
    path.write_bytes(body)
    assert failure(path).message == f"{path}: {message}"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    error = failure(tmp_path / "gone")
    assert error.message == f"{tmp_path}/gone: No such file or directory"
    assert error.hint == "name an initrd"


def extend(path: Path, *, size: int | None = None, digest: str | None = None) -> bytes:
    """Append a segment of ours and return what was there before."""
    data = path.read_bytes()
    manifest = Manifest(
        "first-kernel",
        "0",
        base_size=len(data) if size is None else size,
        base_sha256=hashlib.sha256(data).hexdigest() if digest is None else digest,
    )
    tree = Tree()
    tree.add_content(SEGMENT, manifest.to_json().encode(), why="what this segment is")
    tree.add_content("kdump-initrd/x", b"ours", why="x")
    write_image(tree, path, Packing(Codec.ZSTD, 0, fast=True), force=True, base=data)
    return data


def test_a_segment_of_ours_does_not_count(tmp_path: Path) -> None:
    path = write_base(tmp_path / "initrd", before=EARLY, behind=bytes(12))
    data = extend(path)
    base = read_base(path)
    assert (base.data, base.extended, base.codec) == (data, True, Codec.ZSTD)
    assert base.find("kdump-initrd/x") is None
    assert base.find("init") is not None
    assert (stripped(path).data, stripped(path).extended) == (data, True)


@pytest.mark.parametrize(("size", "digest"), [(None, "0" * 64), (8, None), (1 << 40, None)])
def test_a_segment_of_ours_behind_something_else(
    tmp_path: Path, size: int | None, digest: str | None
) -> None:
    path = write_base(tmp_path / "initrd")
    extend(path, size=size, digest=digest)
    error = failure(path)
    assert error.message == (
        f"{path}: the initrd before the segment has changed: its SHA-256 differs"
    )
    assert error.hint == "have the distribution rebuild that initrd"


@pytest.mark.parametrize("ours", [False, True])
def test_a_segment_behind_ours_is_refused(tmp_path: Path, ours: bool) -> None:
    path = write_base(tmp_path / "initrd")
    extend(path)
    if ours:
        extend(path)
    else:
        path.write_bytes(path.read_bytes() + pipe(PACK[Codec.ZSTD], newc([file("x")])))
    for read in (read_base, stripped):
        with pytest.raises(KdumpInitrdError) as caught:
            read(path)
        assert caught.value.message == (
            f"{path}: another segment follows that of kdump-initrd (segment 2)"
        )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    items = (*DRACUT, link("far", "no/such/place"), folder("usr/full"), link("to", "usr/full"))
    return read_base(write_base(tmp_path_factory.mktemp("base") / "initrd", items))


def placed(base: Base, tree: Tree) -> dict[str, Entry]:
    return {str(entry.dest): entry for entry in place(tree, base)}


def test_no_link_is_replaced_and_no_folder_changes(base: Base) -> None:
    tree = Tree()
    tree.add_directory("usr", why="x", mode=0o700)
    tree.add_content("lib/dracut/hooks/pre-udev/00-x.sh", b"", why="x")
    tree.add_content("bin/new", b"", why="x")
    found = placed(base, tree)
    assert list(found) == [
        "usr/bin/new", "usr/lib/dracut/hooks/pre-udev", "usr/lib/dracut/hooks/pre-udev/00-x.sh"
    ]  # fmt: skip


def test_a_file_of_the_base_is_written_anew_where_it_is(base: Base) -> None:
    tree = Tree()
    tree.add_content("init", b"mine", why="x", mode=0o700)
    assert list(placed(base, tree)) == ["usr/lib/systemd/systemd"]


def test_folders_that_a_dangling_link_wants_are_made(base: Base) -> None:
    """Without its folder the kernel drops a file, and says nothing."""
    tree = Tree()
    tree.add_content("far/x", b"", why="x")
    assert list(placed(base, tree)) == ["no", "no/such", "no/such/place", "no/such/place/x"]


@pytest.mark.parametrize(
    ("dest", "what"),
    [
        ("usr/lib/dracut-lib.sh/x", "usr/lib/dracut-lib.sh is -rw-r--r--"),
        ("lib/dracut/hooks", "usr/lib/dracut/hooks is drwxr-xr-x"),
        ("to", "usr/full is drwxr-xr-x"),
    ],
)
def test_another_type_is_refused(base: Base, dest: str, what: str) -> None:
    tree = Tree()
    tree.add_content(dest, b"", why="the hook")
    with pytest.raises(KdumpInitrdError) as caught:
        place(tree, base)
    assert caught.value.message.startswith(f"{base.path}: {what} in it: ")
    assert caught.value.message.endswith(" does not fit there")
    assert caught.value.hint == "use another base, or --standalone"


def test_cpio_unpacks_both_into_one_tree(base: Base, tmp_path: Path) -> None:
    """What the kernel does with the two, and its rules for links, by another program."""
    tree = Tree()
    tree.add_content("lib/dracut/hooks/pre-udev/00-x.sh", b"x", why="x")
    out = tmp_path / "out"
    write_image(place(tree, base), out, Packing(Codec.NONE, 0), force=False)
    top = tmp_path / "top"
    top.mkdir()
    for archive in (newc(DRACUT), out.read_bytes()):
        subprocess.run(["cpio", "-idu", "--quiet"], input=archive, cwd=top, check=True, timeout=30)
    assert (top / "lib").readlink() == Path("usr/lib")
    assert (top / "usr/lib/dracut/hooks/pre-udev/00-x.sh").read_bytes() == b"x"


def test_items_are_written_as_gnu_cpio_reads_them() -> None:
    """The tests' own writer against a foreign reader."""
    items = [folder("a"), file("a/b", b"123", 0o640), link("c", "a/b"), Item("d", 0o010600)]
    listed = pipe(["cpio", "-itv", "--quiet"], newc(items)).decode().splitlines()
    assert [(line.split()[0], line.split(" 1970 ")[1]) for line in listed] == [
        ("drwxr-xr-x", "a"), ("-rw-r-----", "a/b"), ("lrwxrwxrwx", "c -> a/b"), ("prw-------", "d")
    ]  # fmt: skip
    assert ORDER in newc(INITRAMFS_TOOLS)
