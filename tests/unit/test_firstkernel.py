# SPDX-License-Identifier: GPL-2.0-or-later
"""What belongs to a first kernel's initrd and what does not: each refusal, and nothing written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.commands.mkinitrd import main
from kdump_initrd.core.compression import Codec

from .captureimage import build
from .commandline import complain
from .firstimages import REGULAR, Parts, make_parts, ours, unpack
from .initrdwriter import INITRAMFS_TOOLS, bzimage, file, folder, pipe, write_base, write_capture
from .kernelimages import IMAGES
from .refusal import Refusal
from .thiskernel import RELEASE

KNOWN = "initramfs-tools, dracut, dracut-var, mkinitcpio-systemd, mkinitcpio, kdump-initrd"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refusal:
    return Refusal(tmp_path, capsys)


def test_a_capture_initrd_that_is_not_there(parts: Parts, refusal: Refusal) -> None:
    gone = refusal.top / "gone"
    assert refusal.of(replace(parts, capture=gone)) == (
        f"-i {gone}: no such file", "mkinitrd-kdump -c DEV -f FS writes one"
    )  # fmt: skip


def test_another_tools_capture_initrd_wants_force(parts: Parts, refusal: Refusal) -> None:
    foreign = replace(parts, capture=write_base(refusal.top / "foreign"))
    assert refusal.of(foreign) == (
        f"{foreign.capture}: not a capture initrd of kdump-initrd",
        "mkinitrd-kdump -c DEV -f FS writes one; --force accepts this one",
    )
    foreign.make(refusal.out, "--force", "--append-cmdline", "x")
    assert main(["--print-cmdline", str(refusal.out)]) == 0
    # The distribution's own words, where the initrd does not bring any.
    words = refusal.capsys.readouterr().out.split()
    assert {"panic=10", "nr_cpus=1", "irqpoll"} <= set(words)
    assert words[-1] == "x"
    top = unpack(ours(refusal.out, parts.base), refusal.top / "tree")
    assert (top / "kdump-initrd/initrd").read_bytes() == foreign.capture.read_bytes()


def test_a_first_kernels_initrd_captures_nothing(parts: Parts, refusal: Refusal) -> None:
    first = parts.make(refusal.top / "first")
    for options in ([], ["--force"]):
        assert refusal.of(replace(parts, capture=first), *options) == (
            f"{first}: a first kernel's initrd, which does not save a dump",
            "name what mkinitrd-kdump -c has written",
        )


def test_a_capture_initrd_that_is_damaged(parts: Parts, refusal: Refusal) -> None:
    path = refusal.top / "cut"
    path.write_bytes(parts.capture.read_bytes()[:-20])
    error, _ = refusal.of(replace(parts, capture=path))
    assert error.startswith(f"{path}: segment 1 at offset 0: ")


def test_a_capture_initrd_of_another_release(parts: Parts, refusal: Refusal) -> None:
    other = write_capture(refusal.top / "capture", kernel="5.10.0-other")
    others = replace(parts, capture=other)
    assert refusal.of(others) == (
        f"{other}: for kernel 5.10.0-other, but {parts.kernel} is 6.1.0-test",
        "mkinitrd-kdump -c DEV -f FS 6.1.0-test writes one for it",
    )
    assert others.make(refusal.out, "--force").exists()


@pytest.mark.parametrize("name", ["i386", "arm64", "ppc64le"])
def test_a_capture_kernel_of_another_architecture(
    parts: Parts, refusal: Refusal, name: str
) -> None:
    data, image = IMAGES[name]
    kernel = refusal.top / "kernel"
    kernel.write_bytes(data)
    capture = write_capture(refusal.top / "capture", kernel=image.release, machine=image.machine)
    assert refusal.of(replace(parts, kernel=kernel, capture=capture), "--force") == (
        f"{kernel}: for {image.machine}, but the root is x86_64",
        "use a capture kernel and a capture initrd of this root's architecture",
    )


def test_a_capture_initrd_of_another_architecture(parts: Parts, refusal: Refusal) -> None:
    capture = write_capture(refusal.top / "capture", machine="i386")
    error, _ = refusal.of(replace(parts, capture=capture))
    assert error == f"{capture}: for i386, but the root is x86_64"


def test_a_kernel_that_does_not_tell_its_release_fits(parts: Parts, tmp_path: Path) -> None:
    data = bytearray(bzimage())
    data[0x20E:0x210] = b"\0\0"
    kernel = tmp_path / "kernel"
    kernel.write_bytes(data)
    assert replace(parts, kernel=kernel).make(tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("/no/such/vmlinuz", "/no/such/vmlinuz: No such file or directory"),
        ("/etc/passwd", "/etc/passwd: not a known kind of kernel image"),
        ("9.9.9", "-v 9.9.9: no such kernel in /"),
        ("../etc/passwd", "{}/etc/passwd: No such file or directory"),
    ],
)
def test_what_is_no_capture_kernel(
    parts: Parts, refusal: Refusal, kernel: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(refusal.top)
    argv = ["-i", str(parts.capture), "-v", kernel, "-o", str(refusal.out), REGULAR]
    status, error, hint = complain(refusal.capsys, *argv)
    assert (status, error) == (1, message.format(refusal.top.parent))
    if kernel == "9.9.9":
        assert hint == f"give a path, or one of: {RELEASE}"
    assert list(refusal.top.iterdir()) == []


def test_a_capture_kernel_by_its_release(tmp_path: Path, parts: Parts) -> None:
    capture = write_capture(tmp_path / "capture", kernel=RELEASE)
    out = tmp_path / "out"
    argv = ["-i", str(capture), "-v", RELEASE, "--base", str(parts.base), "-o", str(out), REGULAR]
    assert main(argv) == 0
    names = pipe(["cpio", "-itv", "--quiet"], ours(out, parts.base)).decode().splitlines()
    (kernel,) = (line for line in names if line.endswith(" kdump-initrd/kernel"))
    assert int(kernel.split()[4]) == Path(f"/boot/vmlinuz-{RELEASE}").stat().st_size


def test_a_capture_kernel_that_kexec_does_not_load(parts: Parts, refusal: Refusal) -> None:
    kernel = refusal.top / "kernel"
    kernel.write_bytes(bzimage(relocatable=0))
    assert refusal.of(replace(parts, kernel=kernel), "--force") == (
        f"{kernel}: built without CONFIG_RELOCATABLE: it cannot run in the reserved memory",
        "use another capture kernel",
    )


def test_a_capture_kernel_whose_configuration_says_no(
    parts: Parts, refusal: Refusal, tmp_path: Path
) -> None:
    """It lies beside the image, as Debian's of s390x does."""
    kernel = refusal.top / "vmlinuz"
    kernel.write_bytes(bzimage())
    config = refusal.top / "config-6.1.0-test"
    config.write_text("CONFIG_KEXEC=y\n# CONFIG_CRASH_DUMP is not set\nCONFIG_PROC_VMCORE=y\n")
    others = replace(parts, kernel=kernel)
    assert refusal.of(others, "--force") == (
        "6.1.0-test: built without CONFIG_CRASH_DUMP: it cannot be a capture kernel",
        "use another kernel release",
    )
    config.write_text("CONFIG_CRASH_DUMP=y\nCONFIG_PROC_VMCORE=y\n")
    assert others.make(tmp_path / "out").exists()


def test_a_base_that_is_not_there(parts: Parts, refusal: Refusal) -> None:
    gone = refusal.top / "gone"
    assert refusal.of(replace(parts, base=gone)) == (
        f"--base {gone}: no such file", "name an initrd"
    )  # fmt: skip


def test_nothing_is_in_place_of_no_base(parts: Parts, refusal: Refusal) -> None:
    """A whole initrd of ours is another file, which the user has not asked for."""
    argv = ["-i", str(parts.capture), "-v", str(parts.kernel), "--in-place", REGULAR]
    status, error, hint = complain(refusal.capsys, *argv)
    assert (status, error) == (1, f"--in-place: / has no initrd for {REGULAR}")
    assert hint == "name one with --base FILE"


def test_a_base_of_an_unknown_kind(parts: Parts, refusal: Refusal) -> None:
    base = write_base(refusal.top / "base", [folder("usr"), file("init", b"#!/bin/sh\n", 0o755)])
    assert refusal.of(replace(parts, base=base)) == (
        f"{base}: an initrd of an unknown kind (known kinds: {KNOWN})",
        "--standalone writes a complete initrd without it",
    )


@pytest.mark.parametrize("real", [False, True])
def test_a_capture_initrd_is_no_base(parts: Parts, refusal: Refusal, real: bool) -> None:
    base = build(refusal.top / "base") if real else parts.capture
    assert refusal.of(replace(parts, base=base)) == (
        f"{base}: a capture initrd, not the regular kernel's",
        "name the distribution's initrd",
    )


def test_a_base_that_is_damaged(parts: Parts, refusal: Refusal) -> None:
    base = refusal.top / "base"
    base.write_bytes(parts.base.read_bytes()[:-9])
    error, _ = refusal.of(replace(parts, base=base))
    assert error.startswith(f"{base}: segment 1 at offset 0: ")


def test_a_base_that_no_kernel_unpacks(parts: Parts, refusal: Refusal) -> None:
    base = write_base(refusal.top / "base", codec=Codec.NONE)
    base.write_bytes(pipe(["lz4", "-qc"], base.read_bytes()))
    assert refusal.of(replace(parts, base=base)) == (
        f"{base}: an lz4 frame, which no kernel can unpack", "compress it again with lz4 -l"
    )  # fmt: skip


def test_a_base_in_the_way(parts: Parts, refusal: Refusal) -> None:
    """The hook's name is a folder there."""
    items = (*INITRAMFS_TOOLS, folder("scripts/init-top/kdump-initrd"))
    base = write_base(refusal.top / "base", items)
    error, hint = refusal.of(replace(parts, base=base))
    assert error == (
        f"{base}: scripts/init-top/kdump-initrd is drwxr-xr-x in it: calls the hook does not fit "
        "there"
    )
    assert hint == "use another base, or --standalone"


@pytest.mark.parametrize(
    "order", [b"# caf\xe9\n/scripts/init-top/x\n", b"", b"x", b"{{ arm }}\n{% if %}\n{## x\n"]
)
def test_an_order_of_any_bytes_is_kept(parts: Parts, tmp_path: Path, order: bytes) -> None:
    items = [each for each in INITRAMFS_TOOLS if each.path != "scripts/init-top/ORDER"]
    base = write_base(tmp_path / "base", [*items, file("scripts/init-top/ORDER", order)])
    image = parts.make(tmp_path / "image", base=base)
    top = unpack(ours(image, base), tmp_path / "top")
    found = (top / "scripts/init-top/ORDER").read_bytes()
    assert found.startswith(b'/scripts/init-top/kdump-initrd "$@"\n')
    assert found.endswith(b"/conf/param.conf\n" + order)


def test_an_order_that_is_too_large_is_not_lost(parts: Parts, refusal: Refusal) -> None:
    """Without its lines the base would not boot."""
    items = (*INITRAMFS_TOOLS, file("scripts/init-top/ORDER", b"#" * 20_000))
    base = write_base(refusal.top / "base", items)
    error, hint = refusal.of(replace(parts, base=base))
    assert error == f"{base}: scripts/init-top/ORDER: 20000 bytes are too large to be extended"
    assert hint == "rebuild the base"


def test_an_image_that_is_there_wants_force(parts: Parts, refusal: Refusal) -> None:
    refusal.out.write_text("precious")
    assert refusal.of(parts) == (f"{refusal.out}: exists already", "--force replaces it")
    assert refusal.out.read_text() == "precious"
    parts.make(refusal.out, "--force")
    assert refusal.out.read_bytes().startswith(parts.base.read_bytes())
