# SPDX-License-Identifier: GPL-2.0-or-later
"""What the first kernel's initrd carries: from a root that may lack it, and complete."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kdump_initrd.probe.host import xen

from .commandline import complain
from .firstimages import REGULAR, Parts, make_parts, ours, unpack
from .initrdwriter import bzimage, write_capture
from .refusal import Refusal


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refusal:
    return Refusal(tmp_path, capsys)


def small_root(root: Path, *programs: str) -> Path:
    """Make a root that has some of this host's programs and all their libraries."""
    for folder_ in ("etc", "usr/bin", "usr/sbin", "usr/lib"):
        (root / folder_).mkdir(parents=True)
    for name in ("bin", "sbin", "lib"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/os-release").write_text("ID=debian\n")
    for program in programs:
        shutil.copy(program, root / program.lstrip("/"))
    libraries = Path("/usr/lib/x86_64-linux-gnu")
    (root / "usr/lib/x86_64-linux-gnu").symlink_to(libraries)
    (root / "lib64").symlink_to("usr/lib/x86_64-linux-gnu")
    return root


@pytest.mark.parametrize(
    ("programs", "options", "message", "hint"),
    [
        ([], [], "{root}: no kexec", "install kexec-tools there"),
        (["/usr/sbin/kexec"], [], "{root}: no shell for the image", "looked for usr/bin/dash"),
        (["/usr/sbin/kexec", "/usr/bin/dash"], [],
         "mkdir, rm, timeout: not in the root, and the hook needs it", "install busybox there"),
        (["/usr/sbin/kexec", *map("/usr/bin/{}".format, ("dash", "mkdir", "rm", "timeout"))],
         ["--tools", "busybox"], "busybox: not in the root, and the hook needs it",
         "install busybox there"),
    ],
    ids=["kexec", "shell", "tools", "busybox"],
)  # fmt: skip
def test_a_root_that_lacks_something(
    parts: Parts, refusal: Refusal, programs: list[str], options: list[str], message: str, hint: str
) -> None:
    root = small_root(refusal.top / "root", *programs)
    error, advice = refusal.of(parts, "--root", str(root), *options)
    assert error == message.format(root=root)
    assert advice.startswith(hint)


def test_a_root_wants_a_place_for_the_image(parts: Parts, refusal: Refusal, tmp_path: Path) -> None:
    root = small_root(refusal.top / "root")
    argv = ["-i", str(parts.capture), "-v", str(parts.kernel), "--root", str(root)]
    status, error, hint = complain(refusal.capsys, *argv, REGULAR)
    assert (status, hint) == (2, "-o FILE")
    assert error == "--root requires -o: nothing is written into that root"


@pytest.mark.parametrize("tools", ["busybox", "root"])
def test_the_hook_runs_with_nothing_but_the_payload(
    parts: Parts, tmp_path: Path, tools: str
) -> None:
    """By its own loader, shell and tools, in a root that has none; kexec is a program that fails.

    The hook's own tests have all that it may do; this is that its programs are complete.
    """
    image = parts.make(tmp_path / "image", "--tools", tools)
    top = unpack(ours(image, parts.base), tmp_path / "top")
    for name, text in {
        "proc/uptime": "1.00 1.00\n", "proc/cmdline": "console=tty0\n", "dev/kmsg": "",
        "sys/kernel/kexec_crash_size": f"{256 << 20}\n", "sys/kernel/kexec_crash_loaded": "0\n",
    }.items():  # fmt: skip
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    shutil.copy("/bin/false", top / "kdump-initrd/bin/kexec")
    script = (top / "scripts/init-top/kdump-initrd").read_text()
    words = script.split("] || ")[1].split(" </dev/null")[0].split()
    done = subprocess.run(["chroot", top, *words], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (top / "dev/kmsg").read_text() == "<4>kdump-initrd: not armed: load refused: status 1\n"
    assert not (top / "kdump-initrd").exists()


def test_the_hook_knows_the_image_s_modules_and_the_kernel_s_room(
    parts: Parts, tmp_path: Path, refusal: Refusal
) -> None:
    """Of the very capture image and kernel that are carried."""
    capture = write_capture(tmp_path / "capture.img", modules=("my_disk", "ext4"))
    kernel = tmp_path / "kernel"
    kernel.write_bytes(bzimage(cmdline=255))
    mine = replace(parts, capture=capture, kernel=kernel)
    image = mine.make(tmp_path / "image", "--append-cmdline", "x=1")
    arm = (unpack(ours(image, parts.base), tmp_path / "top") / "kdump-initrd/arm").read_text()
    assert "my_disk.*" in arm and "ext4.*" in arm
    assert f'"$((${{#line}} + ${{#kept}}))" -le {255 - 64 - len(" x=1")} ]' in arm
    error, hint = refusal.of(mine, "--append-cmdline", "x" * 200)
    assert error == (
        f"the capture kernel's command line would have 219 bytes, and {kernel} takes 191"
    )
    assert hint == "use fewer words in --append-cmdline"


@pytest.mark.parametrize("kind", ["capture", "first-kernel"])
def test_nothing_is_built_on_a_dom0_for_itself(
    parts: Parts, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(xen, "_is_dom0", lambda _: True)
    if kind == "capture":
        argv = ["-c", "UUID=0b5e6f4e-8a53-4c3d-9a57-7d8a3f6c1e02", "-f", "ext4", "--dry-run"]
        status, error, hint = complain(refusal.capsys, *argv)
    else:
        status, error, hint = complain(refusal.capsys, *parts.argv("--dry-run"))
    assert (status, error) == (1, xen.DOM0)
    assert hint == "kdump-initrd does not support that; --root DIR builds for another system"
