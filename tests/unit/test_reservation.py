# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image weighs and what has to be reserved for it; windows as the packers tell them."""

from __future__ import annotations

import random
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.core.compression import Codec
from kdump_initrd.core.errors import KdumpInitrdError
from kdump_initrd.core.root import Root
from kdump_initrd.image import reservation
from kdump_initrd.image.archive.boundary import window
from kdump_initrd.image.reservation import Terms, Weight, crashkernel, least, weigh
from kdump_initrd.image.stage import SECOND_STAGE
from kdump_initrd.probe.distro.architectures import facts
from kdump_initrd.probe.kernel import releases
from kdump_initrd.recipes.parts.kernelterms import terms_of

from .captureimage import build
from .debianlayout import LAYOUT
from .initrdwriter import EARLY, PACK, file, newc, pipe, write_base
from .kernelimages import IMAGES
from .thiskernel import RELEASE

MIB = 1 << 20
#: Of a kernel whose header does not tell its size.
USUAL = terms_of("x86_64", None, {})
#: Text that packs, about 90 kB of it.
TEXT = b"".join(b"%d %x\n" % (n, random.Random(n).getrandbits(64)) for n in range(4_000))


#: A kernel of 60 MiB that takes 9 beside it, and gives 8 back.
TERMS = Terms(60 * MIB, 9 * MIB, 8 * MIB, 4096)


@pytest.mark.parametrize(
    ("weight", "terms", "mib"),
    [
        # An empty image: 60 + 9, and 60 + 9 - 8 + the saver's.
        (Weight(0, 0, 0, 0, 0), TERMS, 69),
        (Weight(0, 0, 0, 0, 0), replace(TERMS, freed=0), 77),
        # Unpacking: 69 + 6 + 17 + 1; saving: 69 + 17.
        (Weight(6 * MIB, 17 * MIB, 0, 1 * MIB, 0), TERMS, 93),
        # The second stage: 69 + 3 + 4 and 69 + 4 + 10.
        (Weight(3 * MIB, 4 * MIB, 10 * MIB, 0, 0), TERMS, 83),
        # A byte more is a MiB more.
        (Weight(3 * MIB, 4 * MIB, 10 * MIB + 1, 0, 0), TERMS, 84),
        (Weight(1, 0, 0, 0, 0), TERMS, 70),
        # Half a page for each file.
        (Weight(0, 0, 0, 0, 512), TERMS, 70),
        (Weight(0, 0, 0, 0, 64), replace(TERMS, page=65536), 71),
    ],
)
def test_the_least_reservation(weight: Weight, terms: Terms, mib: int) -> None:
    assert least(weight, terms) == mib


@pytest.mark.parametrize(
    ("machine", "image", "config", "page"),
    [
        ("aarch64", "arm64, 16K", {"CONFIG_PAGE_SHIFT": "12"}, 16384),
        ("aarch64", "arm64, any", {"CONFIG_PAGE_SHIFT": "16"}, 65536),
        ("aarch64", "arm64, any", {}, 4096),
        ("ppc64le", "ppc64le", {"CONFIG_PPC_4K_PAGES": "y", "CONFIG_PPC_64K_PAGES": "n"}, 4096),
        ("ppc64le", "ppc64le", {"CONFIG_PAGE_SHIFT": "x", "CONFIG_PPC_64K_PAGES": "y"}, 65536),
        ("ppc64le", "ppc64le", {}, 65536),
        ("ppc64le", "ppc64le", {"CONFIG_PAGE_SHIFT": "9" * 99}, 1 << 18),
        ("x86_64", "x86_64", {"CONFIG_HAVE_PAGE_SIZE_64KB": "y"}, 4096),
    ],
)
def test_the_page_size(machine: str, image: str, config: dict[str, str], page: int) -> None:
    """By the image, else the configuration, else what is usual."""
    usual = facts().named(machine).reservation
    found = terms_of(machine, IMAGES[image][1], config)
    assert found.page == page
    assert found.runtime == usual.runtime + usual.pages * page


def test_the_size_of_the_kernel() -> None:
    _, image = IMAGES["s390x"]
    assert terms_of("s390x", image, {}).kernel == image.unpacked
    assert terms_of("s390x", None, {}).kernel == facts().named("s390x").reservation.kernel


def test_what_to_reserve_has_headroom_and_is_even() -> None:
    weights = [Weight(stored * MIB // 3, 17 * MIB, 0, 0, 9) for stored in range(60)]
    for weight in weights:
        need, said = least(weight, USUAL), crashkernel(weight, USUAL)
        assert said % 8 == 0
        headroom = said - need
        assert reservation._HEADROOM <= headroom * MIB < reservation._HEADROOM + reservation._STEP


def test_what_an_image_weighs(tmp_path: Path) -> None:
    """Segments add up, the largest window counts, and the second stage is unpacked later."""
    stage = pipe(PACK[Codec.GZIP], newc([file("a", bytes(30_000)), file("b", bytes(10_000))]))
    path = write_base(tmp_path / "initrd", [file(str(SECOND_STAGE), stage), file("c", b"123")],
                      Codec.BZIP2, before=EARLY)  # fmt: skip
    path.write_bytes(path.read_bytes() + pipe(PACK[Codec.GZIP], newc([file("d", bytes(5000))])))
    assert weigh(path) == Weight(
        stored=path.stat().st_size,
        unpacked=99 + len(stage) + 3 + 5000,
        later=40_000 - len(stage),
        window=3_600_000,
        files=6,
    )


def test_a_second_stage_that_is_damaged_weighs_what_it_is(tmp_path: Path) -> None:
    path = write_base(tmp_path / "initrd", [file(str(SECOND_STAGE), b"nothing")])
    found = weigh(path)
    assert (found.unpacked, found.later) == (7, 0)


def test_what_is_no_initrd_has_no_weight(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no initrd")
    with pytest.raises(KdumpInitrdError) as caught:
        weigh(tmp_path / "x")
    assert caught.value.message.endswith(
        "is not an initrd: neither a cpio archive nor a compressed one"
    )


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_weighing_finds_what_the_builder_knew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], codec: str
) -> None:
    image = build(tmp_path / "x.img", "--compress", codec)
    said = re.search(r"reserve +crashkernel=(\d+)M", capsys.readouterr().err)
    assert said
    kernel = releases.find(RELEASE, root=Root(), layout=LAYOUT)
    assert kernel.header is not None
    terms = terms_of(kernel.header.machine, kernel.header, kernel.config)
    assert crashkernel(weigh(image), terms) == int(said[1])


def pack(tmp_path: Path, argv: list[str], data: bytes = TEXT) -> Path:
    """Pack a file: a packer that knows its size may choose another header."""
    source = tmp_path / "source"
    source.write_bytes(data)
    target = tmp_path / "packed"
    target.write_bytes(pipe([*argv, str(source)], b""))
    return target


def window_of(path: Path, codec: Codec) -> int:
    # What is in front of a segment must not matter.
    return window(b"padding" + path.read_bytes(), 7, codec=codec)


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ([], TEXT), (["-1"], TEXT), (["-19"], TEXT), (["--zstd=wlog=17"], TEXT),
        (["--zstd=wlog=10"], TEXT), (["--long=27", "--no-content-size"], TEXT),
        ([], b"x"), ([], b"x" * 255), ([], b"x" * 256), ([], b"x" * 300), ([], b"x" * 70_000),
        (["--no-check"], TEXT), (["--ultra", "-22"], TEXT),
    ],
)  # fmt: skip
def test_window_of_zstd_is_what_zstd_lists(tmp_path: Path, options: list[str], data: bytes) -> None:
    path = pack(tmp_path, ["zstd", "-qc", *options], data)
    listed = subprocess.run(["zstd", "-lv", path], capture_output=True, text=True, check=True)
    said = re.search(r"Window Size:.*\((\d+) B\)", listed.stdout + listed.stderr)
    assert said, listed
    assert window_of(path, Codec.ZSTD) == int(said[1])


@pytest.mark.parametrize("options", [["-0"], ["-6"], ["-9e"], ["--lzma2=dict=128KiB"],
                                     ["--lzma2=dict=96KiB"], ["--x86", "--lzma2=dict=3MiB"],
                                     ["-T2", "--lzma2=preset=6,dict=128KiB"]])  # fmt: skip
def test_window_of_xz_is_what_xz_lists(tmp_path: Path, options: list[str]) -> None:
    path = pack(tmp_path, ["xz", "--check=crc32", "-c", *options])
    path = path.rename(path.with_suffix(".xz"))
    listed = subprocess.run(["xz", "-lvv", path], capture_output=True, text=True, check=True)
    said = re.search(r"--lzma2=dict=(\d+)(KiB|MiB)", listed.stdout)
    assert said, listed
    assert window_of(path, Codec.XZ) == int(said[1]) * {"KiB": 1 << 10, "MiB": MIB}[said[2]]


@pytest.mark.parametrize(("option", "size"), [("-0", 256 << 10), ("-6", 8 * MIB), ("-9", 64 * MIB),
                                              ("--lzma1=dict=1MiB", MIB)])  # fmt: skip
def test_window_of_lzma_is_that_of_the_preset(tmp_path: Path, option: str, size: int) -> None:
    path = pack(tmp_path, ["xz", "--format=lzma", "-c", option])
    assert window_of(path, Codec.LZMA) == size


def test_windows_that_the_format_fixes() -> None:
    assert {codec.value: window(b"", 0, codec=codec) for codec in
            (Codec.NONE, Codec.GZIP, Codec.BZIP2, Codec.LZO, Codec.LZ4)} == {
        "none": 0, "gzip": 32 << 10, "bzip2": 3_600_000, "lzo": 512 << 10, "lz4": 16 * MIB,
    }  # fmt: skip


def test_windows_between_the_powers_of_two() -> None:
    """RFC 8878, section 3.1.1.1.2: exponent 7 and mantissa 3 are 128 KiB and three eighths."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0, 7 << 3 | 3])
    assert window(header, 0, codec=Codec.ZSTD) == (128 + 48) << 10


def test_sizes_in_a_header_of_xz_are_no_filter() -> None:
    """The compressed size, 0x21, and the unpacked size, 1, stand before LZMA2 and its 128 KiB."""
    block = bytes([2, 0xC0, 0x21, 0x01, 0x21, 0x01, 10, 0])
    assert window(bytes(12) + block + bytes(4), 0, codec=Codec.XZ) == 128 << 10
