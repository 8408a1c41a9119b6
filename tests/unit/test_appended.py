# SPDX-License-Identifier: GPL-2.0-or-later
"""A segment behind a base: foreign tools list and unpack both, and nothing of the base changes."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
from pathlib import Path

import pytest

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core.compression import Codec
from kdump_initrd.image.archive.segments import read_segments

from .firstimages import REGULAR, Parts, make_parts, ours, unpack
from .initrdwriter import (
    DRACUT,
    DRACUT_VAR,
    EARLY,
    INITRAMFS_TOOLS,
    ORDER,
    PACK,
    UNPACK,
    Item,
    file,
    folder,
    link,
    newc,
    pipe,
    write_base,
    write_capture,
)
from .thiskernel import RELEASE

CODECS = list(PACK)
HOOK = "scripts/init-top/kdump-initrd"
PAYLOAD = [
    "kdump-initrd", "kdump-initrd/segment.json", "kdump-initrd/arm", "kdump-initrd/bin",
    "kdump-initrd/bin/busybox", "kdump-initrd/bin/kexec", "kdump-initrd/facts",
    "kdump-initrd/initrd",
    "kdump-initrd/kernel", "kdump-initrd/kernelline.sh", "kdump-initrd/lib",
]  # fmt: skip
OURS = '/scripts/init-top/kdump-initrd "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n'


COMPLAINTS = {Codec.LZO: b"multipart archive", Codec.LZMA: b"data is corrupt"}
WHOLE = b'{"kind": "first-kernel", "version": "0"}'


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(tmp_path_factory.mktemp("parts"))


def lsinitramfs(image: Path) -> tuple[int, str]:
    """Return the status and the list of Debian's program, which reads one archive."""
    done = subprocess.run(["lsinitramfs", image], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.fixture(scope="module", params=CODECS, ids=lambda codec: codec.value)
def packed(parts: Parts, request: pytest.FixtureRequest) -> tuple[Codec, Path, Path]:
    """A codec, a base of it, and the base with our segment."""
    codec: Codec = request.param
    base = write_base(parts.top / f"base-{codec.value}", codec=codec)
    return codec, base, parts.make(parts.top / f"image-{codec.value}", base=base)


def test_the_segment_is_of_the_bases_codec(packed: tuple[Codec, Path, Path]) -> None:
    codec, base, image = packed
    names = pipe(["cpio", "-it", "--quiet"], ours(image, base, codec)).decode().splitlines()
    assert names[: len(PAYLOAD)] == PAYLOAD
    assert [name for name in names if not name.startswith("kdump-initrd")] == [
        "scripts/init-top/ORDER", HOOK
    ]  # fmt: skip
    last = read_segments(image)[-1]
    # Nothing is between the two, but that a plain archive has to be aligned.
    assert (last.compression, last.offset - base.stat().st_size) == (codec, 0)


def test_lsinitramfs_lists_what_it_has_listed_but_of_plain_and_lzo_ones(
    packed: tuple[Codec, Path, Path],
) -> None:
    """Of a plain base it lists ours, too; lzop -t refuses it: "this is a multipart archive".

    xz reads no second stream behind one of .lzma: that lsinitramfs lists it is zstd's work.
    """
    codec, base, image = packed
    status, before = lsinitramfs(base)
    _, after = lsinitramfs(image)
    assert "scripts/init-top/ORDER\n" in before
    if codec in COMPLAINTS:
        done = subprocess.run(UNPACK[codec], input=image.read_bytes(), capture_output=True)
        assert COMPLAINTS[codec] in done.stderr
        assert done.stdout.startswith(newc(INITRAMFS_TOOLS))
    if codec is Codec.LZO:
        assert after == ""
    elif codec is Codec.NONE:
        assert after.startswith(f"{before}kdump-initrd\nkdump-initrd/segment.json\n")
    else:
        assert (status, after) == (0, before)


def test_a_base_behind_microcode(parts: Parts, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", codec=Codec.GZIP, before=EARLY)
    image = parts.make(tmp_path / "image", base=base)
    assert ours(image, base, Codec.GZIP).count(b"070701") > len(PAYLOAD)
    assert lsinitramfs(image) == lsinitramfs(base)
    assert lsinitramfs(image)[1].startswith("kernel\n")


@pytest.mark.parametrize("odd", [0, 1, 2, 3])
def test_a_plain_archive_is_aligned(parts: Parts, tmp_path: Path, odd: int) -> None:
    """GNU cpio pads its archives; others do not (init/initramfs.c wants multiples of four)."""
    base = tmp_path / "base"
    data = newc(INITRAMFS_TOOLS).rstrip(b"\0")
    base.write_bytes(data + bytes(4 + odd))
    image = parts.make(tmp_path / "image", base=base)
    segments = read_segments(image)
    assert segments[1].offset % 4 == 0
    assert segments[1].offset - base.stat().st_size == -odd % 4
    assert main(["--strip", str(image)]) == 0
    assert image.read_bytes() == base.read_bytes()


def tree_of(top: Path) -> dict[str, tuple[str, str]]:
    """Return type, mode and target of everything in a folder."""
    found = {}
    for path in sorted(top.rglob("*")):
        mode = stat.filemode(path.lstat().st_mode)
        found[str(path.relative_to(top))] = (mode, str(path.readlink()) if mode[0] == "l" else "")
    return found


BASES = {
    "initramfs-tools": (INITRAMFS_TOOLS, ["scripts/init-top/ORDER"]),
    "dracut": (DRACUT, []),
    "dracut 103": (DRACUT_VAR, []),
    "dracut 103 with a link": ((*DRACUT_VAR, link("usr/lib/dracut/hooks", "/var/lib/dracut/hooks")),
                               []),
    "a whole one of ours": ((folder("kdump-initrd"), file("init", b"#!/bin/sh\n", 0o755),
                             file("kdump-initrd/manifest.json", WHOLE)), []),
}  # fmt: skip


@pytest.mark.parametrize(("items", "changed"), BASES.values(), ids=BASES)
def test_nothing_of_the_base_changes(
    parts: Parts, tmp_path: Path, items: tuple[Item, ...], changed: list[str]
) -> None:
    base = write_base(tmp_path / "base", items)
    image = parts.make(tmp_path / "image", base=base)
    top = unpack(newc(items), tmp_path / "top")
    before = tree_of(top)
    contents = {name: (top / name).read_bytes() for name in before if (top / name).is_file()}
    after = tree_of(unpack(ours(image, base), top))
    assert {name: after[name] for name in before} == before
    assert [name for name, body in contents.items() if (top / name).read_bytes() != body] == changed
    new = [name for name in after if name not in before]
    hooks = [name for name in new if not name.startswith("kdump-initrd")]
    assert len(hooks) <= 2
    assert not [name for name in hooks if name.startswith(("lib/", "bin/"))]


def test_order_is_the_bases_own_lines_behind_ours(parts: Parts, tmp_path: Path) -> None:
    image = parts.make(tmp_path / "image")
    top = unpack(ours(image, parts.base), tmp_path / "top")
    order = top / "scripts/init-top/ORDER"
    assert order.read_text() == OURS + ORDER.decode()
    assert stat.S_IMODE(order.stat().st_mode) == 0o640
    assert stat.S_IMODE((top / HOOK).stat().st_mode) == 0o755
    home = top / "kdump-initrd"
    assert (home / "kernel").read_bytes() == parts.kernel.read_bytes()
    assert (home / "facts").read_text().splitlines() == [
        "by=first-kernel",
        f"kernel={hashlib.sha256(parts.kernel.read_bytes()).hexdigest()}",
        f"image={hashlib.sha256(parts.capture.read_bytes()).hexdigest()}",
    ]
    assert (home / "initrd").read_bytes() == parts.capture.read_bytes()
    for name, mode in {"arm": 0o755, "kernel": 0o600, "initrd": 0o600, "bin/kexec": 0o755}.items():
        assert stat.S_IMODE((home / name).stat().st_mode) == mode


def test_the_first_file_tells_the_base(parts: Parts, tmp_path: Path) -> None:
    image = parts.make(tmp_path / "image", "--append-cmdline", "  loglevel=7   x ")
    top = unpack(ours(image, parts.base), tmp_path / "top")
    record = json.loads((top / "kdump-initrd/segment.json").read_text())
    data = parts.base.read_bytes()
    assert record["kind"] == "first-kernel"
    assert (record["base_size"], record["base_sha256"]) == (
        len(data), hashlib.sha256(data).hexdigest()
    )  # fmt: skip
    assert (record["kernel"], record["capture"]) == (REGULAR, "6.1.0-test")
    assert record["cmdline"] == "panic=10 nr_cpus=1 loglevel=7 x"
    assert set(record["entries"]) >= {"kdump-initrd/kernel", HOOK}


def test_the_payloads_programs_run_by_its_own_loader(parts: Parts, tmp_path: Path) -> None:
    """In a root that has nothing else: no library, no loader, no shell."""
    image = parts.make(tmp_path / "image")
    top = unpack(ours(image, parts.base), tmp_path / "top")
    loader = ["/kdump-initrd/lib/ld-linux-x86-64.so.2", "--library-path", "/kdump-initrd/lib"]
    argv = ["chroot", str(top), *loader, "/kdump-initrd/bin/kexec", "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.startswith("kexec-tools ")
    text = (top / "kdump-initrd/arm").read_text()
    assert f"{' '.join(loader)} /kdump-initrd/bin/kexec -p" in text


HOST = Path(f"/boot/initrd.img-{RELEASE}")


@pytest.fixture(scope="module")
def real(parts: Parts) -> Path:
    """This host's own initrd, found by its release, with its own kernel as the capture kernel."""
    capture = write_capture(parts.top / "real-capture.img", kernel=RELEASE)
    image = parts.top / "real.img"
    assert main(["-i", str(capture), "-v", RELEASE, "-o", str(image), RELEASE]) == 0
    return image


def test_this_hosts_initrd(real: Path) -> None:
    names = pipe(["cpio", "-it", "--quiet"], ours(real, HOST)).decode().splitlines()
    assert names[: len(PAYLOAD)] == PAYLOAD
    status, listed = lsinitramfs(HOST)
    assert status == 0
    assert len(listed.splitlines()) > 500
    assert lsinitramfs(real) == (status, listed)
    assert stat.S_IMODE(real.stat().st_mode) == stat.S_IMODE(HOST.stat().st_mode)


def test_this_hosts_order_keeps_its_lines(real: Path, tmp_path: Path) -> None:
    order = tmp_path / "scripts/init-top/ORDER"
    texts = []
    for archive in (pipe(["zstd", "-dcq"], HOST.read_bytes()), ours(real, HOST)):
        pipe(["cpio", "-idu", "--quiet", "scripts/init-top/ORDER"], archive, cwd=tmp_path)
        texts.append(order.read_text())
    assert texts[0]
    assert texts[1] == OURS + texts[0]
